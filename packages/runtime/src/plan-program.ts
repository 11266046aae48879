import { hostname } from "node:os";
import { join } from "node:path";
import { decryptTree, openProtectedDirectory, type TreeEntry } from "@vouchsafe/fileshield";
import { step } from "@vouchsafe/linux";
import type { Configuration } from "@vouchsafe/protocol";
import type { ContainerFiles } from "./container-files.ts";
import type { ImageDescription } from "./image-description.ts";
import { isInside } from "./inside.ts";
import { type JudgedMounts, KERNEL } from "./judge-mounts.ts";
import { type LayoutStep, type Phase, plain } from "./layout.ts";
import { mirroredView } from "./mirrored-view.ts";
import { repairHosts, repairResolvConf } from "./name-service.ts";
import { overlayView } from "./overlay-view.ts";
import { programArgv, programEnvironment } from "./program-start.ts";
import { RuntimeError } from "./runtime-error.ts";
import { ALL_IS_LAID_OUT } from "./start-program.ts";
import { fillTemplate } from "./template-file.ts";
import { injectedFile, treeFiles } from "./view-files.ts";

/** What decides a start. */
export interface ProgramOrder {
  readonly configuration: Configuration;
  readonly image: ImageDescription;
  readonly hostArguments: readonly string[];
  readonly hostEnvironment: Readonly<Record<string, string>>;
  /** Who this process is in the container. */
  readonly user: { readonly uid: number; readonly gid: number };
  readonly files: ContainerFiles;
  readonly mounts: JudgedMounts;
}

const DEFAULT_PERMISSION = 0o700;

/**
 * Everything that the waiting process does once the service is attested: the private view, the policy's files, the end of all rights, the program.
 * Throws R-IMAGE, R-VIEW or R-PROGRAM for what cannot be right whatever the kernel says.
 */
export function planProgram(order: ProgramOrder): Phase[] {
  const { configuration, image, files, mounts, user } = order;
  const [volume] = configuration.volumes;
  if (volume !== undefined) {
    // Started without it, the program would write into memory what it believes to be kept.
    throw new RuntimeError("R-VIEW", `the policy gives this service the volume ${volume.name}, which this release cannot mount`, {
      remedy: "Leave the volume out of the manifest.",
    });
  }
  const isRoot = user.uid === 0;
  const code = readCode(configuration, image);
  for (const { path } of configuration.files) assertPrivate(path, "injected", mounts);
  for (const { kind, path } of code) if (kind !== "directory") assertPrivate(path, "laid out", mounts);
  return [
    ...(isRoot ? [privateNamespace] : []),
    {
      steps: [...plain(step.setMask(0)), ...viewSteps(order, code)],
      failure: failed("R-VIEW", "the program's view of the file system cannot be made"),
    },
    { steps: treeFiles(code), failure: failed("R-VIEW", "the encrypted files of the image cannot be laid out") },
    ...configuration.files.map((file): Phase => {
      // Without root rights a file that is written was left out of the view (`mirroredView`).
      const isMounted = isRoot && mounts.shown.has(files.resolve(file.path) ?? "");
      return {
        steps: injectedFile(
          { path: file.path, content: fileContent(file, order, code), permission: file.permission ?? DEFAULT_PERMISSION },
          isRoot ? image.user : user,
          isMounted,
        ),
        failure: failed("R-VIEW", `file ${file.path} cannot be injected`, "Choose a path that is no directory."),
      };
    }),
    {
      steps: plain(step.changeDirectory(configuration.workingDirectory)),
      failure: failed("R-PROGRAM", `the working directory ${configuration.workingDirectory} cannot be entered`),
    },
    { steps: giveUpRights(isRoot ? image.user : undefined), failure: failed("R-PROGRAM", "the program's rights cannot be limited") },
    executeProgram(order),
  ];
}

const failed =
  (code: "R-VIEW" | "R-PROGRAM", message: string, remedy?: string): Phase["failure"] =>
  (reason) =>
    new RuntimeError(code, message, { cause: new Error(reason), ...(remedy === undefined ? {} : { remedy }) });

/** Below a mount of the container a file would be where others read it too. A mount on the very path is replaced. */
function assertPrivate(path: string, verb: string, { shown, memory }: JudgedMounts): void {
  const above = [...memory, ...KERNEL, ...shown].filter((parent) => parent !== path && isInside(path, parent));
  const nearest = above.reduce((one, other) => (other.length > one.length ? other : one), "");
  if (nearest === "" || memory.includes(nearest)) return;
  throw new RuntimeError("R-VIEW", `file ${path} cannot be ${verb}: the program shares ${nearest} with its container`, {
    remedy: "Choose a path that is not below /proc, /sys, /dev or a volume of the container.",
  });
}

