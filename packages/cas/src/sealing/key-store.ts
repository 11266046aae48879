import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import { RecoveryShares } from "../recovery/recovery-shares.ts";
import { writeDurably } from "./durable-file.ts";
import type { SealingProvider } from "./platform-key.ts";
import { isSealedFor, KeyForPlatform, SealedKey, sealForPlatform, unsealKey } from "./sealed-key.ts";

/** One database key, sealed for each who may open it. */
const SealedKeys = z.strictObject({
  keys: z.array(SealedKey).min(1).max(1000),
  /** Shares for the holders of recovery keys (C-80). */
  recovery: RecoveryShares.exactOptional(),
});
export type SealedKeys = z.infer<typeof SealedKeys>;

/** The key store as it lies beside the database (C-1). */
const KeyStore = SealedKeys.extend({
  format: z.literal(2),
  /** While a roll-over of the key is under way: the key that follows (C-79). */
  next: SealedKeys.exactOptional(),
});
export type KeyStore = Omit<z.infer<typeof KeyStore>, "format">;

/** One sealed key, that of the platform; read as long as there are such files. */
const KeyStoreOfFormat1 = KeyForPlatform.omit({ recipient: true, securityVersion: true }).extend({ format: z.literal(1) });

/** A database key in the clear. The holder overwrites it. */
export interface DatabaseKey {
  readonly bytes: Uint8Array;
  /** Key hash of the CAS that sealed it, where another instance did. */
  readonly sealedBy: string | undefined;
}

export interface OpenedKeyStore {
  readonly content: KeyStore;
  /** Undefined only when `next` is for this instance and this is not. */
  readonly present: DatabaseKey | undefined;
  readonly next: DatabaseKey | undefined;
}

const KEY_BYTES = 32;

/** `<database path without extension>.key-store` (C-1). */
export function keyStorePath(databasePath: string): string {
  return `${databasePath.replace(/\.[^./]*$/, "")}.key-store`;
}

/**
 * Unseals the database key, or makes and seals one when there is neither database nor key store yet. `databasePath` is undefined where the
 * database is no file. Throws KEY_STORE: one of the two files without the other, not sealed for this platform or this software, a changed file.
 */
export function openKeyStore(databasePath: string | undefined, path: string, provider: SealingProvider): OpenedKeyStore {
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
  const content = { keys: [sealForPlatform(key, provider)] };
  writeKeyStore(path, content);
  return { content, present: { bytes: key, sealedBy: undefined }, next: undefined };
}

/** Replaces the key store, durable when this returns. */
export function writeKeyStore(path: string, content: KeyStore): void {
  writeDurably(path, `${JSON.stringify({ format: 2, ...content })}\n`);
}

function unseal(path: string, provider: SealingProvider): OpenedKeyStore {
  const content = readKeyStore(path);
  const present = unsealOne(path, content.keys, provider);
  const next = content.next && unsealOne(path, content.next.keys, provider);
  if (present !== undefined || next !== undefined) return { content, present, next };
  throw notForUs(path, [...content.keys, ...(content.next?.keys ?? [])], provider);
}

/** Throws KEY_STORE. */
export function readKeyStore(path: string): KeyStore {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw damaged(path, "cannot be read as JSON"); // the parser's message would quote the file
  }
  const former = KeyStoreOfFormat1.safeParse(value);
  if (former.success) {
    const { format: _, ...key } = former.data;
    return { keys: [{ recipient: "platform", ...key, securityVersion: 0 }] };
  }
  const parsed = KeyStore.safeParse(value);
  if (!parsed.success) throw damaged(path, "is damaged");
  const { format: _, ...content } = parsed.data;
  return content;
}

function unsealOne(path: string, keys: readonly SealedKey[], provider: SealingProvider): DatabaseKey | undefined {
  const ours = keys.find((key) => isSealedFor(key, provider));
  if (ours === undefined) return undefined;
  const bytes = unsealKey(ours, provider);
  if (bytes === undefined) throw damaged(path, "was changed");
  return { bytes, sealedBy: ours.recipient === "instance" ? ours.cas : undefined };
}

function notForUs(path: string, keys: readonly SealedKey[], { platformId, securityVersion }: SealingProvider): CasError {
  const newer = keys.find((key) => key.recipient === "platform" && key.platform === platformId);
  if (newer !== undefined) {
    const message = `the key store ${path} is sealed for software of security version ${newer.securityVersion}; this software has ${securityVersion}`;
    return new CasError("KEY_STORE", message, { remedy: "Start the newer software again: a downgrade never gets the key." });
  }
  return new CasError("KEY_STORE", `the key store ${path} was sealed on another platform, and this machine is not registered in it`, {
    remedy:
      "Start the CAS with the platform key that it was made with, or on a machine that was registered: vouchsafe cas register-backup. A registration is void once the platform key of its machine changes.",
  });
}

const damaged = (path: string, detail: string): CasError =>
  new CasError("KEY_STORE", `the key store ${path} ${detail}`, { remedy: "Restore it from a snapshot." });
