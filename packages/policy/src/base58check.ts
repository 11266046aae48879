import { createHash } from "node:crypto";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const MAX_CHARACTERS = 128;
const CHECKSUM_BYTES = 4;

function checksum(bytes: Uint8Array): Uint8Array {
  const once = createHash("sha256").update(bytes).digest();
  return createHash("sha256").update(once).digest().subarray(0, CHECKSUM_BYTES);
}

/** Base58Check as in Bitcoin: version byte, payload, first four bytes of the double SHA-256. */
export function encodeBase58Check(version: number, payload: Uint8Array): string {
  const versioned = Uint8Array.of(version, ...payload);
  const bytes = Uint8Array.of(...versioned, ...checksum(versioned));
  let value = BigInt(`0x${bytes.toHex()}`);
  let text = "";
  while (value > 0n) {
    text = ALPHABET.charAt(Number(value % 58n)) + text;
    value /= 58n;
  }
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}

export type Base58Check =
  | { readonly kind: "ok"; readonly version: number; readonly payload: Uint8Array }
  | { readonly kind: "malformed" }
  | { readonly kind: "checksum" };

/** Reads what `encodeBase58Check` writes. `malformed`: not this alphabet, or too short or long; `checksum`: mistyped. */
export function decodeBase58Check(text: string): Base58Check {
  if (text.length === 0 || text.length > MAX_CHARACTERS) return { kind: "malformed" };
  let value = 0n;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return { kind: "malformed" };
    value = value * 58n + BigInt(digit);
  }
  const leadingZeros = text.length - text.replace(/^1+/, "").length;
  const digits = value === 0n ? "" : value.toString(16);
  const bytes = Uint8Array.fromHex("00".repeat(leadingZeros) + (digits.length % 2 === 0 ? digits : `0${digits}`));
  if (bytes.length <= CHECKSUM_BYTES) return { kind: "malformed" };
  const versioned = bytes.subarray(0, -CHECKSUM_BYTES);
  if (checksum(versioned).toHex() !== bytes.subarray(-CHECKSUM_BYTES).toHex()) return { kind: "checksum" };
  const [version = 0] = versioned;
  return { kind: "ok", version, payload: versioned.slice(1) };
}