/** Without root rights the process was started in one. */
const privateNamespace: Phase = {
  steps: plain(step.unshare("mount"), step.makeMountsPrivate()),
  failure: failed(
    "R-VIEW",
    "a private mount namespace is not allowed here",
    "Allow unshare and mount: on Kubernetes with securityContext.seccompProfile {type: Localhost, localhostProfile: vouchsafe/runtime.json}, which the node agent installs; see docs/platforms.md.",
  ),
};

function viewSteps({ configuration, image, files, mounts, user }: ProgramOrder, code: readonly TreeEntry[]): LayoutStep[] {
  const bindings = image.diversions.map(({ path, original }) => ({ source: original, target: path }));
  try {
    if (user.uid === 0) return overlayView(files, mounts, bindings);
    return mirroredView(files, mounts, { bindings, written: [...code, ...configuration.files].map(({ path }) => path) });
  } catch (cause) {
    throw new RuntimeError("R-VIEW", "the program's view of the file system cannot be made", { cause });
  }
}

function readCode({ fileSystem }: Configuration, image: ImageDescription): readonly TreeEntry[] {
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

function fileContent(
  { path, content }: Configuration["files"][number],
  { configuration, files }: ProgramOrder,
  code: readonly TreeEntry[],
): Uint8Array {
  const given =
    content === null ? fillTemplate(path, readTemplate(path, files, code), configuration.templateValues) : Uint8Array.fromBase64(content);
  const repaired = (repair: (text: string) => string) => new TextEncoder().encode(repair(new TextDecoder().decode(given)));
  if (path === "/etc/resolv.conf") return repaired((text) => repairResolvConf(text, containerText(path, files)));
  if (path === "/etc/hosts") return repaired((text) => repairHosts(text, containerText(path, files), hostname()));
  return given;
}

/** A container without the file has nothing to add. */
const containerText = (path: string, files: ContainerFiles): string => {
  try {
    return new TextDecoder().decode(files.read(path));
  } catch {
    return "";
  }
};

/** Encrypted files are laid over those of the image. */
function readTemplate(path: string, files: ContainerFiles, code: readonly TreeEntry[]): Uint8Array {
  const encrypted = code.find((entry) => entry.path === path);
  if (encrypted?.kind === "file") return encrypted.bytes;
  try {
    return files.read(path);
  } catch (cause) {
    throw new RuntimeError("R-VIEW", `the image has no file ${path}, which the policy uses as a template`, {
      cause,
      remedy: "Give the file a content in the manifest, or copy it into the image.",
    });
  }
}

/** `user`: who the program is to be; undefined where the process is that user already. */
function giveUpRights(user: ImageDescription["user"] | undefined): LayoutStep[] {
  return plain(
    step.setMask(0o022),
    ...(user === undefined ? [] : step.becomeUser(user.uid, user.gid)),
    step.clearAmbientCapabilities(),
    step.setNoNewPrivileges(),
    step.closeAllOnExecute(3),
    step.say(ALL_IS_LAID_OUT),
  );
}

/** A word without a slash is the first program of that name in the search path, as execvp(3) has it. */
function executeProgram({ configuration, image, hostArguments, hostEnvironment }: ProgramOrder): Phase {
  const environment = programEnvironment(configuration, image, hostEnvironment);
  const argv = programArgv(configuration, hostArguments);
  const [word = ""] = argv;
  const searchPath = environment["PATH"]?.split(":") ?? image.searchPath;
  const candidates = word.includes("/") ? [word] : searchPath.map((directory) => join(directory, word));
  const [last] = candidates.slice(-1);
  if (last === undefined || word === "") throw noProgram(word, searchPath);
  return {
    steps: plain(
      ...candidates.slice(0, -1).map((path) => step.optional(step.execute(path, argv, environment))),
      step.execute(last, argv, environment),
    ),
    failure: (reason) =>
      word.includes("/") || !reason.endsWith("ENOENT")
        ? new RuntimeError("R-PROGRAM", `${word} cannot be executed`, { cause: new Error(reason) })
        : noProgram(word, searchPath),
  };
}

const noProgram = (word: string, searchPath: readonly string[]): RuntimeError =>
  new RuntimeError("R-PROGRAM", `the image has no program ${JSON.stringify(word)}`, {
    remedy: `It was searched in ${searchPath.join(", ")}.`,
  });
