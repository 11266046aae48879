import { createPublicKey } from "node:crypto";
import { keyHash } from "@vouchsafe/policy";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";

interface NodeKeyRecord {
  /** DER SubjectPublicKeyInfo, base64. */
  readonly key: string;
  readonly enrolledAt: string;
}

/** Keys of node agents whose statements this CAS believes (C-91). */
export class NodeKeys {
  readonly #context: CasContext;
  #keys: readonly Uint8Array[] = [];

  private constructor(context: CasContext) {
    this.#context = context;
  }

  static async open(context: CasContext): Promise<NodeKeys> {
    const nodeKeys = new NodeKeys(context);
    const keys: Uint8Array[] = [];
    for (const id of context.database.ids("node-key")) {
      const record = await context.database.get<NodeKeyRecord>({ kind: "node-key", id });
      if (record !== undefined) keys.push(Uint8Array.fromBase64(record.key));
    }
    nodeKeys.#keys = keys;
    return nodeKeys;
  }

  /** DER SubjectPublicKeyInfo of each. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  isEnrolled(spki: Uint8Array): boolean {
    return this.#context.database.ids("node-key").has(keyHash(spki));
  }

  /**
   * Enrols a key; harmless when it is enrolled already. `node` is its node's name where the cluster vouched for it. Returns the key's hash, as
   * policies name it in `NODE_KEY:…`. Throws `bad_request`.
   */
  async enrol(spki: Uint8Array, node?: string): Promise<string> {
    assertAgentKey(spki);
    const id = keyHash(spki);
    const context = this.#context;
    if (context.database.ids("node-key").has(id)) return id;
    await context.database.transact((tx) => {
      tx.put({ kind: "node-key", id }, { key: spki.toBase64(), enrolledAt: context.now().toISOString() } satisfies NodeKeyRecord);
      context.audit.append(tx, "node_key_enrolled", { key: id, ...(node === undefined ? {} : { node }) });
    });
    this.#keys = [...this.#keys, spki];
    return id;
  }
}

function assertAgentKey(spki: Uint8Array): void {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (key.asymmetricKeyType === "ed25519") return;
    if (key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1") return;
  } catch {
    // not a key at all: the same answer
  }
  throw new ApiError("bad_request", "a node agent's key is a P-256 or Ed25519 public key (DER SubjectPublicKeyInfo)");
}
