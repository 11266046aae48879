import { PROBLEM_STATUS, type Problem, type ProblemCode } from "@vouchsafe/protocol";
import { ApiError, CasError } from "../cas-error.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";
import { CAS_VERSION } from "../version.ts";

const TITLES: Readonly<Record<ProblemCode, string>> = {
  invalid_session: "The session is not valid",
  invalid_value: "The value does not fit the secret",
  bad_request: "The request cannot be read",
  unauthenticated: "A client certificate is needed",
  forbidden: "The access policy does not permit this",
  not_found: "There is no such thing, or it is not visible",
  exists: "The session exists",
  predecessor_mismatch: "The session changed meanwhile",
  namespace_missing: "The namespace does not exist",
  namespace_hash_mismatch: "The namespace is not in the expected state",
  proposal_ended: "The proposal is decided, or overtaken",
  immutable: "The session can never be changed",
  bad_signature: "A signature is not valid",
  quorum: "The signatures do not satisfy the rule",
  wrong_cas: "The document was encrypted for another CAS",
  unsupported: "This CAS does not support it",
  audit_unavailable: "The audit log cannot be written",
  unavailable: "The CAS cannot do this now",
  vault_unavailable: "The vault that keeps the values cannot be used now",
  values_lost: "Values that a vault keeps are missing, changed or old",
  provisioned: "The CAS is provisioned already",
  unprovisioned: "The CAS is not provisioned yet",
  invalid_config: "The configuration is not valid",
  not_attested: "The other instance is not proved to be acceptable",
  upgrade_missing: "This version is not registered as an upgrade",
  too_large: "The request is too large",
  too_many: "Too many requests",
  internal: "The CAS failed",
};

/** The problem document of an error (C-23). What is not known becomes `internal`, with nothing but the request's id. */
export function problemOf(error: unknown, requestId: string): Problem {
  const { code, message, details } = classify(error, requestId);
  const causes = details.causes ?? [];
  return {
    type: `urn:vouchsafe:problem:${code}`,
    title: TITLES[code],
    status: PROBLEM_STATUS[code],
    detail: message,
    code,
    cas_version: CAS_VERSION,
    diagnostics: [...(details.diagnostics ?? [])],
    msg: [TITLES[code], message, ...causes],
    ...(details.retryAfterSeconds === undefined ? {} : { retry_after: details.retryAfterSeconds }),
  };
}

function classify(error: unknown, requestId: string): Pick<ApiError, "code" | "message" | "details"> {
  if (error instanceof ApiError) return error;
  if (error instanceof CasError && (error.code === "STORE_FAILED" || error.code === "STORE_LOCKED")) {
    return { code: "unavailable", message: "the database cannot take the change, nothing was changed", details: {} };
  }
  if (error instanceof CasError && error.code === "STORE_BROKEN") {
    return { code: "unavailable", message: error.message, details: {} };
  }
  if (error instanceof KeptValuesError)
    return { code: error.isLost ? "values_lost" : "vault_unavailable", message: error.message, details: {} };
  const status = statusOf(error);
  if (status === 413) return { code: "too_large", message: "the body is larger than 1 MiB", details: {} };
  if (status !== undefined && status >= 400 && status < 500) {
    return { code: status === 404 ? "not_found" : "bad_request", message: "the request does not fit the API", details: {} };
  }
  return { code: "internal", message: `internal error, request ${requestId}`, details: {} };
}

/** Fastify's own errors carry a status; their texts may quote the request and are not passed on. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}
