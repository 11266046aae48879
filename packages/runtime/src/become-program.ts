import { closeSync, readFileSync, statSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { decryptTree, openProtectedDirectory } from "@vouchsafe/fileshield";
import {
  becomeUser,
  clearAmbientCapabilities,
  closeFilesOnExec,
  forbidCoreDumps,
  resetSignals,
  setNoNewPrivileges,
} from "@vouchsafe/linux";
import type { Configuration } from "@vouchsafe/protocol";
import type { ImageDescription } from "./image-description.ts";
import { buildMirroredView } from "./mirrored-view.ts";
import { repairHosts, repairResolvConf } from "./name-service.ts";
import { buildView, enterPrivateNamespace, type InjectedFile, writeInjectedFile, writeTree } from "./private-view.ts";
import { RuntimeError } from "./runtime-error.ts";
import { ORDER_FILE, OUTCOME_FILE } from "./start-program.ts";
import { fillTemplate } from "./template-file.ts";

/** What PID 1 hands to the process that becomes the program. Holds every secret of the service: passed through a pipe, never stored. */
export interface ProgramOrder {
  readonly configuration: Configuration;
  readonly image: ImageDescription;
  readonly hostArguments: readonly string[];
  readonly hostEnvironment: Readonly<Record<string, string>>;
}

const DEFAULT_PERMISSION = 0o700;
/** Said before `execve`, so that its silence cannot be taken for success where this process was killed before. White space: an error may still follow. */
const ALL_IS_LAID_OUT = "\n";

/** Reads the order, lays everything out, gives up all rights, and executes the program. Does not return; tells a failure through OUTCOME_FILE. */
export function becomeProgram(): never {
  const text = readFileSync(ORDER_FILE, "utf8");
  if (text === "") process.exit(1); // process 1 ended before there was an order, and has said why
  try {
    // PID 1 wrote it; it cannot be another's, because the pipe has no name.
    const order = JSON.parse(text) as ProgramOrder;
    closeSync(ORDER_FILE);
    execute(order);
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    const code = error instanceof Error && "code" in error ? String(error.code) : "R-PROGRAM";
    const remedy = error instanceof RuntimeError ? error.remedy : undefined;
    writeSync(OUTCOME_FILE, JSON.stringify({ code, message, remedy, cause: cause instanceof Error ? cause.message : undefined }));
    process.exit(1);
  }
}

function execute({ configuration, image, hostArguments, hostEnvironment }: ProgramOrder): never {
  const [volume] = configuration.volumes;
  if (volume !== undefined) {
    // Started without it, the program would write into memory what it believes to be kept.
    throw new RuntimeError("R-VIEW", `the policy gives this service the volume ${volume.name}, which this release cannot mount`, {
      remedy: "Leave the volume out of the manifest.",
    });
  }
  const isRoot = process.getuid?.() === 0;
  const owner = isRoot ? image.user : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  // Without root this process was started in namespaces of its own (`startInUserNamespace`).
  if (isRoot) enterPrivateNamespace();
  // Read before the view hides them.
  const code = readCode(configuration, image);
  const container = { resolvConf: readText("/etc/resolv.conf"), hosts: readText("/etc/hosts") };
  const bindings = image.diversions.map(({ path, original }) => ({ source: original, target: path }));
  if (isRoot) buildView(bindings);
  else buildMirroredView({ bindings, written: [...code.map(({ path }) => path), ...configuration.files.map(({ path }) => path)] });
  writeTree(code);
  for (const file of configuration.files) writeInjectedFile(injectedFile(file, configuration, container), owner);
  const environment = programEnvironment(configuration, image, hostEnvironment);
  const programArguments = programArgv(configuration, hostArguments);
  const program = findProgram(
    programArguments[0] ?? "",
    environment["PATH"]?.split(":") ?? image.searchPath,
    configuration.workingDirectory,
  );
  try {
    process.chdir(configuration.workingDirectory);
  } catch (cause) {
    throw new RuntimeError("R-PROGRAM", `the working directory ${configuration.workingDirectory} cannot be entered`, { cause });
  }
  process.umask(0o022);
  forbidCoreDumps();
  if (isRoot) becomeUser(owner);
  clearAmbientCapabilities();
  setNoNewPrivileges();
  resetSignals();
  closeFilesOnExec(3);
  writeSync(OUTCOME_FILE, ALL_IS_LAID_OUT);
  try {
    process.execve?.(program, programArguments, environment);
  } catch (cause) {
    throw new RuntimeError("R-PROGRAM", `${program} cannot be executed`, { cause });
  }
  throw new RuntimeError("R-PROGRAM", `${program} cannot be executed`);
}

function readCode({ fileSystem }: Configuration, image: ImageDescription) {
  if (fileSystem === undefined) return [];
  // A policy for two versions of an image (`build.stable`) pins their states by their code identities: each holds the tag of its own description.
  const own = fileSystem.updatePolicy === "no_rollback_protection" ? (image.fileSystemTag ?? null) : null;
  const tag = fileSystem.currentTag ?? fileSystem.tag ?? own;
  if (tag === null) throw new RuntimeError("R-IMAGE", `the policy has no tag for ${fileSystem.path}`, { remedy: "Apply the mesh again." });
  const key = Uint8Array.fromHex(fileSystem.key);
  try {
    return decryptTree(openProtectedDirectory(fileSystem.path), key, tag).entries;
  } finally {
    key.fill(0);
  }
}

const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // an image without the file has nothing to add
  }
};

