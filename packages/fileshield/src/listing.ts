import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { ByteCursor, ByteWriter } from "./byte-cursor.ts";
import { FileshieldError } from "./fileshield-error.ts";
import type { Region } from "./protection-file.ts";
import { comparePaths, findTreeFault, PATH_MAX_BYTES, sortTree } from "./tree.ts";

/** A file of an integrity-protected region. Directories are implied. */
export type ListedFile =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly size: number; readonly digest: Uint8Array }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/*
 * Listing of a region, integers big-endian: magic "VSLIST01" | count (4) | entries sorted by path
 *   entry = path (2 + n), kind (1), then  file: mode (2), size (6), SHA-256 (32)  link: target (2 + n)
 * Not secret: it names what lies in the image in clear. Its SHA-256 is in the protection file.
 */
const MAGIC = Buffer.from("VSLIST01");
const malformed = (detail: string) => new FileshieldError("FSPF_MALFORMED", `listing: ${detail}`);

/** Deterministic: the order of `files` does not matter. */
export function encodeListing(files: readonly ListedFile[]): Uint8Array {
  const out = new ByteWriter().bytes(MAGIC).uint(4, files.length);
  for (const file of sortTree(files)) {
    out.text(file.path);
    if (file.kind === "link") out.uint(1, 1).text(file.target);
    else out.uint(1, 0).uint(2, file.mode).uint(6, file.size).bytes(file.digest);
  }
  return out.finish();
}

/** Throws FSPF_MALFORMED. Proves nothing: compare the SHA-256 of `bytes` with the region's digest first. */
export function decodeListing(bytes: Uint8Array): ListedFile[] {
  const cursor = new ByteCursor(bytes, malformed);
  if (!MAGIC.equals(cursor.take(MAGIC.length, "magic"))) throw malformed("unknown format");
  const files: ListedFile[] = [];
  for (let left = cursor.uint(4, "count"); left > 0; left--) {
    const path = cursor.text("path", PATH_MAX_BYTES);
    const kind = cursor.uint(1, `kind of ${path}`);
    if (kind === 1) files.push({ kind: "link", path, target: cursor.text(`target of ${path}`, PATH_MAX_BYTES) });
    else if (kind === 0) {
      const mode = cursor.uint(2, `mode of ${path}`);
      if (mode > 0o777) throw malformed(`mode 0o${mode.toString(8)} of ${path}`);
      files.push({ kind: "file", path, mode, size: cursor.uint(6, `size of ${path}`), digest: cursor.take(32, `digest of ${path}`) });
    } else throw malformed(`unknown kind of ${path}`);
  }
  cursor.end();
  const fault = findTreeFault(files);
  if (fault !== undefined) throw malformed(fault);
  files.forEach((file, index) => {
    const before = files[index - 1];
    if (before !== undefined && comparePaths(before, file) >= 0) throw malformed(`${file.path} is out of order`);
  });
  return files;
}

const isInside = (path: string, parent: string): boolean => parent === "/" || path === parent || path.startsWith(`${parent}/`);

/** Region of a path: the longest prefix decides. */
export function findRegion(regions: readonly Region[], path: string): Region | undefined {
  let found: Region | undefined;
  for (const region of regions) if (isInside(path, region.path) && region.path.length > (found?.path.length ?? -1)) found = region;
  return found;
}

/** Lists what lies below `root` in `region`, leaving out the regions nested in it. Symbolic links are not followed. */
export function measureRegion(root: string, region: Region, regions: readonly Region[]): ListedFile[] {
  const files: ListedFile[] = [];
  const visit = (path: string): void => {
    if (path !== region.path && regions.some((other) => other.path === path)) return;
    const onDisk = join(root, path);
    const status = lstatSync(onDisk);
    if (status.isDirectory()) {
      for (const name of readdirSync(onDisk).sort()) visit(path === "/" ? `/${name}` : `${path}/${name}`);
    } else if (status.isSymbolicLink()) files.push({ kind: "link", path, target: readlinkSync(onDisk) });
    else if (status.isFile()) {
      const bytes = readFileSync(onDisk);
      const digest = new Uint8Array(createHash("sha256").update(bytes).digest());
      files.push({ kind: "file", path, mode: status.mode & 0o777, size: bytes.length, digest });
    } else throw new FileshieldError("FSPF_FILE", `${path} is neither a file, a directory nor a link`);
  };
  visit(region.path);
  return files;
}

const describe = (file: ListedFile): string =>
  file.kind === "link" ? `link ${file.target}` : `file 0o${file.mode.toString(8)} ${file.size} ${file.digest.toHex()}`;

/**
 * Checks an integrity-protected region on disk: exactly the listed files, with their content, mode and links (C-96).
 * `listing` comes from the image and is checked against the region's digest. Throws FSPF_FILE with the first difference.
 */
export function verifyRegion(root: string, region: Region, regions: readonly Region[], listing: Uint8Array): void {
  const digest = createHash("sha256").update(listing).digest();
  if (region.digest === undefined || !digest.equals(region.digest))
    throw new FileshieldError("FSPF_FILE", `the list of the files of ${region.path} was changed`);
  const expected = new Map(decodeListing(listing).map((file) => [file.path, describe(file)]));
  let found: ListedFile[];
  try {
    found = measureRegion(root, region, regions);
  } catch (cause) {
    if (cause instanceof FileshieldError) throw cause;
    throw new FileshieldError("FSPF_FILE", `protected region ${region.path} cannot be read`, { cause });
  }
  for (const file of found) {
    const wanted = expected.get(file.path);
    if (wanted === undefined) throw new FileshieldError("FSPF_FILE", `${file.path} is not listed in the protected region ${region.path}`);
    if (wanted !== describe(file)) throw new FileshieldError("FSPF_FILE", `protected file ${file.path} was changed`);
    expected.delete(file.path);
  }
  const [missing] = expected.keys();
  if (missing !== undefined) throw new FileshieldError("FSPF_FILE", `protected file ${missing} is missing`);
}
