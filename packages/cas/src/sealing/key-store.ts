import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
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
  /** 32 bytes; never stored by the caller. */
  readonly platformKey: Uint8Array;
  /** Overwrites the key: called once the database is open (hazard D9). */
  forget(): void;
}

const KEY_BYTES = 32;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const HEX_DIGITS = Buffer.from("0123456789abcdef");
const Hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const KeyStoreFile = z.strictObject({
  format: z.literal(1),
  sealing: z.literal("file"),
  platform: Hex(32),
  salt: Hex(SALT_BYTES),
  sealed: Hex(KEY_BYTES + TAG_BYTES),
});

/** Reads the platform key, or makes one (mode 0600) on first use. Throws KEY_STORE. */
export function openPlatformKeyFile(path: string): SealingProvider {
  if (!existsSync(path)) makeHexKey(path);
  const platformKey = readHexKey(path);
  if (platformKey === undefined) {
    throw new CasError("KEY_STORE", `the platform key ${path} is not 64 hex digits`, {
      remedy: "Restore the file; without it the database is lost.",
    });
  }
  const platformId = createHash("sha256").update("vouchsafe/platform/1\0").update(platformKey).digest("hex");
  return { kind: "file", platformId, platformKey, forget: () => platformKey.fill(0) };
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

/** `<database path without extension>.key-store` (C-1). */
export function keyStorePath(databasePath: string): string {
  return `${databasePath.replace(/\.[^./]*$/, "")}.key-store`;
}

/**
 * Unseals the database key, or makes and seals one when there is neither database nor key store yet. `databasePath` is undefined where the
 * database is no file. Throws KEY_STORE: one of the two files without the other, another platform, a changed file.
 */
export function openKeyStore(databasePath: string | undefined, path: string, provider: SealingProvider): Uint8Array {
  const hasKeyStore = existsSync(path);
  const hasDatabase = databasePath === undefined ? hasKeyStore : existsSync(databasePath);
  if (hasDatabase && !hasKeyStore) {
    throw new CasError("KEY_STORE", `the database ${databasePath} is there but its key store ${path} is missing`, {
      remedy: "Restore the key store from the same snapshot, or move the database away to start anew.",
    });
  }
  if (!hasDatabase && hasKeyStore) {
    throw new CasError("KEY_STORE", `the key store ${path} is there but its database ${databasePath} is missing`, {
      remedy: "Restore the database from the same snapshot, or move the key store away to start anew.",
    });
  }
  if (hasKeyStore) return unseal(path, provider);
  const key = randomBytes(KEY_BYTES);
  const salt = randomBytes(SALT_BYTES);
  const sealingKeyBytes = sealingKey(provider, salt);
  const cipher = createCipheriv("aes-256-gcm", sealingKeyBytes, Buffer.alloc(12)).setAAD(associatedData(provider));
  const sealed = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  sealingKeyBytes.fill(0);
  const file = {
    format: 1,
    sealing: provider.kind,
    platform: provider.platformId,
    salt: salt.toString("hex"),
    sealed: sealed.toString("hex"),
  };
  writeDurably(path, `${JSON.stringify(file)}\n`);
  return key;
}

function unseal(path: string, provider: SealingProvider): Uint8Array {
  const damaged = (detail: string) =>
    new CasError("KEY_STORE", `the key store ${path} ${detail}`, { remedy: "Restore it from a snapshot." });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw damaged("cannot be read as JSON"); // the parser's message would quote the file
  }
  const parsed = KeyStoreFile.safeParse(value);
  if (!parsed.success) throw damaged("is damaged");
  const { platform, salt, sealed } = parsed.data;
  if (platform !== provider.platformId) {
    throw new CasError("KEY_STORE", `the key store ${path} was sealed on another platform`, {
      remedy: "Start the CAS with the platform key that it was made with, or on a registered backup.",
    });
  }
  const bytes = Buffer.from(sealed, "hex");
  const key = sealingKey(provider, Buffer.from(salt, "hex"));
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12), { authTagLength: TAG_BYTES }).setAAD(associatedData(provider));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const opened = decipher.update(bytes.subarray(0, -TAG_BYTES)); // a stream cipher: all of it, `final` adds nothing but the verdict
  try {
    decipher.final();
    return opened;
  } catch {
    opened.fill(0);
    throw damaged("was changed"); // the cipher's own error says nothing more
  } finally {
    key.fill(0);
  }
}

/** One key for each sealing (fresh salt), hence the constant nonce. */
function sealingKey(provider: SealingProvider, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", provider.platformKey, salt, "vouchsafe/key-store/1", KEY_BYTES));
}

const associatedData = ({ kind, platformId }: SealingProvider): Buffer => Buffer.from(`vouchsafe/key-store/1 ${kind} ${platformId}`);
