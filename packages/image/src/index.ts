export { buildImage } from "./build-image.ts";
export { curatedImages, planCuratedImage } from "./curated/index.ts";
export { DEFAULT_ENGINE, type EngineAddress, formatEngineAddress, parseEngineAddress } from "./engine-address.ts";
export { isEngineThere, loadIntoEngine } from "./engine-load.ts";
export { ImageError, type ImageErrorCode } from "./image-error.ts";
export { verifyImageSignature } from "./image-signature.ts";
export { isJavaKind, type JavaKind, javaBase } from "./java-base.ts";
export { findJavaLibraries } from "./java-code.ts";
export {
  defaultCacheDir,
  defaultRepositoryDir,
  LOCAL_REGISTRY,
  type LocalRepository,
  openLocalRepository,
  type StoredImage,
} from "./local-repository.ts";
export {
  CODE_PROTECTION_FILE,
  type ImageMetadata,
  LAUNCHER_PATH,
  METADATA_DIRECTORY,
  METADATA_LABEL,
  ServiceMetadata,
} from "./metadata.ts";
export { pinImage } from "./pin-image.ts";
export type {
  BasePlan,
  BuildPlan,
  BuildProgress,
  BuildSettings,
  BuiltImage,
  CopySource,
  MetadataFiles,
  StableVersion,
  VolumePlan,
} from "./plan.ts";
export type { ProtectionRule } from "./protection.ts";
export { readImageMetadata } from "./read-metadata.ts";
export { formatImageReference, type ImageReference, parseImageReference, targetKey } from "./reference.ts";
export { type PullOptions, pullImage, pushImage } from "./registry.ts";
export type { RegistryOptions } from "./registry-documents.ts";
export { type Relocation, relocateImage } from "./relocate-image.ts";
export { type UnpackedImage, unpackImage } from "./unpack.ts";
