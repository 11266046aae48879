import type { JavaKind } from "@vouchsafe/image";
import type { BuildKind, BuildSection } from "./build-section.ts";
import type { Findings } from "./diagnostic.ts";
import { shortText } from "./manifest-reader.ts";
import { parseSize } from "./runtime-setting.ts";
import type { ServiceManifest } from "./service-manifest.ts";

/** The Java release of each kind; the names with `-glibc` and `-ubuntu` are accepted from manifests that tell bases of other products apart. */
const RELEASES: Partial<Record<BuildKind, JavaKind>> = {
  java: "java17",
  java17: "java17",
  "java-glibc": "java17",
  "java17-glibc": "java17",
  java21: "java21",
  "java21-ubuntu": "java21",
};

export const javaRelease = (kind: BuildKind): JavaKind | undefined => RELEASES[kind];

/** Options of the launcher `java` whose value is the next word. */
const WITH_VALUE =
  /^(?:-p|--module-path|--upgrade-module-path|--add-modules|--limit-modules|--enable-native-access|--add-reads|--add-exports|--add-opens|--patch-module|--source|-d|--describe-module)$/;
const CLASS_PATH = /^(?:-cp|-classpath|--class-path)$/;

/** What the words behind `java` say, up to the main class. */
interface JavaWords {
  /** `-cp`, `-jar` or one of their synonyms is there, or a module is started. */
  readonly hasClassPath: boolean;
  /** Options of the virtual machine, without values that are words of their own. */
  readonly options: readonly string[];
  /** The class, unless an archive or a module is started. */
  readonly main: string | undefined;
}

function readWords(words: readonly string[]): JavaWords {
  const options: string[] = [];
  let hasClassPath = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "-jar") return { hasClassPath: true, options, main: undefined };
    if (word === "-m" || word === "--module" || word.startsWith("--module=")) return { hasClassPath, options, main: undefined };
    if (CLASS_PATH.test(word) || word.startsWith("--class-path=")) hasClassPath = true;
    else if (!/^[-@]/.test(word)) return { hasClassPath, options, main: word };
    else options.push(word);
    if (CLASS_PATH.test(word) || WITH_VALUE.test(word)) at++;
  }
  return { hasClassPath, options, main: undefined };
}

/**
 * What the virtual machine must not do behind the program's back: load code for whoever reaches its attach socket, write the command with its
 * arguments into /tmp, leave a report with memory of the program where it fails. A later option of the manifest wins.
 */
const DISCRETION = ["-XX:+DisableAttachMechanism", "-XX:-UsePerfData", "-XX:ErrorFile=/dev/null"];

/** The command with the class path right behind the word `java`, unless it has one (MF-56). `libraries`: paths of the copied archives. */
export function javaCommand(command: readonly string[], workingDirectory: string, libraries: readonly string[]): readonly string[] {
  const [word = "", ...words] = command;
  if (!isJava(word)) return command;
  const classPath = readWords(words).hasClassPath ? [] : ["-cp", [workingDirectory, ...libraries].join(":")];
  return [word, ...classPath, ...DISCRETION, ...words];
}

const isJava = (word: string): boolean => /^(?:.*\/)?java$/.test(word);

/** What is wrong with the command of a Java program, as far as the manifest tells. */
export function checkJavaCommand({ build, environment }: ServiceManifest, libraries: readonly string[], findings: Findings): void {
  const [word = "", ...words] = build.command;
  if (!isJava(word)) return;
  const { options, main, hasClassPath } = readWords(words);
  if (main?.endsWith(".java") === true) {
    findings.add(build.commandAt, "E-COMMAND", `${shortText(main)} is a source; sources are compiled when the image is built`, {
      expected: `the name of a class, e.g. java ${main.replace(/\.java$/, "").replaceAll("/", ".")}`,
    });
  }
  const withColon = hasClassPath ? undefined : [build.pwd?.text ?? "/", ...libraries].find((path) => path.includes(":"));
  if (withColon !== undefined) {
    findings.add(build.commandAt, "E-COMMAND", `${shortText(withColon)} has a colon, which would divide the class path`, {
      expected: "names of directories and archives without ':'",
    });
  }
  const heap = environment.local.find(({ name }) => name === "SCONE_HEAP");
  const [limit, wanted] = [parseSize(heap?.value.text ?? ""), options.findLast((option) => option.startsWith("-Xmx"))];
  const most = parseSize(wanted?.slice("-Xmx".length) ?? "");
  if (limit !== undefined && most !== undefined && most > limit) {
    findings.add(build.commandAt, "E-RUNTIME-VALUE", `${wanted} is more than SCONE_HEAP, ${heap?.value.text}, gives the whole program`, {
      expected: "-Xmx at about two thirds of SCONE_HEAP: classes, threads and compiled code need memory beside the heap",
    });
  }
}

/** Why a kind of the language is not built; undefined for those that are. */
export function refusedKind({ kind }: BuildSection): { readonly message: string; readonly expected: string } | undefined {
  if (kind === "java8" || kind === "java15") {
    const release = kind.slice("java".length);
    return {
      message: `images of kind ${kind} are not built: no stable Debian release maintains Java ${release}`,
      expected: "java17 or java21, which run most programs that were compiled for older releases",
    };
  }
  if (kind === "sconify_image")
    return { message: "images of kind sconify_image are not built by this release", expected: "python, java17 or java21" };
  return undefined;
}
