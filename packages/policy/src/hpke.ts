/** Hybrid public-key encryption, RFC 9180, base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from "node:crypto";

export interface Aead {
  readonly id: number;
  readonly cipher: "aes-128-gcm" | "aes-256-gcm";
  readonly keyBytes: number;
}

export const AES_128_GCM: Aead = { id: 0x0001, cipher: "aes-128-gcm", keyBytes: 16 };
export const AES_256_GCM: Aead = { id: 0x0002, cipher: "aes-256-gcm", keyBytes: 32 };

const KEM_ID = 0x0020;
const KDF_ID = 0x0001;
const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const ENCAPSULATED_KEY_BYTES = 32;
const PKCS8 = Uint8Array.fromHex("302e020100300506032b656e04220420");
const SPKI = Uint8Array.fromHex("302a300506032b656e032100");

const bytes = (...parts: readonly (Uint8Array | string)[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))));
const uint16 = (value: number) => Uint8Array.of(value >> 8, value & 255);
const KEM_SUITE = bytes("KEM", uint16(KEM_ID));

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmac(salt.length === 0 ? new Uint8Array(HASH_BYTES) : salt, bytes("HPKE-v1", suite, label, ikm));
}

function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array {
  const labeledInfo = bytes(uint16(length), "HPKE-v1", suite, label, info);
  const output = new Uint8Array(Math.ceil(length / HASH_BYTES) * HASH_BYTES);
  let block: Uint8Array = new Uint8Array();
  for (let index = 0; index * HASH_BYTES < length; index += 1) {
    block = hmac(prk, block, labeledInfo, Uint8Array.of(index + 1));
    output.set(block, index * HASH_BYTES);
  }
  return output.subarray(0, length);
}

export function x25519PrivateKey(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(bytes(PKCS8, raw)), format: "der", type: "pkcs8" });
}

export function x25519PublicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(bytes(SPKI, raw)), format: "der", type: "spki" });
}

/** Raw 32 bytes of an X25519 public key, or of the public half of a private one. */
export function rawX25519(key: KeyObject): Uint8Array {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "der" }).subarray(-32);
}

/** DeriveKeyPair of §7.1.3: the private key is a function of at least 32 secret random bytes. */
export function deriveKeyPair(ikm: Uint8Array): KeyObject {
  const prk = labeledExtract(KEM_SUITE, new Uint8Array(), "dkp_prk", ikm);
  return x25519PrivateKey(labeledExpand(KEM_SUITE, prk, "sk", new Uint8Array(), 32));
}

function sharedSecret(privateKey: KeyObject, publicKey: KeyObject, context: Uint8Array): Uint8Array {
  // OpenSSL refuses the all-zero result of a low-order point, as §7.1.4 asks.
  const prk = labeledExtract(KEM_SUITE, new Uint8Array(), "eae_prk", diffieHellman({ privateKey, publicKey }));
  return labeledExpand(KEM_SUITE, prk, "shared_secret", context, HASH_BYTES);
}

function keySchedule(secret: Uint8Array, info: Uint8Array, aead: Aead): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const suite = bytes("HPKE", uint16(KEM_ID), uint16(KDF_ID), uint16(aead.id));
  const none = new Uint8Array();
  const context = bytes(Uint8Array.of(0), labeledExtract(suite, none, "psk_id_hash", none), labeledExtract(suite, none, "info_hash", info));
  const prk = labeledExtract(suite, secret, "secret", none);
  return {
    key: labeledExpand(suite, prk, "key", context, aead.keyBytes),
    nonce: labeledExpand(suite, prk, "base_nonce", context, NONCE_BYTES),
  };
}

export interface SealOptions {
  readonly info: Uint8Array;
  readonly associatedData: Uint8Array;
  readonly aead: Aead;
}

/** Seal: encapsulated key, then ciphertext and tag. `ephemeralSeed` is 32 fresh random bytes; never use one twice. */
export function seal(
  plaintext: Uint8Array,
  recipient: KeyObject,
  ephemeralSeed: Uint8Array,
  { info, associatedData, aead }: SealOptions,
): Uint8Array {
  const ephemeral = deriveKeyPair(ephemeralSeed);
  const encapsulated = rawX25519(ephemeral);
  const secret = sharedSecret(ephemeral, recipient, bytes(encapsulated, rawX25519(recipient)));
  const { key, nonce } = keySchedule(secret, info, aead);
  const cipher = createCipheriv(aead.cipher, key, nonce).setAAD(associatedData);
  return bytes(encapsulated, cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

/** Open; undefined when the message was not sealed to this key with these parameters. */
export function open(sealed: Uint8Array, recipient: KeyObject, { info, associatedData, aead }: SealOptions): Uint8Array | undefined {
  if (sealed.length < ENCAPSULATED_KEY_BYTES + TAG_BYTES) return undefined;
  const encapsulated = sealed.subarray(0, ENCAPSULATED_KEY_BYTES);
  try {
    const secret = sharedSecret(recipient, x25519PublicKey(encapsulated), bytes(encapsulated, rawX25519(recipient)));
    const { key, nonce } = keySchedule(secret, info, aead);
    const decipher = createDecipheriv(aead.cipher, key, nonce, { authTagLength: TAG_BYTES })
      .setAAD(associatedData)
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const opened = decipher.update(sealed.subarray(ENCAPSULATED_KEY_BYTES, -TAG_BYTES)); // a stream cipher: all of it, and the only copy
    decipher.final();
    return new Uint8Array(opened.buffer, opened.byteOffset, opened.length);
  } catch {
    return undefined; // a wrong key, a changed byte or a low-order point: all the same to the caller
  }
}
