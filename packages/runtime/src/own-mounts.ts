import { decodeListing } from "@vouchsafe/fileshield";
import type { ContainerFiles } from "./container-files.ts";
import type { ImageDescription } from "./image-description.ts";
import { isInside } from "./inside.ts";
import { type JudgedMounts, judgeMounts } from "./judge-mounts.ts";

/** The image's list of its own protected files; like everything below /vouchsafe it is measured. */
const LISTING_FILE = "/vouchsafe/regions/root.list";

/** Judges the mounts of a container as its image wants them. Throws R-VIEW. */
export function judgeOwnMounts(files: ContainerFiles, { hostPaths }: Pick<ImageDescription, "hostPaths">): JudgedMounts {
  return judgeMounts(files.mounts, hostPaths, {
    isDirectory: (path) => files.status(path)?.kind === "directory",
    mayHideImage: (path) => listedFiles(files)?.some((file) => isInside(file, path)) ?? true,
  });
}

/** Undefined where the image has no list. */
function listedFiles(files: ContainerFiles): readonly string[] | undefined {
  try {
    return decodeListing(files.read(LISTING_FILE)).map(({ path }) => path);
  } catch {
    return undefined; // then nothing is known, and no volume is taken
  }
}
