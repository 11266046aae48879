import { type AccessDecision, type AccessEntry, accessRule, evaluateAccess, type Operation, renderDecision } from "@vouchsafe/policy";
import { ApiError } from "../cas-error.ts";
import { DEFAULT_ROOT } from "../sessions/root-session.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import { resolveSecrets, type ValueSource } from "../values/resolve-secrets.ts";
import { sectionLookup } from "../values/secret-source.ts";

/** Who asks: the key of the connection's certificate, or the keys whose signatures verified. Never both (SL-192). */
export interface Credential {
  readonly certificateKeyHash?: string | undefined;
  readonly signers: readonly string[];
}

/** Does the rule of this version admit the credential? (SL-171, SL-181) */
export async function isPermitted(
  from: ValueSource,
  version: SessionVersion,
  operation: Operation,
  credential: Credential,
): Promise<boolean> {
  if ((await decide(from, version, operation, credential)).satisfied) return true;
  // Whoever may create in a namespace may list it (§18); that everybody may create in an unclaimed root shall not show everybody its names.
  if (version.hash === DEFAULT_ROOT.hash) return false;
  return operation === "list_sessions" && (await decide(from, version, "create_sessions", credential)).satisfied;
}

/** Throws `immutable`, `quorum` or `forbidden`; the text never lists who would be allowed (§7.1). */
export async function assertPermitted(
  from: ValueSource,
  version: SessionVersion,
  operation: Operation,
  credential: Credential,
  action: string,
): Promise<void> {
  const decision = await decide(from, version, operation, credential);
  if (decision.satisfied) return;
  if (operation === "update" && decision.children.every(({ kind }) => kind === "none")) {
    throw new ApiError("immutable", `session ${version.name} can never be changed (update: NONE)`);
  }
  if (credential.signers.length > 0) {
    const causes = [renderDecision(decision).trimEnd()];
    throw new ApiError("quorum", `${action}: the signatures do not satisfy the rule ${operation} of session ${version.name}`, { causes });
  }
  const who = credential.certificateKeyHash === undefined ? "no client certificate" : `key hash ${credential.certificateKeyHash}`;
  const causes = skippedSecrets(decision).map((secret) => `secret ${secret} cannot be read, so its entry was skipped`);
  throw new ApiError("forbidden", `${action} is not permitted by ${operation} of session ${version.name} (${who})`, { causes });
}

/** How the rule of this version was decided for the credential. */
export async function decide(
  from: ValueSource,
  version: SessionVersion,
  operation: Operation,
  credential: Credential,
): Promise<AccessDecision> {
  return evaluateAccess(await ruleOf(from, version, operation), {
    certificateKeyHash: credential.certificateKeyHash,
    signerKeyHashes: new Set(credential.signers),
    creator: version.session.creator,
  });
}

/** The rule that governs an operation, with the values of secrets as they are now. */
export async function ruleOf(from: ValueSource, version: SessionVersion, operation: Operation): Promise<readonly AccessEntry[]> {
  const { session } = version;
  const needsSecrets = JSON.stringify(session.accessPolicy).includes('"placeholder"');
  // Certificates count by their key only, so the time at which one is issued for this purpose makes no difference.
  const secrets = needsSecrets
    ? await resolveSecrets(from, version, new Date(version.uploadedAt))
    : { values: new Map(), problems: new Map() };
  return accessRule(session, operation, sectionLookup({ ...secrets, made: new Map() }));
}

function skippedSecrets({ unresolvedSecret, children }: AccessDecision): string[] {
  return [...(unresolvedSecret === undefined ? [] : [unresolvedSecret]), ...children.flatMap(skippedSecrets)];
}
