import { z } from "zod";
import { ProtocolError } from "./protocol-error.ts";

/** Error catalogue of the client API (cas.md §7.1) with the HTTP status of each. */
export const PROBLEM_STATUS = {
  invalid_session: 422,
  invalid_value: 422,
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  exists: 409,
  predecessor_mismatch: 409,
  namespace_missing: 409,
  namespace_hash_mismatch: 409,
  immutable: 403,
  proposal_ended: 409,
  bad_signature: 422,
  quorum: 403,
  wrong_cas: 422,
  unsupported: 501,
  audit_unavailable: 503,
  unavailable: 503,
  vault_unavailable: 503,
  values_lost: 500,
  provisioned: 409,
  unprovisioned: 409,
  invalid_config: 422,
  not_attested: 422,
  upgrade_missing: 409,
  too_large: 413,
  too_many: 429,
  internal: 500,
} as const;
export type ProblemCode = keyof typeof PROBLEM_STATUS;
export const PROBLEM_CODES = Object.keys(PROBLEM_STATUS) as [ProblemCode, ...ProblemCode[]]; // Object.keys loses the literal types

const ProblemDiagnostic = z.object({
  severity: z.enum(["error", "warning"]),
  rule: z.string(),
  file: z.string(),
  path: z.string(),
  line: z.number(),
  column: z.number(),
  endLine: z.number(),
  endColumn: z.number(),
  message: z.string(),
  expected: z.string(),
  hint: z.string(),
  hidden: z.boolean().default(false),
});

/** `application/problem+json` (RFC 9457) with our members and `msg`, the published list from general to specific (C-23). */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(PROBLEM_CODES),
  cas_version: z.string(),
  diagnostics: z.array(ProblemDiagnostic).default([]),
  msg: z.array(z.string()),
  retry_after: z.number().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The client API said no. Branch on `problem.code`. */
export class CasProblemError extends ProtocolError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super("CAS_PROBLEM", problem.detail);
    this.problem = problem;
  }
}

/** An update satisfies the rule only in part: the CAS keeps it as a proposal, and the session is what it was. */
export class UpdatePendingError extends ProtocolError {
  /** Hash of the proposed version. */
  readonly hash: string;
  readonly expires: string;
  readonly missing: string;

  constructor(session: string, { hash, expires, missing }: { readonly hash: string; readonly expires: string; readonly missing: string }) {
    const remedy = `Let the others approve it: vouchsafe session proposal approve ${session} ${hash}`;
    super("UPDATE_PENDING", `session ${session} is not updated: the update waits as a proposal until ${expires}\n${missing}`, { remedy });
    this.hash = hash;
    this.expires = expires;
    this.missing = missing;
  }
}
