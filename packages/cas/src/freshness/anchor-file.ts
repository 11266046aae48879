import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** How far the database had come when the anchor was written. */
export interface AnchorPosition {
  readonly commit: number;
  readonly logSize: number;
  /** 64 hex digits. */
  readonly logRoot: string;
}

export type AnchorReading =
  | { readonly kind: "position"; readonly position: AnchorPosition }
  /** Never written. */
  | { readonly kind: "absent" }
  /** There is a file, and this CAS did not write it so. */
  | { readonly kind: "damaged" };

const SLOT_BYTES = 96;
const MAC_BYTES = 32;
const PAYLOAD_BYTES = 8 + 8 + 32;

/**
 * A position kept in a file away from the database (C-5): two slots, written in turn, each u64 commit | u64 log size | 32 log root |
 * 32 HMAC-SHA-256, padded to 96 bytes. Written after each commit without waiting for the disk: a position that is behind accuses nobody, only
 * one that is ahead does. It catches whoever can put back the database and not this file too.
 */
export class AnchorFile implements Disposable {
  readonly #file: number;
  /** The first one writes; each may have written what is read. */
  #keys: readonly Buffer[];
  readonly path: string;

  /**
   * Keys stay the caller's. `otherKey`: of the other side of a roll-over that was interrupted. Where nothing may be written the file is only read.
   */
  constructor(path: string, databaseKey: Uint8Array, otherKey?: Uint8Array) {
    this.path = path;
    this.#keys = otherKey === undefined ? [anchorKey(databaseKey)] : [anchorKey(databaseKey), anchorKey(otherKey)];
    const isNew = !existsSync(path);
    if (isNew) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#file = isNew ? openSync(path, "wx+", 0o600) : openExisting(path);
    // The space is taken now: a disk that is full later has room for positions.
    if (isNew) writeSync(this.#file, Buffer.alloc(2 * SLOT_BYTES), 0, 2 * SLOT_BYTES, 0);
  }

  read(): AnchorReading {
    const bytes = Buffer.alloc(2 * SLOT_BYTES);
    const length = readSync(this.#file, bytes, 0, bytes.length, 0);
    if (bytes.every((byte) => byte === 0)) return { kind: "absent" };
    const slots = [0, 1].flatMap((slot) => this.#readSlot(bytes.subarray(slot * SLOT_BYTES, Math.min(length, (slot + 1) * SLOT_BYTES))));
    const [first, second] = slots;
    if (first === undefined) return { kind: "damaged" };
    return { kind: "position", position: second !== undefined && second.commit > first.commit ? second : first };
  }

  /** The position and nothing else: what was written before, perhaps under another key, counts no more. */
  reset(position: AnchorPosition): void {
    this.write(position);
    writeSync(this.#file, Buffer.alloc(SLOT_BYTES), 0, SLOT_BYTES, ((position.commit + 1) % 2) * SLOT_BYTES);
  }

  write({ commit, logSize, logRoot }: AnchorPosition): void {
    const slot = Buffer.alloc(SLOT_BYTES);
    slot.writeBigUInt64BE(BigInt(commit), 0);
    slot.writeBigUInt64BE(BigInt(logSize), 8);
    slot.write(logRoot, 16, "hex");
    mac(this.#keys[0], slot).copy(slot, PAYLOAD_BYTES);
    writeSync(this.#file, slot, 0, SLOT_BYTES, (commit % 2) * SLOT_BYTES);
  }

  /** What is written from now on belongs to the database under this key. */
  replaceKey(databaseKey: Uint8Array): void {
    this.#keys = [anchorKey(databaseKey)];
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #readSlot(slot: Buffer): AnchorPosition[] {
    if (slot.length !== SLOT_BYTES) return [];
    const found = slot.subarray(PAYLOAD_BYTES, PAYLOAD_BYTES + MAC_BYTES);
    if (!this.#keys.some((key) => timingSafeEqual(found, mac(key, slot)))) return [];
    const logRoot = slot.subarray(16, PAYLOAD_BYTES).toString("hex");
    return [{ commit: Number(slot.readBigUInt64BE(0)), logSize: Number(slot.readBigUInt64BE(8)), logRoot }];
  }
}

function mac(key: Buffer | undefined, slot: Buffer): Buffer {
  if (key === undefined) throw new TypeError("an anchor has a key");
  return createHmac("sha256", key).update(slot.subarray(0, PAYLOAD_BYTES)).digest();
}

function anchorKey(databaseKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", databaseKey, new Uint8Array(0), "vouchsafe/freshness-anchor/1", 32));
}

function openExisting(path: string): number {
  try {
    return openSync(path, "r+");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EROFS" || code === "EACCES") return openSync(path, "r");
    throw error;
  }
}
