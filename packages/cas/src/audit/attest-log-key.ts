import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { CasContext } from "../cas-context.ts";
import type { OwnEvidence } from "../identity/own-evidence.ts";

const RETRY_MS = 60_000;
const ED25519_SPKI_PREFIX_BYTES = 12;

/** The text whose SHA-512 the evidence covers (C-87). */
export function logKeyReport(auditKey: KeyObject): string {
  const key = createPublicKey(auditKey.export({ type: "pkcs8", format: "pem" })).export({ type: "spki", format: "der" });
  return `{"type":"CasAuditLogSigningKey", "signing_key":"${key.subarray(ED25519_SPKI_PREFIX_BYTES).toString("hex")}"}`;
}

/**
 * Once the audit log is on, writes evidence over its signing key into it, `audit_log_attestation_report` (C-87). In the background, tried again each
 * minute until it is there; where the platform gives no evidence, never. A checkpoint follows, so that the log alone proves the entry. Disposal ends
 * the attempts.
 */
export function attestLogKey(
  { audit, log, identity }: Pick<CasContext, "audit" | "log" | "identity">,
  own: OwnEvidence,
  noteCheckpoint: () => Promise<void>,
): Disposable {
  const report = logKeyReport(identity.auditKey);
  const userData = createHash("sha512").update(report).digest();
  let isBusy = false;
  const attempt = async () => {
    if (isBusy || audit.mode === "disabled") return;
    isBusy = true;
    try {
      const { evidence } = await own.over(userData);
      if (evidence === null) return;
      await audit.record("audit_log_attestation_report", { report, evidence });
      clearInterval(timer);
      if (audit.mode === "signed") await noteCheckpoint();
    } catch (error) {
      log.warn(`audit log: its key is not attested yet: ${error instanceof Error ? error.message : "unknown reason"}`);
    } finally {
      isBusy = false;
    }
  };
  const timer = setInterval(() => void attempt(), RETRY_MS).unref();
  if (own.description === undefined) clearInterval(timer);
  else void attempt();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
