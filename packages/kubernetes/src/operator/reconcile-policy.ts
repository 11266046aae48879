import { type CasClient, CasProblemError, ProtocolError } from "@vouchsafe/protocol";
import type { PolicyResource } from "../custom-resources/resources.ts";

/** Annotations that `sconectl` writes beside a policy, so that the operator can ask what became of it. */
export const POLICY_NAME_ANNOTATION = "vouchsafe.dev/policy-name";
export const POLICY_HASH_ANNOTATION = "vouchsafe.dev/policy-hash";

export type UploadResult =
  | { readonly state: "UPLOADED"; readonly hash: string }
  | { readonly state: "PENDING" | "FAILED"; readonly reason: string; readonly message: string };

/** The CAS may answer otherwise later, without anybody changing the document. */
const TEMPORARY: ReadonlySet<string> = new Set([
  "namespace_missing",
  "not_found",
  "audit_unavailable",
  "unavailable",
  "unprovisioned",
  "too_many",
  "internal",
]);

/**
 * Sends one document to the CAS unchanged (CL-70) and says what came of it. A name that exists already is no failure when the version in force
 * is this very document (CL-71).
 */
export async function uploadPolicy(policy: PolicyResource, client: CasClient): Promise<UploadResult> {
  try {
    const { hash } =
      policy.kind === "EncryptedPolicy"
        ? await client.uploadEncryptedSession(renderDocument(policy))
        : await client.uploadSignedSession(renderDocument(policy));
    return { state: "UPLOADED", hash };
  } catch (error) {
    if (error instanceof CasProblemError) return (await findOwnVersion(error, policy, client)) ?? judgeProblem(error);
    if (error instanceof ProtocolError) return { state: "PENDING", reason: error.code, message: error.message };
    throw error;
  }
}

/** The document as `sconectl` wrote it: signed (SL-188) or encrypted (SL-194). */
export function renderDocument(policy: PolicyResource): string {
  if (policy.kind === "EncryptedPolicy") return JSON.stringify({ policy: policy.spec.policy, encryptionKey: policy.spec.encryptionKey });
  return JSON.stringify({ policy: policy.spec.policy, signatures: policy.spec.signatures });
}

async function findOwnVersion(error: CasProblemError, policy: PolicyResource, client: CasClient): Promise<UploadResult | undefined> {
  const { code } = error.problem;
  const name = policy.metadata.annotations[POLICY_NAME_ANNOTATION];
  const expected = policy.metadata.annotations[POLICY_HASH_ANNOTATION];
  if ((code !== "exists" && code !== "predecessor_mismatch") || name === undefined || expected === undefined) return undefined;
  try {
    const { hash } = await client.readSessionHash(name);
    return hash === expected ? { state: "UPLOADED", hash } : undefined;
  } catch (cause) {
    if (cause instanceof ProtocolError) return undefined; // the first answer says more
    throw cause;
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  predecessor_mismatch: "the policy was changed meanwhile; run `sconectl apply` again, which asks the CAS for the version in force",
  exists: "a policy of this name exists; run `sconectl apply` again, or choose another policy namespace",
  wrong_cas:
    "the document was encrypted for another CAS; take the keys anew with `kubectl provision cas NAME --print-public-keys` and apply again",
  forbidden: "the signer may not do this; check the access policy of the namespace",
  quorum: "more signatures are needed",
};

function judgeProblem(error: CasProblemError): UploadResult {
  const { code } = error.problem;
  const remedy = REMEDIES[code];
  const message = remedy === undefined ? error.message : `${error.message}: ${remedy}`;
  return { state: TEMPORARY.has(code) ? "PENDING" : "FAILED", reason: camelCase(code), message };
}

const camelCase = (code: string): string => code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
