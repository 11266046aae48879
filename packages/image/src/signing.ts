import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign, verify } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { ImageError } from "./image-error.ts";

const KEY_BITS = 3072;

/** `signature.json`: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017) over the bytes of `service.json`; deterministic, as MF-61 needs. */
export const MetadataSignature = z.strictObject({
  algorithm: z.literal("RS256"),
  /** SubjectPublicKeyInfo, PEM. */
  publicKey: z.string().max(4096),
  /** Base64. */
  signature: z.string().max(4096),
});
export type MetadataSignature = z.infer<typeof MetadataSignature>;

const isSigningKey = (key: KeyObject): boolean =>
  key.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails?.modulusLength === KEY_BITS && key.asymmetricKeyDetails.publicExponent === 3n;

/** SHA-256 (hex) of a public key's SubjectPublicKeyInfo. */
export const signerOf = (publicKey: KeyObject): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");

/** Reads the image signing key, or makes it (RSA 3072, e = 3, as enclave signatures need) with mode 0600. Throws E-SIGN-KEY. */
export async function obtainSigningKey(file: string): Promise<KeyObject> {
  let pem: string;
  try {
    pem = await readFile(file, "utf8");
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT"))
      throw new ImageError("E-SIGN-KEY", `the signing key ${file} cannot be read`, { cause });
    return makeSigningKey(file);
  }
  try {
    const key = createPrivateKey(pem);
    if (isSigningKey(key)) return key;
  } catch (cause) {
    throw new ImageError("E-SIGN-KEY", `${file} holds no private key in PEM form`, {
      cause,
      field: "build.signature.key",
      remedy: "Give an RSA key of 3072 bits with the public exponent 3 (PEM).",
    });
  }
  throw new ImageError("E-SIGN-KEY", `the key in ${file} is not RSA 3072 PEM with the public exponent 3`, {
    field: "build.signature.key",
    remedy: "Make one with: openssl genrsa -3 -out identity.pem 3072",
  });
}

async function makeSigningKey(file: string): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: KEY_BITS, publicExponent: 3 });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { flag: "wx", mode: 0o600 });
  return privateKey;
}

export function signMetadata(serviceJson: string, privateKey: KeyObject): MetadataSignature {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  return { algorithm: "RS256", publicKey, signature: sign("sha256", Buffer.from(serviceJson), privateKey).toString("base64") };
}

/** Checks the signature and returns the signer's key hash; whether that signer is acceptable is the caller's question. */
export function verifyMetadata(serviceJson: Uint8Array, { publicKey, signature }: MetadataSignature): string {
  const fail = (detail: string, cause?: unknown) =>
    new ImageError("E-META-SIGNATURE", `service.json: ${detail}`, {
      cause,
      remedy: "Build the image again, or get it again from where it was built.",
    });
  let key: KeyObject;
  let bytes: Uint8Array;
  try {
    key = createPublicKey(publicKey);
    bytes = Uint8Array.fromBase64(signature, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw fail("its signature is malformed", cause);
  }
  if (!isSigningKey(key)) throw fail("it is not signed with an RSA key of 3072 bits");
  if (!verify("sha256", serviceJson, key, bytes)) throw fail(`it was changed after it was signed by key ${signerOf(key)}`);
  return signerOf(key);
}
