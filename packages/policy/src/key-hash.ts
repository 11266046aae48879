import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { decodeBase58Check, encodeBase58Check } from "./base58check.ts";

const KEY_HASH_VERSION = 0x01;
export const KEY_HASH_CHARACTERS = 50;

/** The name of a public key: Base58Check of version 1 and the SHA-256 of its DER SubjectPublicKeyInfo, 50 characters (SL-173, C-6). */
export function keyHash(spkiDer: Uint8Array): string {
  return encodeBase58Check(KEY_HASH_VERSION, createHash("sha256").update(spkiDer).digest());
}

/** Key hash of a public key, or of the public half of a private one. */
export function keyHashOf(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return keyHash(publicKey.export({ type: "spki", format: "der" }));
}

export type KeyHashReading =
  | { readonly kind: "ok" /** SHA-256 of the SPKI. */; readonly digest: Uint8Array }
  | { readonly kind: "malformed" | "checksum" }
  | { readonly kind: "version"; readonly version: number };

/** Reads a key hash; never throws. `version`: intact Base58Check of something that is no key hash. */
export function parseKeyHash(text: string): KeyHashReading {
  const decoded = decodeBase58Check(text);
  if (decoded.kind !== "ok") return { kind: decoded.kind };
  if (decoded.version !== KEY_HASH_VERSION) return { kind: "version", version: decoded.version };
  if (decoded.payload.length !== 32) return { kind: "malformed" };
  return { kind: "ok", digest: decoded.payload };
}
