import { createHash } from "node:crypto";
import { EvidenceJson } from "@vouchsafe/protocol";
import { z } from "zod";
import { parseLogEntries } from "./verify-audit-log.ts";

/** What an `audit_log_attestation_report` entry says (C-87): nothing of it is verified yet. */
export interface LogKeyEvidence {
  /** Of the entry. */
  readonly sequence: number;
  readonly time: string;
  /** The Ed25519 key that signs the log, 64 hex digits. */
  readonly signingKey: string;
  /** SHA-512 of the report: what the evidence has to cover. */
  readonly userData: Uint8Array;
  readonly evidence: EvidenceJson;
}

const REPORT = /^\{"type":"CasAuditLogSigningKey", "signing_key":"([0-9a-f]{64})"\}$/;
const Attestation = z.strictObject({ report: z.string().regex(REPORT), evidence: EvidenceJson });
const Binding = z.looseObject({ verifierKey: z.string().max(512) });

/** The evidence over its keys that a log holds, in its order. Entries of another form are none: they prove nothing. */
export function findLogKeyEvidence(text: string): readonly LogKeyEvidence[] {
  return parseLogEntries(text).flatMap(({ sequence, time, event, data }) => {
    const parsed = event === "audit_log_attestation_report" ? Attestation.safeParse(data) : undefined;
    if (parsed?.success !== true) return [];
    const { report, evidence } = parsed.data;
    const [, signingKey = ""] = REPORT.exec(report) ?? [];
    return [{ sequence, time, signingKey, userData: createHash("sha512").update(report).digest(), evidence }];
  });
}

/** The verifier keys that a log names, each with its key as `LogKeyEvidence` has it. Nothing but evidence over it proves whose it is. */
export function namedLogKeys(text: string): readonly { readonly verifierKey: string; readonly signingKey: string }[] {
  const named = parseLogEntries(text).flatMap(({ data }) => Binding.safeParse(data).data?.verifierKey ?? []);
  return [...new Set(named)].map((verifierKey) => ({ verifierKey, signingKey: signingKeyOf(verifierKey) }));
}

/** The key of a C2SP verifier key, `NAME+HASH+BASE64`, in hex and without its algorithm byte. Base64 has plus signs of its own. */
function signingKeyOf(verifierKey: string): string {
  const [, encoded = ""] = /^[^+]+\+[0-9a-f]{8}\+(.+)$/.exec(verifierKey) ?? [];
  return Buffer.from(encoded, "base64").subarray(1).toString("hex");
}
