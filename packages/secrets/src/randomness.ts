import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import type { KeyType } from "@vouchsafe/policy";

/** Where secret values come from; an argument everywhere, so that the rest of this room is a pure function. */
export interface Randomness {
  bytes(count: number): Uint8Array;
  privateKey(type: KeyType): KeyObject;
}

/** The generator gives what no working one gives: nothing made with it may be used, and the process has to stop (hazard D7). */
export class RandomnessError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

const SAMPLE_BYTES = 16;

/** Passes on what `source` gives, unless 16 bytes are all the same or those of the time before, or a key comes twice. Throws RandomnessError. */
export function watchedRandomness(source: Randomness): Randomness {
  let lastSample = "";
  // By type: OpenSSL notes the comparison of keys of two types as an error, which the next call of something else would report.
  const lastKeys = new Map<KeyType, KeyObject>();
  return {
    bytes(count) {
      const bytes = source.bytes(count);
      if (bytes.length !== count) throw new RandomnessError(`the random generator gave ${bytes.length} bytes instead of ${count}`);
      if (count < SAMPLE_BYTES) return bytes;
      const sample = bytes.subarray(0, SAMPLE_BYTES);
      const text = sample.toHex();
      if (sample.every((byte) => byte === sample[0])) throw new RandomnessError("the random generator gives the same byte again and again");
      if (text === lastSample) throw new RandomnessError("the random generator gives the same bytes again");
      lastSample = text;
      return bytes;
    },
    privateKey(type) {
      const key = source.privateKey(type);
      if (lastKeys.get(type)?.equals(key)) throw new RandomnessError("the random generator makes the same key again");
      lastKeys.set(type, key);
      return key;
    },
  };
}

const TEST_BYTES = 2_500;
/** Of 20,000 fair bits, fewer ones than this, or fewer zeros, come once in sixty million times. */
const LEAST_ONES = 9_600;

/** Looks at 20,000 bits and two keys before anything depends on the generator. Throws RandomnessError. */
export function testRandomness(random: Randomness): void {
  const watched = watchedRandomness(random);
  const sample = watched.bytes(TEST_BYTES);
  watched.bytes(TEST_BYTES);
  const ones = sample.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  const bits = TEST_BYTES * 8;
  if (ones < LEAST_ONES || ones > bits - LEAST_ONES) throw new RandomnessError(`the random generator gives ${ones} ones in ${bits} bits`);
  for (const type of ["P-256", "P-256"] as const) watched.privateKey(type);
}

/** The operating system's generator through OpenSSL (SL-103), watched. RSA keys take a tenth of a second and more: make them at upload, never while a program waits. */
export const systemRandomness: Randomness = watchedRandomness({
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
});

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
