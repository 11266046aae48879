import { createHash, hkdfSync, type KeyObject, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { deriveKeyPair, rawX25519 } from "@vouchsafe/policy";
import { CasError } from "../cas-error.ts";
import { writeDurably } from "./durable-file.ts";

/**
 * What keeps the database key while the CAS is not running. `file` is for machines without a sealing device: a key in another file of this
 * machine, so that the database and its key store alone (a stolen disk of the database, a backup) say nothing.
 */
export interface SealingProvider {
  readonly kind: "file";
  /** Names the platform without telling its key: a key store of another platform is recognised. */
  readonly platformId: string;
  /** Of this software: what was sealed for a higher one is not for it (C-79). */
  readonly securityVersion: number;
  /** 32 bytes; never stored by the caller. */
  readonly platformKey: Uint8Array;
  /** Overwrites the key: called once the database is open (hazard D9). */
  forget(): void;
}

const KEY_BYTES = 32;
const HEX_DIGITS = Buffer.from("0123456789abcdef");

/** Reads the platform key, or makes one (mode 0600) on first use. Throws KEY_STORE. */
export function openPlatformKeyFile(path: string, securityVersion: number): SealingProvider {
  if (!existsSync(path)) makeHexKey(path);
  const platformKey = readHexKey(path);
  if (platformKey === undefined) {
    throw new CasError("KEY_STORE", `the platform key ${path} is not 64 hex digits`, {
      remedy: "Restore the file; without it the database is lost.",
    });
  }
  const platformId = createHash("sha256").update("vouchsafe/platform/1\0").update(platformKey).digest("hex");
  return { kind: "file", platformId, securityVersion, platformKey, forget: () => platformKey.fill(0) };
}

/**
 * The X25519 key of this platform for software of this security version: another CAS seals its database key to the public half (C-73). Software
 * derives the keys of its own and of every lower security version, as hardware would let it. Throws TypeError for a higher one.
 */
export function instanceKey({ platformKey, securityVersion }: SealingProvider, wanted = securityVersion): KeyObject {
  if (wanted > securityVersion) throw new TypeError("the key of a higher security version");
  const seed = new Uint8Array(hkdfSync("sha256", platformKey, new Uint8Array(0), `vouchsafe/instance-key/1 ${wanted}`, KEY_BYTES));
  try {
    return deriveKeyPair(seed);
  } finally {
    seed.fill(0);
  }
}

/** Public half of {@link instanceKey}, 64 hex digits: how an instance is known to whoever registers it. */
export function instanceKeyText(provider: SealingProvider, wanted?: number): string {
  return rawX25519(instanceKey(provider, wanted)).toHex();
}

function makeHexKey(path: string): void {
  const key = randomBytes(KEY_BYTES);
  const digits = Buffer.alloc(KEY_BYTES * 2 + 1, "\n");
  for (const [at, byte] of key.entries()) digits.set([HEX_DIGITS[byte >> 4] ?? 0, HEX_DIGITS[byte & 15] ?? 0], at * 2);
  writeDurably(path, digits);
  key.fill(0);
  digits.fill(0);
}

/** Decodes the digits byte by byte: a text of them could not be overwritten afterwards. */
function readHexKey(path: string): Uint8Array | undefined {
  const digits = readFileSync(path);
  try {
    const key = new Uint8Array(new ArrayBuffer(KEY_BYTES)); // with a buffer of its own: what lies in V8's heap is copied about by the collector
    const end = digits.findLastIndex((byte) => byte > 0x20) + 1;
    if (end !== KEY_BYTES * 2) return undefined;
    for (let at = 0; at < end; at += 1) {
      const digit = HEX_DIGITS.indexOf(digits[at] ?? 0);
      if (digit < 0) return undefined;
      key[at >> 1] = ((key[at >> 1] ?? 0) << 4) | digit;
    }
    return key;
  } finally {
    digits.fill(0);
  }
}
