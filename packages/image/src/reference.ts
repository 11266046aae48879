import { ImageError } from "./image-error.ts";

/** `host[:port]/path:tag@digest`, as users write it and registries understand it. */
export interface ImageReference {
  /** Host with port, e.g. `docker.io`, `127.0.0.1:5000`. */
  readonly registry: string;
  /** Path in the registry, e.g. `library/redis`. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const PATH_PART = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/;
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?|\[[0-9a-fA-F:]{2,45}\])(?::[0-9]{1,5})?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const REFERENCE_MAX_LENGTH = 1024;

export const isDigest = (value: string): boolean => DIGEST.test(value);

/** Throws E-IMAGE-REF with what is wrong. Without tag and digest the tag is `latest`; without host it is Docker's registry. */
export function parseImageReference(text: string): ImageReference {
  const fail = (detail: string) =>
    new ImageError("E-IMAGE-REF", `image reference ${JSON.stringify(text.slice(0, REFERENCE_MAX_LENGTH))}: ${detail}`, {
      remedy: "Write it as host/path/name:tag, in lower case.",
    });
  if (text === "" || text.length > REFERENCE_MAX_LENGTH)
    throw fail(`has ${text.length} characters, 1 to ${REFERENCE_MAX_LENGTH} are allowed`);
  const [named = "", digest, ...more] = text.split("@");
  if (more.length > 0) throw fail("holds more than one digest");
  if (digest !== undefined && !DIGEST.test(digest)) throw fail("the digest is not sha256: and 64 hexadecimal digits");
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag))
    throw fail(tag === "" ? "the tag is empty, likely an empty variable" : "the tag has other characters than letters, digits, _ . -");
  const name = hasTag ? named.slice(0, colon) : named;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasHost = first !== "" && (/[.:]/.test(first) || first === "localhost");
  if (hasHost && !HOST.test(first)) throw fail(`${JSON.stringify(first)} is no host`);
  const path = hasHost ? name.slice(slash + 1) : name;
  for (const part of path.split("/")) {
    if (PATH_PART.test(part)) continue;
    throw fail(
      part !== part.toLowerCase()
        ? `${JSON.stringify(part)} is not in lower case`
        : `${JSON.stringify(part)} is not allowed in a repository's name`,
    );
  }
  const registry = hasHost ? first : "docker.io";
  const repository = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return { registry, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** One spelling for each reference; what the local repository is keyed by. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** Name of an image below `target/` (MF-130): lower case, without digest, other characters as `-`. */
export const targetKey = (reference: string): string => (reference.split("@")[0] ?? "").toLowerCase().replace(/[^a-z0-9]/g, "-");
