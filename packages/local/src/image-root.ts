import { createHash } from "node:crypto";
import { closeSync, lchownSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Workload } from "@vouchsafe/attestation";
import { formatImageReference, METADATA_DIRECTORY, parseImageReference, ServiceMetadata, unpackImage } from "@vouchsafe/image";
import { LocalError } from "./local-error.ts";

/** An image as it lies unpacked on this machine, and what the agent says about it. */
export interface ImageRoot {
  readonly directory: string;
  /** `sha256:…` of the manifest; every layer was verified against it while it was unpacked. */
  readonly digest: string;
  /** State of the protected files, or empty: from the image's own description, which the digest covers. */
  readonly fileSystemTag: string;
  /** Who runs the program. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Seal over the tree as it was when unpacking ended, see {@link sealTree}. */
  readonly seal: string;
}

/** What the platform measures of the program where it has room for one digest: image and protected files. */
export const workloadOf = ({ digest, fileSystemTag }: ImageRoot): Workload => ({ imageDigest: digest, fileSystemTag });

/** Over these the container mounts something; an image need not have them. */
const MOUNT_DIRECTORIES = ["proc", "dev", "tmp", "run", "etc", "sys"];
const MOUNT_FILES = ["etc/resolv.conf", "etc/hosts", "etc/hostname"];
/** What our images use; for those whose description was stripped. */
const PROGRAM_USER = { uid: 65_532, gid: 65_532 };

export interface UnpackRequest {
  readonly reference: string;
  readonly digest: string;
  readonly layoutDir: string;
  /** Must not exist. */
  readonly directory: string;
  /** Owner of all files afterwards; undefined: who unpacks. */
  readonly owner: number | undefined;
  readonly fileSystemTag: string | null;
}

/**
 * Unpacks the image that the application was made with, whatever its tag names by now. Throws L-APPLICATION where the digest is another, and what
 * `unpackImage` throws for changed layers.
 */
export async function unpackRoot(request: UnpackRequest): Promise<ImageRoot> {
  const { digest, directory, layoutDir, owner } = request;
  const pinned = formatImageReference({ ...parseImageReference(request.reference), digest });
  const unpacked = await unpackImage(layoutDir, pinned, directory);
  if (unpacked.digest !== digest) {
    rmSync(directory, { recursive: true, force: true });
    throw new LocalError(
      "L-APPLICATION",
      `image ${request.reference} has the digest ${unpacked.digest}, the application expects ${digest}`,
      {
        remedy: "Apply the mesh again.",
      },
    );
  }
  for (const name of MOUNT_DIRECTORIES) mkdirSync(join(directory, name), { recursive: true });
  for (const name of MOUNT_FILES)
    if (lstatSync(join(directory, name), { throwIfNoEntry: false }) === undefined) closeSync(openSync(join(directory, name), "wx"));
  if (owner !== undefined) giveTo(directory, owner);
  const description = readDescription(directory);
  return {
    directory,
    digest,
    fileSystemTag: description?.fileSystem?.tag ?? request.fileSystemTag ?? "",
    user: description?.user ?? PROGRAM_USER,
    seal: sealTree(directory),
  };
}

function readDescription(directory: string): ServiceMetadata | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, METADATA_DIRECTORY, "service.json"), "utf8");
  } catch {
    return undefined; // stripped (manifests, `strip`)
  }
  return ServiceMetadata.parse(JSON.parse(text));
}

function giveTo(path: string, owner: number): void {
  lchownSync(path, owner, owner);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(join(path, name), owner);
}

/**
 * Digest over name, type, mode, size, inode and change time of everything below a directory. The change time cannot be set by anybody, so an equal
 * seal says that nobody touched the tree since; reading all content again at each start would say no more. Owners are left out because they look
 * different from inside a user namespace; to change one changes the change time.
 */
export function sealTree(directory: string): string {
  const hash = createHash("sha256");
  const visit = (path: string, name: string): void => {
    const status = lstatSync(path, { bigint: true });
    hash.update(`${name}\0${status.mode} ${status.size} ${status.ino} ${status.ctimeNs}\0`);
    if (status.isDirectory()) for (const child of readdirSync(path).sort()) visit(join(path, child), `${name}/${child}`);
  };
  visit(directory, "");
  return hash.digest("hex");
}

/** Throws L-APPLICATION when the tree was touched since it was unpacked. */
export function assertUntouched(root: ImageRoot): void {
  if (sealTree(root.directory) === root.seal) return;
  throw new LocalError("L-APPLICATION", `the unpacked image ${root.digest} was changed on disk; nothing is started from it`, {
    remedy: "Find out who did, then start the application again: it is unpacked anew.",
  });
}
