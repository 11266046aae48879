import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import type { KeyType } from "@vouchsafe/policy";

/** Where secret values come from; an argument everywhere, so that the rest of this room is a pure function. */
export interface Randomness {
  bytes(count: number): Uint8Array;
  privateKey(type: KeyType): KeyObject;
}

/** The operating system's generator through OpenSSL (SL-103). RSA keys take a tenth of a second and more: make them at upload, never while a program waits. */
export const systemRandomness: Randomness = {
  bytes: (count) => randomBytes(count),
  privateKey(type) {
    switch (type) {
      case "P-256":
        return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
      case "P-384":
        return generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey;
      case "Ed25519":
        return generateKeyPairSync("ed25519").privateKey;
      case "RSA-2048":
        return generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 65_537 }).privateKey;
      case "RSA-3072":
        return generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 65_537 }).privateKey;
      case "ML-DSA-44":
        return generateKeyPairSync("ml-dsa-44").privateKey;
      case "ML-DSA-65":
        return generateKeyPairSync("ml-dsa-65").privateKey;
      case "ML-DSA-87":
        return generateKeyPairSync("ml-dsa-87").privateKey;
      default:
        return type satisfies never;
    }
  },
};

const PRINTABLE = 94; // U+0021 to U+007E
/** Largest multiple of 94 below 256: bytes from here on are dropped, so that every character is equally likely. */
const UNBIASED = 256 - (256 % PRINTABLE);

/** `size` characters from U+0021 to U+007E, uniformly (§12.1). */
export function printableText(size: number, { bytes }: Randomness): string {
  let text = "";
  while (text.length < size) {
    for (const byte of bytes(size - text.length + 16)) {
      if (byte < UNBIASED && text.length < size) text += String.fromCharCode(0x21 + (byte % PRINTABLE));
    }
  }
  return text;
}
