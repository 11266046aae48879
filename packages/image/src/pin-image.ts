import { ImageError } from "./image-error.ts";
import { formatImageReference, parseImageReference } from "./reference.ts";
import { connect, pullDocument, type RegistryOptions } from "./registry-documents.ts";

/**
 * The reference with the digest that its registry has under the tag now: who uses that gets no other image later. What has a digest comes back as it is.
 * Throws E-IMAGE-PULL.
 */
export async function pinImage(reference: string, options: RegistryOptions = {}): Promise<string> {
  const parsed = parseImageReference(reference);
  if (parsed.digest !== undefined) return reference;
  if (parsed.tag === undefined) throw new ImageError("E-IMAGE-PULL", `${reference} names neither tag nor digest`);
  const { digest } = await pullDocument(await connect(parsed, "E-IMAGE-PULL", options), parsed.tag);
  return formatImageReference({ ...parsed, digest });
}
