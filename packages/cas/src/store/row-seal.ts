import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { CasError } from "../cas-error.ts";
import type { RowKey, SealedRow } from "./row-store.ts";

const FORMAT = 1;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + SALT_BYTES;
const NO_NONCE = Buffer.alloc(12);

/**
 * Seals rows under the database key (C-1). Each sealing has its own AES-256-GCM key, HMAC-SHA-256 over 32 random bytes and the row's kind, id
 * and version; hence the nonce may be constant and a row fits nowhere but in its place. Layout: u8 format | 32 salt | ciphertext | 16 tag.
 */
export class RowSeal {
  readonly #sealKey: Buffer;
  readonly #digestKey: Buffer;

  /** `databaseKey` has 32 bytes and stays the caller's. */
  constructor(databaseKey: Uint8Array) {
    this.#sealKey = derive(databaseKey, "vouchsafe/row-seal/1");
    this.#digestKey = derive(databaseKey, "vouchsafe/row-digest/1");
  }

  seal(key: RowKey, version: number, plain: Uint8Array): SealedRow {
    const salt = randomBytes(SALT_BYTES);
    const name = rowName(key, version);
    const cipher = createCipheriv("aes-256-gcm", this.#rowKey(salt, name), NO_NONCE).setAAD(name);
    const sealed = Buffer.concat([Uint8Array.of(FORMAT), salt, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return { kind: key.kind, id: key.id, version, sealed };
  }

  /** Throws STORE_TAMPERED when the row is not what this CAS wrote there under this version. */
  open(row: SealedRow): Buffer {
    const { sealed } = row;
    if (sealed.length < HEADER_BYTES + TAG_BYTES) throw tampered(row);
    if (sealed[0] !== FORMAT)
      throw tampered(row, `: its form is ${sealed[0]}, known is ${FORMAT}; a newer program wrote it, or somebody changed it`);
    const name = rowName(row, row.version);
    const key = this.#rowKey(sealed.subarray(1, HEADER_BYTES), name);
    const decipher = createDecipheriv("aes-256-gcm", key, NO_NONCE, { authTagLength: TAG_BYTES }).setAAD(name);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch {
      throw tampered(row); // the cipher's own error says nothing more
    }
  }

  /** Did this CAS write the row, under this key? */
  opens(row: SealedRow): boolean {
    try {
      this.open(row);
      return true;
    } catch (error) {
      if (error instanceof CasError) return false;
      throw error;
    }
  }

  /** The row's share in the digest of the whole database. Its authentication tag stands for its content. */
  rowDigest(row: SealedRow): bigint {
    const mac = createHmac("sha256", this.#digestKey).update(rowName(row, row.version)).update(row.sealed.subarray(-TAG_BYTES));
    return BigInt(`0x${mac.digest("hex")}`);
  }

  #rowKey(salt: Uint8Array, name: Uint8Array): Buffer {
    return createHmac("sha256", this.#sealKey).update(salt).update(name).digest();
  }
}

function rowName({ kind, id }: RowKey, version: number): Buffer {
  return Buffer.from(`${kind.length} ${kind}${id.length} ${id}${version}`);
}

function derive(key: Uint8Array, label: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, new Uint8Array(0), label, 32));
}

function tampered({ kind, id }: RowKey, detail = ""): CasError {
  return new CasError("STORE_TAMPERED", `the row ${kind} ${JSON.stringify(id)} of the database is not what this CAS wrote${detail}`, {
    remedy: "Restore the last snapshot, then confirm the loss with: vouchsafe cas accept-rollback.",
  });
}
