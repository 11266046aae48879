/** OpenPGP version 4 keys (RFC 4880 with RFC 6637 and the Ed25519 form GnuPG uses): Ed25519 to certify and sign, Curve25519 to encrypt. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import type { Randomness } from "./randomness.ts";

const ED25519_PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");
const X25519_PKCS8 = Uint8Array.fromHex("302e020100300506032b656e04220420");
const ED25519_OID = Uint8Array.fromHex("092b06010401da470f01");
const CURVE25519_OID = Uint8Array.fromHex("0a2b060104019755010501");
/** KDF parameters: SHA-256, AES-256. */
const KDF = Uint8Array.fromHex("03010809");
const EDDSA = 22;
const ECDH = 18;
const SHA256 = 8;
const TAG = { signature: 2, secretKey: 5, publicKey: 6, secretSubkey: 7, userId: 13, publicSubkey: 14 } as const;
const SIGNATURE = { positiveCertification: 0x13, subkeyBinding: 0x18 } as const;
const CERTIFY_AND_SIGN = 0x03;
const ENCRYPT = 0x0c;

const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));

function uint(value: number, bytes: number): Uint8Array {
  return Uint8Array.fromHex(value.toString(16).padStart(bytes * 2, "0"));
}

/** Multi-precision integer: bit count, then the bytes without leading zeros. */
function mpi(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start += 1;
  const body = bytes.subarray(start);
  const bits = body.length === 0 ? 0 : body.length * 8 - Math.clz32((body[0] ?? 0) << 24);
  return join(uint(bits, 2), body);
}

function packet(tag: number, body: Uint8Array): Uint8Array {
  const length =
    body.length < 192 ? uint(body.length, 1) : uint((((body.length - 192) >> 8) << 8) + 0xc000 + ((body.length - 192) & 0xff), 2);
  return join(uint(0xc0 | tag, 1), length, body);
}

function subpacket(type: number, body: Uint8Array): Uint8Array {
  return join(uint(body.length + 1, 1), uint(type, 1), body);
}

interface KeyMaterial {
  readonly publicBody: Uint8Array;
  readonly secretBody: Uint8Array;
}

function keyMaterial(
  created: Uint8Array,
  algorithm: number,
  oid: Uint8Array,
  point: Uint8Array,
  tail: Uint8Array,
  secret: Uint8Array,
): KeyMaterial {
  const publicBody = join(uint(4, 1), created, uint(algorithm, 1), oid, mpi(join(uint(0x40, 1), point)), tail);
  const secretMpi = mpi(secret);
  const checksum = secretMpi.reduce((sum, byte) => (sum + byte) & 0xffff, 0);
  return { publicBody, secretBody: join(publicBody, uint(0, 1), secretMpi, uint(checksum, 2)) };
}

const keyFrame = (publicBody: Uint8Array): Uint8Array => join(uint(0x99, 1), uint(publicBody.length, 2), publicBody);

interface Signer {
  readonly key: KeyObject;
  readonly fingerprint: Uint8Array;
  readonly created: Uint8Array;
}

function signature(signer: Signer, type: number, signedData: Uint8Array, flags: number, preferences: readonly Uint8Array[]): Uint8Array {
  const hashed = join(
    subpacket(33, join(uint(4, 1), signer.fingerprint)),
    subpacket(2, signer.created),
    subpacket(27, uint(flags, 1)),
    ...preferences,
  );
  const head = join(uint(4, 1), uint(type, 1), uint(EDDSA, 1), uint(SHA256, 1), uint(hashed.length, 2), hashed);
  const digest = createHash("sha256").update(signedData).update(head).update(Uint8Array.of(4, 0xff)).update(uint(head.length, 4)).digest();
  const value = sign(null, digest, signer.key);
  const unhashed = subpacket(16, signer.fingerprint.subarray(12));
  const body = join(head, uint(unhashed.length, 2), unhashed, digest.subarray(0, 2), mpi(value.subarray(0, 32)), mpi(value.subarray(32)));
  return packet(TAG.signature, body);
}

function rawKey(prefix: Uint8Array, seed: Uint8Array): { readonly key: KeyObject; readonly point: Uint8Array } {
  const key = createPrivateKey({ key: Buffer.from(join(prefix, seed)), format: "der", type: "pkcs8" });
  return { key, point: createPublicKey(key).export({ type: "spki", format: "der" }).subarray(-32) };
}

/** A key pair as base64 of the binary transferable secret and public key. User id: random, no e-mail address (§12.1). */
export function generatePgpKey(now: Date, { bytes }: Randomness): { readonly privateKey: string; readonly publicKey: string } {
  const created = uint(Math.floor(now.getTime() / 1000), 4);
  const signSeed = Uint8Array.from(bytes(32));
  const encryptSeed = Uint8Array.from(bytes(32));
  // Clamped here because GnuPG stores the scalar, not the seed.
  encryptSeed[0] = (encryptSeed[0] ?? 0) & 0xf8;
  encryptSeed[31] = ((encryptSeed[31] ?? 0) & 0x7f) | 0x40;
  const signing = rawKey(ED25519_PKCS8, signSeed);
  const encrypting = rawKey(X25519_PKCS8, encryptSeed);
  const primary = keyMaterial(created, EDDSA, ED25519_OID, signing.point, new Uint8Array(), signSeed);
  const subkey = keyMaterial(created, ECDH, CURVE25519_OID, encrypting.point, KDF, encryptSeed.toReversed());
  const fingerprint = createHash("sha1").update(keyFrame(primary.publicBody)).digest();
  const signer = { key: signing.key, fingerprint, created };
  const userId = Buffer.from(`vouchsafe ${bytes(16).toHex()}`);
  const preferences = [subpacket(11, uint(9, 1)), subpacket(21, uint(SHA256, 1)), subpacket(22, uint(2, 1)), subpacket(30, uint(1, 1))];
  const certified = join(keyFrame(primary.publicBody), uint(0xb4, 1), uint(userId.length, 4), userId);
  const selfSignature = signature(signer, SIGNATURE.positiveCertification, certified, CERTIFY_AND_SIGN, preferences);
  const binding = signature(signer, SIGNATURE.subkeyBinding, join(keyFrame(primary.publicBody), keyFrame(subkey.publicBody)), ENCRYPT, []);
  const between = join(packet(TAG.userId, userId), selfSignature);
  return {
    privateKey: join(packet(TAG.secretKey, primary.secretBody), between, packet(TAG.secretSubkey, subkey.secretBody), binding).toBase64(),
    publicKey: join(packet(TAG.publicKey, primary.publicBody), between, packet(TAG.publicSubkey, subkey.publicBody), binding).toBase64(),
  };
}

/** ASCII armor with its CRC-24 (RFC 4880 §6). */
export function armor(kind: "PRIVATE" | "PUBLIC", base64: string): string {
  const lines = base64.replace(/.{64}(?=.)/g, "$&\n");
  const crc = uint(crc24(Uint8Array.fromBase64(base64)), 3).toBase64();
  return `-----BEGIN PGP ${kind} KEY BLOCK-----\n\n${lines}\n=${crc}\n-----END PGP ${kind} KEY BLOCK-----\n`;
}

function crc24(bytes: Uint8Array): number {
  let crc = 0xb704ce;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x800000 ? ((crc << 1) ^ 0x864cfb) & 0xffffff : (crc << 1) & 0xffffff;
  }
  return crc;
}
