import { constants, createHash, createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import type { CryptoProvider, PublicKey, SignatureQuestion } from "./crypto-provider.ts";

const COPIED_MAX_BYTES = 4096;

/** OpenSSL through `node:crypto`: synchronous, and the platform's own where it exists. */
export const platformProvider: CryptoProvider = {
  hash(algorithm, parts) {
    const [first] = parts;
    if (first !== undefined && parts.length === 1) return plain(hash(algorithm, first, "buffer"));
    // A copy of little costs less than a hash object.
    if (parts.reduce((sum, { length }) => sum + length, 0) <= COPIED_MAX_BYTES)
      return plain(hash(algorithm, Buffer.concat(parts), "buffer"));
    const digest = createHash(algorithm);
    for (const part of parts) digest.update(part);
    return plain(digest.digest());
  },
  isUsableKey: (key) => importKey(key) !== undefined,
  isSigned(question) {
    const key = importKey(question.key);
    return key !== undefined && isSignedByKey(question, key);
  },
};

/** The same bytes on every platform: a Buffer prints and serialises in its own way. */
const plain = ({ buffer, byteOffset, length }: Buffer): Uint8Array => new Uint8Array(buffer, byteOffset, length);

/** What `verifyAsync` asks unless it is given another provider. */
export const answerOnPlatform = (question: SignatureQuestion): boolean | Promise<boolean> => platformProvider.isSigned(question);

/** Importing a key costs as much as a signature check. */
const importedKeys = new WeakMap<PublicKey, KeyObject>();

function importKey(key: PublicKey): KeyObject | undefined {
  const known = importedKeys.get(key);
  if (known !== undefined) return known;
  try {
    const { buffer, byteOffset, length } = key.spki;
    const imported = createPublicKey({ key: Buffer.from(buffer, byteOffset, length), format: "der", type: "spki" });
    importedKeys.set(key, imported);
    return imported;
  } catch {
    return undefined; // OpenSSL checks the point; its message adds nothing for the reader
  }
}

function isSignedByKey({ scheme, message, signature }: SignatureQuestion, key: KeyObject): boolean {
  switch (scheme.kind) {
    case "ecdsa":
      return verify(scheme.digest, message, { key, dsaEncoding: scheme.encoding }, signature);
    case "rsa-pkcs1":
      return verify(scheme.digest, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case "rsa-pss":
      return verify(scheme.digest, message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltBytes }, signature);
    case "eddsa":
    case "ml-dsa":
      return verify(null, message, key, signature);
    default:
      return scheme satisfies never;
  }
}
