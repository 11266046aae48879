import { digestOf } from "./blob-store.ts";
import { MEDIA_TYPES } from "./descriptor.ts";
import type { ImageReference } from "./reference.ts";
import { RegistryConnection, readBody } from "./registry-connection.ts";
import { findCredentials } from "./registry-credentials.ts";

/** Manifests and indexes are at most so long; so are the small documents beside them. */
export const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;
/** How long the head of an answer may take. */
export const HEAD_TIMEOUT_MS = 60_000;

export interface RegistryOptions {
  /** Called for each blob that is moved, and for warnings. */
  readonly progress?: (event: { readonly kind: "blob" | "warning"; readonly text: string; readonly bytes?: number }) => void;
}

/** A connection to the repository of a reference, with the user's login for its registry. */
export async function connect(
  reference: ImageReference,
  code: "E-IMAGE-PULL" | "E-IMAGE-PUSH",
  options: RegistryOptions,
): Promise<RegistryConnection> {
  const warn = (text: string) => options.progress?.({ kind: "warning", text });
  return new RegistryConnection(reference, await findCredentials(reference.registry, warn), code);
}

/** A manifest or index by tag or digest, as sent; what is asked for by digest has it. Throws with the connection's code. */
export async function pullDocument(
  connection: RegistryConnection,
  name: string,
): Promise<{ bytes: Uint8Array; mediaType: string; digest: string }> {
  const accept = [MEDIA_TYPES.manifest, MEDIA_TYPES.index, MEDIA_TYPES.dockerManifest, MEDIA_TYPES.dockerIndex].join(", ");
  const response = await connection.send({ method: "GET", path: `manifests/${name}`, headers: { accept }, timeoutMs: HEAD_TIMEOUT_MS });
  if (response.status !== 200) throw await connection.failAnswer("the image cannot be pulled", response);
  const bytes = await readBody(response, DOCUMENT_MAX_BYTES, () =>
    connection.fail(`the manifest is larger than ${DOCUMENT_MAX_BYTES} bytes`),
  );
  const digest = digestOf(bytes);
  if (name.startsWith("sha256:") && digest !== name) throw connection.fail(`the registry answers ${digest} to a request for ${name}`);
  return { bytes, mediaType: (response.headers.get("content-type") ?? "").split(";")[0] ?? "", digest };
}

/** A JSON document of a registry, checked. Throws with the connection's code. */
export const parseDocument = <T>(
  connection: RegistryConnection,
  schema: { parse(value: unknown): T },
  bytes: Uint8Array,
  what: string,
): T => {
  try {
    return schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw connection.fail(`the ${what} is malformed`, { cause });
  }
};
