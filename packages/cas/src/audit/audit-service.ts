import type { AuditCheckpoints } from "@vouchsafe/protocol";
import type { CasContext } from "../cas-context.ts";
import type { OwnerConfig } from "../config/owner-config.ts";
import type { LogSigner } from "./log-signer.ts";
import { type AuditSink, openAuditSink } from "./log-sinks.ts";

/** C-83. */
const ENTRIES_PER_CHECKPOINT = 250;
const CHECKPOINTS_MAX = 100;

/** Brings the owner's wishes for the audit log to bear, and answers what verifiers ask. */
export class AuditService implements Disposable {
  readonly #context: CasContext;
  readonly #signer: LogSigner;
  readonly #path: string;
  #sink: AuditSink | undefined;
  #noted = 0;

  constructor(context: CasContext, signer: LogSigner, path: string) {
    this.#context = context;
    this.#signer = signer;
    this.#path = path;
  }

  /** Opens the sink of a new configuration and sends it a first entry, so that a sink that does not work is noticed now (C-11). */
  async apply(config: OwnerConfig): Promise<void> {
    const { audit, database } = this.#context;
    const { mode } = config.auditLog;
    if (audit.mode !== "disabled" && mode === "disabled") await audit.record("audit_log_disabled", {});
    const before = this.#sink;
    const sink = openAuditSink(config, this.#path);
    const previousMode = audit.mode;
    audit.mode = mode;
    // A signed log admits forks of a single entry only (C-84): then each commit has one.
    database.maxEntriesPerCommit = mode === "signed" ? 1 : Number.POSITIVE_INFINITY;
    database.sink = sink && this.#wrap(sink, mode);
    try {
      if (mode === "signed") await sink?.note(this.#checkpointLine());
      if (sink !== undefined) await audit.record("audit_log_enabled", { mode, ...this.#signer.binding });
    } catch (error) {
      sink?.[Symbol.dispose]();
      audit.mode = previousMode;
      database.sink = before && this.#wrap(before, previousMode);
      throw error;
    }
    before?.[Symbol.dispose]();
    this.#sink = sink;
    this.#noted = database.tree.size;
    if (mode === "signed") await this.noteCheckpoint();
  }

  /** Writes a checkpoint of the log as it is into the sink. */
  async noteCheckpoint(): Promise<void> {
    const { size } = this.#context.database.tree;
    await this.#sink?.note(this.#checkpointLine());
    this.#noted = size;
  }

  /** With the edge of the tree, which lets a reader begin here: what follows can be verified without the entries before (C-88). */
  #checkpointLine(): string {
    const { tree } = this.#context.database;
    const edge = tree.edge.hashes.map((hash) => hash.toBase64());
    return JSON.stringify({ checkpoint: this.#signer.checkpoint(tree.size, tree.root), edge });
  }

  /** Latest position, and checkpoints between two sizes, at most a hundred. Throws STORE_TAMPERED. */
  async checkpoints(from: number, to: number): Promise<AuditCheckpoints> {
    const { tree } = this.#context.database;
    const latest = tree.size === 0 ? null : this.#signer.checkpoint(tree.size, tree.root);
    const last = Math.min(to, tree.size);
    const first = Math.max(1, from);
    const step = Math.max(1, Math.ceil((last - first + 1) / CHECKPOINTS_MAX));
    const sizes: number[] = [];
    for (let size = last; size >= first && sizes.length < CHECKPOINTS_MAX; size -= step) sizes.unshift(size);
    const roots = await this.#context.database.logRootsAt(sizes);
    return {
      origin: this.#signer.origin,
      latest,
      checkpoints: roots.map((root, at) => this.#signer.checkpoint(sizes[at] ?? 0, root)),
      keys: [this.#signer.binding.verifierKey],
    };
  }

  [Symbol.dispose](): void {
    this.#sink?.[Symbol.dispose]();
    this.#sink = undefined;
  }

  /** The file that was moved away ends with a checkpoint, and the new one begins with it (C-83): each verifies alone. */
  async #beginFile(sink: AuditSink, mode: OwnerConfig["auditLog"]["mode"]): Promise<void> {
    if (mode === "signed") await sink.note(this.#checkpointLine());
    sink.reopen();
    if (mode === "signed") await sink.note(this.#checkpointLine());
    this.#noted = this.#context.database.tree.size;
  }

  #wrap(sink: AuditSink, mode: OwnerConfig["auditLog"]["mode"]) {
    return {
      accept: async (entries: readonly string[]) => {
        if (sink.isRotated) await this.#beginFile(sink, mode);
        // The tree ends with the last committed entry: the checkpoint stands before the entries that follow it.
        if (mode === "signed" && this.#context.database.tree.size - this.#noted >= ENTRIES_PER_CHECKPOINT) await this.noteCheckpoint();
        await sink.accept(entries);
      },
    };
  }
}
