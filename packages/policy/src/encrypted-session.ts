/** Encrypted sessions (SL-194, SL-195): a signed session sealed to the session-encryption key of one CAS. */
import type { KeyObject } from "node:crypto";
import { AES_256_GCM, open, rawX25519, seal, x25519PublicKey } from "./hpke.ts";
import { readJsonObject } from "./json-object.ts";
import { PolicyError } from "./policy-error.ts";
import { MAX_SIGNED_BYTES } from "./signed-session.ts";

const INFO = Uint8Array.from(Buffer.from("vouchsafe/session-encryption/1"));
const malformed = (detail: string) => new PolicyError("ENCRYPTED_SESSION_MALFORMED", `encrypted session: ${detail}`, { rule: "SL-194" });
const MAX_ENCRYPTED_BYTES = 2 * MAX_SIGNED_BYTES;

/** The key as text: 64 hex digits, which name the suite X25519, HKDF-SHA256, AES-256-GCM. Other suites get other prefixes. */
export function sessionEncryptionKeyText(key: KeyObject): string {
  return rawX25519(key).toHex();
}

/** Reads a session-encryption key. Throws `PolicyError` ENCRYPTION_KEY_MALFORMED. */
export function parseSessionEncryptionKey(text: string): KeyObject {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new PolicyError("ENCRYPTION_KEY_MALFORMED", "not a session-encryption key; expected 64 hexadecimal digits", {
      rule: "SL-195",
      remedy: "Print it with `cas show-identification --session-encryption-key`.",
    });
  }
  return x25519PublicKey(Uint8Array.fromHex(text));
}

/** Is this text an encrypted session? Looks at its outer form only. */
export function isEncryptedSession(text: string): boolean {
  return /^\s*\{\s*"(?:policy|encryptionKey)"\s*:/.test(text) && text.includes('"encryptionKey"');
}

/** Encrypts a document (the JSON of a signed session) so that only the holder of the CAS's key reads it. `ephemeralSeed`: 32 fresh random bytes. */
export function encryptSession(document: string, casEncryptionKey: string, ephemeralSeed: Uint8Array): string {
  const recipient = parseSessionEncryptionKey(casEncryptionKey);
  const encryptionKey = casEncryptionKey.toLowerCase();
  const sealed = seal(Buffer.from(document), recipient, ephemeralSeed, sealOptions(encryptionKey));
  return `${JSON.stringify({ policy: sealed.toBase64(), encryptionKey }, undefined, 2)}\n`;
}

function sealOptions(encryptionKey: string) {
  return { info: INFO, associatedData: Buffer.from(encryptionKey), aead: AES_256_GCM };
}

/**
 * Opens an encrypted session with the CAS's present key or one of its earlier ones.
 * Throws `PolicyError` ENCRYPTED_SESSION_MALFORMED, ENCRYPTED_FOR_ANOTHER_CAS (names the key it was made for) or DECRYPTION_FAILED.
 */
export function decryptSession(text: string, privateKeys: readonly KeyObject[]): string {
  const { policy, encryptionKey } = readJsonObject(text, ["policy", "encryptionKey"], MAX_ENCRYPTED_BYTES, malformed);
  if (typeof policy !== "string" || typeof encryptionKey !== "string") throw malformed("`policy` and `encryptionKey` are not both texts");
  if (!/^[0-9a-f]{64}$/.test(encryptionKey)) throw malformed("`encryptionKey` is no session-encryption key");
  const key = privateKeys.find((candidate) => sessionEncryptionKeyText(candidate) === encryptionKey);
  if (key === undefined) {
    throw new PolicyError("ENCRYPTED_FOR_ANOTHER_CAS", `this session was encrypted for the key ${encryptionKey}`, {
      rule: "SL-194",
      remedy: "Upload it to the CAS that holds this key, or encrypt it again for this one.",
    });
  }
  let sealed: Uint8Array;
  try {
    sealed = Uint8Array.fromBase64(policy, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw new PolicyError("ENCRYPTED_SESSION_MALFORMED", "encrypted session: `policy` is no base64", { rule: "SL-194", cause });
  }
  const opened = open(sealed, key, sealOptions(encryptionKey));
  if (opened === undefined) throw new PolicyError("DECRYPTION_FAILED", "the encrypted session was damaged or changed", { rule: "SL-194" });
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(opened);
  } catch (cause) {
    throw new PolicyError("ENCRYPTED_SESSION_MALFORMED", "encrypted session: its content is no UTF-8 text", { rule: "SL-194", cause });
  }
}
