import { readFileSync } from "node:fs";
import { RuntimeError } from "./runtime-error.ts";

const DESCRIPTION_FILE = "/vouchsafe/mesh/service.json";
const DESCRIPTION_MAX_BYTES = 4 * 1024 * 1024;

/** The part of an image's description that concerns a start. The file is part of the measured image. */
export interface ImageDescription {
  readonly platformVersion: string;
  readonly mode: string;
  readonly user: { readonly uid: number; readonly gid: number };
  /** Variables that the image's kind adds to the policy's (MF-57). */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the first word of a command is searched if neither a path nor `PATH` says so. */
  readonly searchPath: readonly string[];
  /** Programs that the launcher stands in for; in the program's view each is at its usual path again (MF-68). */
  readonly diversions: readonly { readonly path: string; readonly original: string }[];
  /** Where the image wants what the container has mounted there, unprotected (`build.host_paths`). */
  readonly hostPaths: readonly string[];
  /** State of the image's encrypted files. It counts only where the policy accepts several versions of the image and so names none. */
  readonly fileSystemTag: string | undefined;
}

const isText = (value: unknown): value is string => typeof value === "string";
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads the description. Images that were not built by us have none: their programs run as the container's user. Throws R-IMAGE. */
export function readImageDescription(file: string = DESCRIPTION_FILE): ImageDescription {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new RuntimeError("R-IMAGE", `${file} cannot be read`, { cause, remedy: "Build the image with `sconectl apply`." });
  }
  if (bytes.length > DESCRIPTION_MAX_BYTES) throw new RuntimeError("R-IMAGE", `${file} has more than ${DESCRIPTION_MAX_BYTES} bytes`);
  return parseImageDescription(new TextDecoder("utf-8", { fatal: true }).decode(bytes), file);
}

/** Takes the description apart. Throws R-IMAGE and says what is missing. */
export function parseImageDescription(text: string, file = DESCRIPTION_FILE): ImageDescription {
  const refuse = (what: string) => new RuntimeError("R-IMAGE", `${file}: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError("R-IMAGE", `${file} is not JSON`, { cause });
  }
  if (!isObject(value) || value["format"] !== 1) throw refuse("format must be 1");
  const { platformVersion, mode, user, environment, searchPath, diversions, fileSystem, hostPaths = [] } = value;
  if (!isText(platformVersion) || !isText(mode)) throw refuse("platformVersion and mode must be texts");
  if (!isObject(user) || !Number.isSafeInteger(user["uid"]) || !Number.isSafeInteger(user["gid"]))
    throw refuse("user must have uid and gid");
  if (!isObject(environment) || !Object.values(environment).every(isText)) throw refuse("environment must map names to texts");
  if (!Array.isArray(searchPath) || !searchPath.every(isText)) throw refuse("searchPath must be a list of texts");
  if (!Array.isArray(diversions)) throw refuse("diversions must be a list");
  if (!Array.isArray(hostPaths) || !hostPaths.every(isText)) throw refuse("hostPaths must be a list of texts");
  const fileSystemTag = isObject(fileSystem) ? fileSystem["tag"] : undefined;
  if (fileSystemTag !== undefined && !(isText(fileSystemTag) && /^[0-9a-f]{32}$/.test(fileSystemTag)))
    throw refuse("fileSystem.tag must have 32 hex digits");
  return {
    platformVersion,
    mode,
    fileSystemTag,
    user: { uid: Number(user["uid"]), gid: Number(user["gid"]) },
    environment: Object.fromEntries(Object.entries(environment).map(([name, text]) => [name, String(text)])),
    searchPath,
    hostPaths,
    diversions: diversions.map((diversion: unknown) => {
      if (!isObject(diversion) || !isText(diversion["path"]) || !isText(diversion["original"]))
        throw refuse("a diversion must have path and original");
      return { path: diversion["path"], original: diversion["original"] };
    }),
  };
}
