import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { z } from "zod";
import { digestOf } from "./blob-store.ts";
import { ImageManifest, MEDIA_TYPES } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";
import { formatImageReference, parseImageReference } from "./reference.ts";
import { type RegistryConnection, readBody } from "./registry-connection.ts";
import { connect, HEAD_TIMEOUT_MS, parseDocument, pullDocument, type RegistryOptions } from "./registry-documents.ts";

/*
 * Signatures of whole images as cosign keeps them (sigstore, "Signature Specification"): beside an image with the digest sha256:H lies an artefact with
 * the tag sha256-H.sig. Each of its layers is a payload in the form of "simple signing", which names the digest; the signature over the payload's bytes
 * is an annotation of the layer.
 */
const PAYLOAD_MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";
const PAYLOAD_MAX_BYTES = 64 * 1024;
const SIGNATURES_MAX = 64;
const RSA_LEAST_BITS = 2048;
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];

const Payload = z.object({
  critical: z.object({
    type: z.literal("cosign container image signature"),
    image: z.object({ "docker-manifest-digest": z.string() }),
  }),
});

/**
 * Looks for a signature of the image by this key in the image's repository, and verifies it. Returns the reference with the digest that was signed: who
 * uses that gets no other image. `publicKey`: SubjectPublicKeyInfo, PEM; ECDSA, Ed25519, or RSA (PKCS #1 v1.5). Throws E-IMAGE-SIGNATURE, E-IMAGE-PULL.
 */
export async function verifyImageSignature(reference: string, publicKey: string, options: RegistryOptions = {}): Promise<string> {
  const key = readKey(publicKey);
  const parsed = parseImageReference(reference);
  const connection = await connect(parsed, "E-IMAGE-PULL", options);
  const { digest } = await pullDocument(connection, parsed.digest ?? parsed.tag ?? "latest");
  const refused: string[] = [];
  for (const layer of await signatureLayers(connection, digest, reference)) {
    const problem = await findProblem(connection, layer, digest, key);
    if (problem === undefined) return formatImageReference({ ...parsed, digest });
    refused.push(problem);
  }
  throw new ImageError("E-IMAGE-SIGNATURE", `${reference} (${digest}) is not signed by the given key: ${refused.join("; ")}`, {
    remedy: "Sign it with that key (cosign sign --key), or give the key of whoever signed it.",
  });
}

type Layer = ImageManifest["layers"][number];

function readKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new ImageError("E-IMAGE-SIGNATURE", "the file with the key of image signatures holds no public key in PEM form", {
      cause,
      remedy: "Give the file cosign.pub, or what openssl pkey -pubout writes.",
    });
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isStrong =
    type === "ed25519" || CURVES.includes(details?.namedCurve ?? "") || (type === "rsa" && (details?.modulusLength ?? 0) >= RSA_LEAST_BITS);
  if (isStrong) return key;
  throw new ImageError(
    "E-IMAGE-SIGNATURE",
    `a key of type ${type} ${details?.namedCurve ?? details?.modulusLength ?? ""} signs no images`,
    {
      remedy: `Give an ECDSA key (P-256, P-384, P-521), Ed25519, or RSA of at least ${RSA_LEAST_BITS} bits.`,
    },
  );
}

async function signatureLayers(connection: RegistryConnection, digest: string, reference: string): Promise<readonly Layer[]> {
  const tag = `${digest.replace(":", "-")}.sig`;
  const headers = { accept: MEDIA_TYPES.manifest };
  const found = await connection.send({ method: "HEAD", path: `manifests/${tag}`, headers, timeoutMs: HEAD_TIMEOUT_MS });
  const layers = found.status === 404 ? [] : await payloadLayers(connection, tag);
  if (layers.length > 0) return layers;
  throw new ImageError("E-IMAGE-SIGNATURE", `no signature of ${reference} (${digest}) lies beside it`, {
    remedy: "Sign the image with cosign sign --key, or leave the key out.",
  });
}

async function payloadLayers(connection: RegistryConnection, tag: string): Promise<readonly Layer[]> {
  const { bytes } = await pullDocument(connection, tag);
  const { layers } = parseDocument(connection, ImageManifest, bytes, "manifest of the signatures");
  return layers.filter(({ mediaType }) => mediaType === PAYLOAD_MEDIA_TYPE).slice(0, SIGNATURES_MAX);
}

/** Why one signature does not count; undefined: it does. */
async function findProblem(connection: RegistryConnection, layer: Layer, digest: string, key: KeyObject): Promise<string | undefined> {
  const response = await connection.send({ method: "GET", path: `blobs/${layer.digest}`, timeoutMs: HEAD_TIMEOUT_MS });
  if (response.status !== 200) throw await connection.failAnswer("the signed payload cannot be pulled", response);
  const payload = await readBody(response, PAYLOAD_MAX_BYTES, () => connection.fail(`a payload is larger than ${PAYLOAD_MAX_BYTES} bytes`));
  if (digestOf(payload) !== layer.digest) return `the registry keeps another payload than ${layer.digest}`;
  let signature: Uint8Array;
  try {
    signature = Uint8Array.fromBase64(layer.annotations?.[SIGNATURE_ANNOTATION] ?? "", { lastChunkHandling: "strict" });
  } catch {
    return "a signature is not base64";
  }
  // Ed25519 names its own digest; all others take SHA-256.
  if (!verify(key.asymmetricKeyType === "ed25519" ? null : "sha256", payload, key, signature)) return "a signature was made by another key";
  const { critical } = parseDocument(connection, Payload, payload, "signed payload");
  const signed = critical.image["docker-manifest-digest"];
  return signed === digest ? undefined : `a signature is about another image, ${signed.slice(0, 80)}`;
}