function injectedFile(
  { path, content, permission }: Configuration["files"][number],
  { templateValues }: Configuration,
  container: { readonly resolvConf: string; readonly hosts: string },
): InjectedFile {
  let bytes: Uint8Array = content === null ? fillTemplate(path, readTemplate(path), templateValues) : Uint8Array.fromBase64(content);
  const text = () => new TextDecoder().decode(bytes);
  if (path === "/etc/resolv.conf") bytes = new TextEncoder().encode(repairResolvConf(text(), container.resolvConf));
  if (path === "/etc/hosts") bytes = new TextEncoder().encode(repairHosts(text(), container.hosts, hostname()));
  return { path, content: bytes, permission: permission ?? DEFAULT_PERMISSION };
}

function readTemplate(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RuntimeError("R-VIEW", `the image has no file ${path}, which the policy uses as a template`, {
      cause,
      remedy: "Give the file a content in the manifest, or copy it into the image.",
    });
  }
}

/** Exactly the policy's variables, and what the image's kind needs (MF-34). A variable of the container gets through only where the policy names it. */
export function programEnvironment(
  configuration: Pick<Configuration, "environment" | "hostVariables">,
  image: Pick<ImageDescription, "environment">,
  host: Readonly<Record<string, string>>,
): Record<string, string> {
  const fromHost = Object.fromEntries(configuration.hostVariables.map((name) => [name, host[name] ?? ""]));
  return { ...image.environment, ...configuration.environment, ...fromHost };
}

/** The policy's arguments; host arguments stand only where the policy has a marker for them (SL-66). */
export function programArgv(
  { arguments: given, hostArguments: markers }: Pick<Configuration, "arguments" | "hostArguments">,
  host: readonly string[],
): string[] {
  const replaced = [...given];
  for (const { at, hostArgument } of markers) {
    const value = host[hostArgument];
    if (value === undefined)
      throw new RuntimeError("R-PROGRAM", `the policy wants argument ${hostArgument} of the container, which has ${host.length - 1}`);
    replaced[at] = value;
  }
  return replaced;
}

/** Absolute path of the program: as it is with a slash, else the first executable of that name in the search path. */
function findProgram(word: string, searchPath: readonly string[], workingDirectory: string): string {
  if (word.includes("/")) return word.startsWith("/") ? word : join(workingDirectory, word);
  for (const directory of searchPath) {
    const candidate = join(directory, word);
    const status = statSync(candidate, { throwIfNoEntry: false });
    if (status?.isFile() && (status.mode & 0o111) !== 0) return candidate;
  }
  throw new RuntimeError("R-PROGRAM", `the image has no program ${JSON.stringify(word)}`, {
    remedy: `It was searched in ${searchPath.join(", ")}.`,
  });
}
