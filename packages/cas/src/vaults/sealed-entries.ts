/** Values of a session as they lie in a vault of somebody else (SL-154): sealed under a key that never leaves the CAS. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** What the CAS remembers of values that it keeps elsewhere: enough to tell that they are missing, changed or old. */
export interface KeptElsewhere {
  /** Host name. */
  readonly vault: string;
  readonly session: string;
  /** Hash of the version that the values were made for, 64 hex digits. */
  readonly sessionHash: string;
  /** Kind of the row that the values stand for. */
  readonly row: string;
  /** 64 hex digits; sealed nothing but these entries. */
  readonly key: string;
  /** Tag of each entry, 32 hex digits, in order. */
  readonly tags: readonly string[];
}

export interface SealedEntry {
  /** `cas-<session hash>-<tag>`. */
  readonly name: string;
  /** Base64. */
  readonly value: string;
}

/** An Azure secret has at most 25 KB, in base64. */
export const ENTRY_BYTES = 16 * 1024;
const MAX_ENTRIES = 256;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const CONTEXT = "vouchsafe/values-in-vault/1";

export const ENTRY_TYPE = "application/vnd.vouchsafe.values";

export const entryName = ({ sessionHash }: Pick<KeptElsewhere, "sessionHash">, tag: string): string => `cas-${sessionHash}-${tag}`;

/** Undefined when the values need more entries than a session may have. */
export function sealValues(
  place: Pick<KeptElsewhere, "vault" | "session" | "sessionHash" | "row">,
  value: object,
): { readonly kept: KeptElsewhere; readonly entries: readonly SealedEntry[] } | undefined {
  const plain = Buffer.from(JSON.stringify(value));
  const count = Math.max(1, Math.ceil(plain.length / ENTRY_BYTES));
  if (count > MAX_ENTRIES) return undefined;
  const key = randomBytes(KEY_BYTES);
  const entries: SealedEntry[] = [];
  const tags: string[] = [];
  for (let at = 0; at < count; at += 1) {
    // The key is used for these entries alone, so their number in order is a nonce that never repeats.
    const cipher = createCipheriv("aes-256-gcm", key, nonce(at)).setAAD(bound(place, at, count));
    const sealed = Buffer.concat([cipher.update(plain.subarray(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES)), cipher.final()]);
    const tag = cipher.getAuthTag().toHex();
    tags.push(tag);
    entries.push({ name: entryName(place, tag), value: sealed.toBase64() });
  }
  return { kept: { ...place, key: key.toHex(), tags }, entries };
}

/** The values, from the entries in order; undefined when one of them is not what was put there. */
export function openValues(kept: KeptElsewhere, sealed: readonly string[]): object | undefined {
  if (sealed.length !== kept.tags.length) return undefined;
  const key = Uint8Array.fromHex(kept.key);
  const parts: Buffer[] = [];
  try {
    for (const [at, tag] of kept.tags.entries()) {
      const decipher = createDecipheriv("aes-256-gcm", key, nonce(at), { authTagLength: TAG_BYTES });
      decipher.setAAD(bound(kept, at, kept.tags.length)).setAuthTag(Uint8Array.fromHex(tag));
      parts.push(
        decipher.update(Uint8Array.fromBase64(sealed[at] ?? "", { lastChunkHandling: "strict" })) as Buffer,
        decipher.final() as Buffer,
      );
    }
    return JSON.parse(Buffer.concat(parts).toString());
  } catch {
    return undefined; // no base64, or not what this key sealed
  }
}

function nonce(at: number): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(8, at);
  return bytes;
}

function bound(
  { vault, session, sessionHash, row }: Pick<KeptElsewhere, "vault" | "session" | "sessionHash" | "row">,
  at: number,
  count: number,
) {
  return Buffer.from(JSON.stringify([CONTEXT, vault, session, sessionHash, row, at, count]));
}
