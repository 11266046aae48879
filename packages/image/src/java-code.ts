import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { TreeEntry } from "@vouchsafe/fileshield";
import { readCopies } from "./code-layer.ts";
import { ImageError } from "./image-error.ts";
import type { BuildPlan, CopySource } from "./plan.ts";
import { lastLines } from "./run-command.ts";
import { runInSandbox } from "./sandbox.ts";

const isSource = ({ kind, path }: TreeEntry): boolean => kind === "file" && path.endsWith(".java");
const isLibrary = ({ kind, path }: TreeEntry): boolean => kind === "file" && path.endsWith(".jar");

/** Paths in the image of the libraries that `copy` brings, in the order of `copy`: what belongs on the class path (MF-56). Throws as `readCopies`. */
export async function findJavaLibraries(copies: readonly CopySource[], directory: string): Promise<readonly string[]> {
  return (await readCopies(copies, directory)).filter(isLibrary).map(({ path }) => path);
}

export interface CompiledJava {
  /** What `copy` brings, with classes in place of sources. */
  readonly entries: readonly TreeEntry[];
  /** Where the user's files lie: copied files and directories, and the topmost directories of packages. */
  readonly targets: readonly string[];
}

export interface CompileRequest {
  readonly cacheDir: string;
  /** The base on disk, with its virtual machine; not changed. */
  readonly root: string;
  readonly plan: Pick<BuildPlan, "workingDirectory" | "copy">;
  readonly copies: readonly TreeEntry[];
  readonly signal?: AbortSignal | undefined;
}

const SOURCES = "/vouchsafe-in";
const CLASSES = "/vouchsafe-out";
const SOURCE_LIST = "/vouchsafe-sources";
/** Enough for ten errors with their lines of source. */
const REPORTED_LINES = 60;

/** Debian's runtime brings the compiler as a module of the virtual machine: no development kit is needed, and none can slip into the image. */
const COMPILER = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-m", "jdk.compiler/com.sun.tools.javac.Main"];

/**
 * Puts classes in place of the copied `.java` files (MF-56): each lies below the working directory as its package says. The sources are no part of the
 * image. Runs in a sandbox without network, and leaves nothing on disk. Throws E-RUN with the compiler's report, whose paths are those of `copy`.
 */
export async function compileJava(request: CompileRequest): Promise<CompiledJava> {
  const { cacheDir, copies, plan } = request;
  const targets = plan.copy.map(({ target }) => target);
  if (!copies.some(isSource)) return { entries: copies, targets };
  await mkdir(cacheDir, { recursive: true });
  const scratch = await mkdtemp(join(cacheDir, "java-"));
  try {
    const [sources, classes, list] = [join(scratch, "sources"), join(scratch, "classes"), join(scratch, "list")];
    for (const directory of [sources, classes]) await mkdir(directory);
    const inside = (path: string) => relative(plan.workingDirectory, path);
    const used = copies.filter((entry) => entry.kind === "file" && /\.(?:java|jar|class)$/.test(entry.path));
    for (const entry of used) {
      if (entry.kind !== "file") continue;
      const file = join(sources, entry.path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, entry.bytes);
    }
    await mkdir(join(sources, plan.workingDirectory), { recursive: true });
    const pathsOf = (isWanted: (entry: TreeEntry) => boolean) =>
      copies
        .filter(isWanted)
        .map(({ path }) => inside(path))
        .sort();
    await writeFile(list, pathsOf(isSource).map(quoteArgument).join("\n"));
    await runCompiler([".", ...pathsOf(isLibrary)].join(":"), { sources, classes, list }, request);
    const compiled = await readClasses(classes, plan.workingDirectory);
    const tops = (await readdir(classes)).sort().map((name) => join(plan.workingDirectory, name));
    refusePublicPlaces(tops, request);
    return { entries: mergeClasses(copies, compiled), targets: [...targets.filter((path) => !path.endsWith(".java")), ...tops] };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A word of the compiler's argument file. */
const quoteArgument = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

async function runCompiler(
  classPath: string,
  { sources, classes, list }: { readonly sources: string; readonly classes: string; readonly list: string },
  { cacheDir, root, plan, signal }: CompileRequest,
): Promise<void> {
  const options = ["-encoding", "UTF-8", "-implicit:none", "-nowarn", "-Xmaxerrs", "10", "-d", CLASSES, "-classpath", classPath];
  const { status, stdout, stderr } = await runInSandbox({
    root,
    changes: "dropped",
    network: false,
    binds: [
      { source: sources, target: SOURCES },
      { source: classes, target: CLASSES },
      { source: list, target: SOURCE_LIST },
    ],
    command: ["java", ...COMPILER, ...options, `@${SOURCE_LIST}`],
    environment: { LC_ALL: "C.UTF-8", HOME: "/tmp" },
    workingDirectory: join(SOURCES, plan.workingDirectory),
    code: "E-RUN",
    scratchDir: join(cacheDir, "scratch"),
    signal,
  });
  if (status === 0) return;
  throw new ImageError("E-RUN", `the Java sources do not compile:\n${lastLines(`${stdout}\n${stderr}`, REPORTED_LINES)}`, {
    field: "build.copy",
    remedy: "The compiler sees the copied .java files and the .jar files of copy; add what is missing to build.copy.",
  });
}

/** The user's directories are encrypted as a whole, so none may be one that the base has files in. */
function refusePublicPlaces(targets: readonly string[], { root, plan }: CompileRequest): void {
  const taken = plan.workingDirectory === "/" ? targets.find((path) => existsSync(join(root, path))) : undefined;
  if (taken === undefined) return;
  throw new ImageError("E-BUILD-FIELD", `the classes of the package ${taken.slice(1)} would lie in ${taken}, a directory of the system`, {
    field: "build.pwd",
    remedy: "Give the program a directory of its own, e.g. pwd: /app.",
  });
}

async function readClasses(directory: string, workingDirectory: string): Promise<TreeEntry[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const entries = found.map(async (entry): Promise<TreeEntry[]> => {
    const file = join(entry.parentPath, entry.name);
    const path = join(workingDirectory, relative(directory, file));
    if (entry.isDirectory()) return [{ kind: "directory", path, mode: 0o755 }];
    return entry.isFile() ? [{ kind: "file", path, mode: 0o644, bytes: await readFile(file) }] : [];
  });
  return (await Promise.all(entries)).flat();
}

function mergeClasses(copies: readonly TreeEntry[], classes: readonly TreeEntry[]): readonly TreeEntry[] {
  const merged = new Map(copies.filter((entry) => !isSource(entry)).map((entry) => [entry.path, entry]));
  for (const entry of [...classes].sort((left, right) => (left.path < right.path ? -1 : 1))) {
    if (entry.kind === "directory" && merged.has(entry.path)) continue;
    merged.set(entry.path, entry);
  }
  return [...merged.values()];
}
