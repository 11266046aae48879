import { createPublicKey } from "node:crypto";
import { keyHash } from "@vouchsafe/policy";
import { isInstanceKeyType } from "@vouchsafe/protocol";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";

interface NodeKeyRecord {
  /** DER SubjectPublicKeyInfo, base64. */
  readonly key: string;
  readonly enrolledAt: string;
  /** Enrolled on a cluster's word: believed until then, unless the cluster says it again. Absent: enrolled by the owner, for good. */
  readonly believedUntil?: string;
}

/** A node that was removed is believed no longer than this: nobody speaks for its agent any more. */
const LEASE_MS = 6 * 3_600_000;

/** Keys of node agents whose statements this CAS believes (C-91). */
export class NodeKeys {
  readonly #context: CasContext;
  readonly #records = new Map<string, NodeKeyRecord>();

  private constructor(context: CasContext) {
    this.#context = context;
  }

  static async open(context: CasContext): Promise<NodeKeys> {
    const nodeKeys = new NodeKeys(context);
    for (const id of context.database.ids("node-key")) {
      const record = await context.database.get<NodeKeyRecord>({ kind: "node-key", id });
      if (record !== undefined) nodeKeys.#records.set(id, record);
    }
    return nodeKeys;
  }

  /** DER SubjectPublicKeyInfo of each that is believed now. */
  get keys(): readonly Uint8Array[] {
    return [...this.#records.values()].filter((record) => this.#isBelieved(record)).map(({ key }) => Uint8Array.fromBase64(key));
  }

  /**
   * Enrols a key; harmless when it is enrolled already. `node` is its node's name where the cluster vouched for it: then it is believed for six hours
   * from now. Returns the key's hash, as policies name it in `NODE_KEY:…`, and whether it was not believed before. Throws `bad_request`.
   */
  async enrol(spki: Uint8Array, node?: string): Promise<{ readonly keyHash: string; readonly isNew: boolean }> {
    assertAgentKey(spki);
    const id = keyHash(spki);
    const present = this.#records.get(id);
    const nowMs = this.#context.now().getTime();
    const isForGood = present !== undefined && present.believedUntil === undefined;
    // A cluster repeats its word every few minutes: what still holds for half of the time needs no new record.
    const isFresh = node !== undefined && Date.parse(present?.believedUntil ?? "") - nowMs > LEASE_MS / 2;
    if (isForGood || isFresh) return { keyHash: id, isNew: false };
    const record: NodeKeyRecord = {
      key: spki.toBase64(),
      enrolledAt: present?.enrolledAt ?? new Date(nowMs).toISOString(),
      ...(node === undefined ? {} : { believedUntil: new Date(nowMs + LEASE_MS).toISOString() }),
    };
    const isNew = present === undefined || !this.#isBelieved(present);
    const context = this.#context;
    await context.database.transact((tx) => {
      tx.put({ kind: "node-key", id }, record);
      if (isNew || node === undefined) context.audit.append(tx, "node_key_enrolled", { key: id, ...(node === undefined ? {} : { node }) });
    });
    this.#records.set(id, record);
    return { keyHash: id, isNew };
  }

  #isBelieved({ believedUntil }: NodeKeyRecord): boolean {
    return believedUntil === undefined || Date.parse(believedUntil) > this.#context.now().getTime();
  }
}

function assertAgentKey(spki: Uint8Array): void {
  try {
    if (isInstanceKeyType(createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }))) return;
  } catch {
    // not a key at all: the same answer
  }
  throw new ApiError("bad_request", "a node agent's key is a P-256 or Ed25519 public key (DER SubjectPublicKeyInfo)");
}
