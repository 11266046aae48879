import type { Database } from "../database/database.ts";
import type { Transaction } from "../database/transaction.ts";

/** C-85, and ours in addition. */
export type AuditEvent =
  | "audit_log_enabled"
  | "audit_log_disabled"
  | "audit_log_attestation_report"
  | "cas_started"
  | "cas_exited"
  | "session_created"
  | "session_read"
  | "session_updated"
  | "secrets_exported"
  | "service_attested"
  | "service_fspf_tag_updated"
  | "volume_fspf_tag_updated"
  | "service_exited"
  | "attestation_refused"
  | "config_updated"
  | "provisioned"
  | "node_key_enrolled"
  | "node_issuer_changed"
  | "backup_issuer_changed"
  | "evidence_verified"
  | "rollback_accepted"
  | "backup_registered"
  | "backup_removed"
  | "upgrade_started"
  | "database_recovered"
  | "certificates_renewed"
  | "session_patched"
  | "secrets_rotated"
  | "secret_supplied"
  | "secret_read"
  | "proposal_created"
  | "proposal_approved"
  | "proposal_rejected"
  | "proposal_withdrawn"
  | "proposal_stale"
  | "proposal_expired";

/**
 * Changes always leave an entry: the log is also what pins the state of the database. So does a person who was given a secret. The others only when the
 * owner wants an audit log.
 */
const ALWAYS: ReadonlySet<AuditEvent> = new Set<AuditEvent>([
  "session_created",
  "session_updated",
  "config_updated",
  "provisioned",
  "node_key_enrolled",
  "node_issuer_changed",
  "backup_issuer_changed",
  "rollback_accepted",
  "backup_registered",
  "backup_removed",
  "upgrade_started",
  "database_recovered",
  "certificates_renewed",
  "session_patched",
  "secrets_rotated",
  "secret_supplied",
  "secret_read",
  "proposal_created",
  "proposal_approved",
  "proposal_rejected",
  "proposal_withdrawn",
  "proposal_stale",
  "proposal_expired",
]);

export type AuditMode = "disabled" | "unsigned" | "signed";

/** Writes entries with limited information (C-86): names, keys, measurements, hashes that are public; never secrets or documents. */
export class AuditLog {
  readonly #database: Database;
  readonly #cas: string;
  readonly #now: () => Date;
  mode: AuditMode = "disabled";

  constructor(database: Database, cas: string, now: () => Date) {
    this.#database = database;
    this.#cas = cas;
    this.#now = now;
  }

  /** Adds the entry to a change: both become durable together, or neither (C-4). */
  append(tx: Transaction, event: AuditEvent, data: object): void {
    if (this.mode === "disabled" && !ALWAYS.has(event)) return;
    tx.append({ time: this.#now().toISOString(), cas: this.#cas, event, data });
  }

  /** An entry on its own, durable when this returns. */
  async record(event: AuditEvent, data: object): Promise<void> {
    if (this.mode === "disabled" && !ALWAYS.has(event)) return;
    await this.#database.transact((tx) => this.append(tx, event, data));
  }
}
