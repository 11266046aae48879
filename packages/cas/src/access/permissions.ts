import { evaluateAccess, type Permission, permissionRule } from "@vouchsafe/policy";
import type { SessionVersion } from "../sessions/session-records.ts";
import { resolveSecrets, type ValueSource } from "../values/resolve-secrets.ts";
import { sectionLookup } from "../values/secret-source.ts";
import type { Credential } from "./authorise.ts";

/** May the credential do this to one service or secret, as a member of a role or as one who supplies the secret? (roles extension) */
export async function holdsPermission(
  from: ValueSource,
  version: SessionVersion,
  { action, name }: { readonly action: Permission["action"]; readonly name: string },
  credential: Credential,
): Promise<boolean> {
  const { session } = version;
  const needsSecrets = JSON.stringify([session.roles, session.secrets]).includes('"placeholder"');
  // Certificates count by their key only, so the time at which one is issued for this purpose makes no difference.
  const secrets = needsSecrets
    ? await resolveSecrets(from, version, new Date(version.uploadedAt))
    : { values: new Map(), problems: new Map() };
  const rule = permissionRule(session, action, name, sectionLookup({ ...secrets, made: new Map() }));
  const { certificateKeyHash, signers } = credential;
  return evaluateAccess(rule, { certificateKeyHash, signerKeyHashes: new Set(signers), creator: session.creator }).satisfied;
}
