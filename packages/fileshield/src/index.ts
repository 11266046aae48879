export {
  blobDirectory,
  type DecryptedTree,
  decryptTree,
  type EncryptedTree,
  encryptTree,
  openProtectedDirectory,
  type ProtectedTreeReader,
} from "./encrypted-tree.ts";
export { FileshieldError, type FileshieldErrorCode } from "./fileshield-error.ts";
export { decodeListing, encodeListing, findRegion, type ListedFile, measureRegion, verifyRegion } from "./listing.ts";
export { openManifest, type ProtectedEntry, type Protection, type ProtectionManifest, type Region } from "./protection-file.ts";
export type { TreeDirectory, TreeEntry, TreeFile, TreeLink } from "./tree.ts";
