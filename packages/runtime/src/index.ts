export { type ImageDescription, parseImageDescription } from "./image-description.ts";
export { READY_FILE } from "./ready-file.ts";
export { RuntimeError, type RuntimeErrorCode } from "./runtime-error.ts";
export { type RuntimeSettings, readSettings } from "./settings.ts";
