import { exceptionState, listExceptions, parentOf, printSession } from "@vouchsafe/policy";
import type { PublicValue, SessionExceptions } from "@vouchsafe/protocol";
import type { StoredSecret } from "@vouchsafe/secrets";
import { type Credential, isPermitted } from "../access/authorise.ts";
import { type CasContext, committedValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { assertIntact } from "../vaults/kept-values.ts";
import { DEFAULT_ROOT, ROOT_NAME } from "./root-session.ts";
import { currentKey, type SessionVersion, versionKey } from "./session-records.ts";

const PAGE_MAX = 1000;
const PUBLIC_MISSING = "secret does not exist or is not visible to a public client";

/** Text of the current version, or of an older one by hash, for whoever may read the current one. Throws as C-22 says. */
export async function readSession(
  context: CasContext,
  name: string,
  hash: string | undefined,
  credential: Credential,
): Promise<{ readonly text: string; readonly version: SessionVersion }> {
  const current = await currentVersion(context, name);
  if (current === undefined || !(await isPermitted(committedValues(context), current, "read", credential))) {
    throw await hiddenOrForbidden(context, name, current !== undefined, credential);
  }
  await assertIntact(committedValues(context).rows, current);
  const version =
    hash === undefined || hash === current.hash ? current : await context.database.get<SessionVersion>(versionKey(name, hash));
  if (version === undefined) throw new ApiError("not_found", `session ${name} has no version ${hash}`);
  await context.audit.record("session_read", { session: name, client: credential.certificateKeyHash ?? null });
  return { text: withCreator(version), version };
}

/** What the current version accepts for a time, and how long still; for whoever may read it. */
export async function readExceptions(context: CasContext, name: string, credential: Credential): Promise<SessionExceptions> {
  const { version } = await readSession(context, name, undefined, credential);
  const exceptions = listExceptions(version.session).map(({ service, tolerate, ignoreAdvisories, until, because }) => ({
    service: service ?? null,
    tolerate: [...tolerate],
    ignoreAdvisories: [...ignoreAdvisories],
    until,
    because,
    ...exceptionState({ tolerate, ignoreAdvisories, until, because }, context.now()),
  }));
  return { exceptions };
}

/** Hash of the current version: public once a version had a salt (SL-49), else for readers. */
export async function readSessionHash(context: CasContext, name: string, credential: Credential): Promise<{ hash: string; since: string }> {
  const current = await currentVersion(context, name);
  if (current?.isHashPublic || (current !== undefined && (await isPermitted(committedValues(context), current, "read", credential)))) {
    await assertIntact(committedValues(context).rows, current);
    return { hash: current.hash, since: current.uploadedAt };
  }
  throw await hiddenOrForbidden(context, name, current !== undefined, credential);
}

/** Direct children of a namespace, sorted, one page. */
export async function listSessions(
  context: CasContext,
  { namespace, after, limit }: { readonly namespace: string; readonly after: string | undefined; readonly limit: number },
  credential: Credential,
): Promise<{ sessions: { name: string; updated: string }[]; next?: string }> {
  const parent = await currentVersion(context, namespace);
  const mayList = parent !== undefined && (await isPermitted(committedValues(context), parent, "list_sessions", credential));
  // The root that nobody owns tells everybody about their own sessions, and nobody about those of others.
  const isOwnOnly = !mayList && parent !== undefined && parent.hash === DEFAULT_ROOT.hash && credential.certificateKeyHash !== undefined;
  if (!mayList && !isOwnOnly) throw await hiddenOrForbidden(context, namespace, parent !== undefined, credential);
  await assertIntact(committedValues(context).rows, parent);
  const names = [...context.database.ids("session")].filter((name) => name !== ROOT_NAME && parentOf(name) === namespace).sort();
  const size = Math.min(limit, PAGE_MAX);
  const sessions: { name: string; updated: string }[] = [];
  for (const name of names) {
    if (after !== undefined && name <= after) continue;
    const version = await context.database.get<SessionVersion>(currentKey(name));
    if (version === undefined) continue;
    if (isOwnOnly && !(await isPermitted(committedValues(context), version, "read", credential))) continue;
    const last = sessions.at(-1);
    if (sessions.length === size && last !== undefined) return { sessions, next: last.name };
    sessions.push({ name, updated: version.uploadedAt });
  }
  return { sessions };
}

/** Public secrets of a session (SL-150, C-21). Throws `not_found`, alike for every reason (C-22). */
export async function publicValues(context: CasContext, name: string, secretName?: string): Promise<ReadonlyMap<string, PublicValue>> {
  const version = await context.database.get<SessionVersion>(currentKey(name));
  if (version === undefined) throw new ApiError("not_found", PUBLIC_MISSING);
  const wanted = version.session.secrets.filter(
    (secret) => "exportPublic" in secret && secret.exportPublic && (secretName === undefined || secret.name === secretName),
  );
  if (secretName !== undefined && wanted.length === 0) throw new ApiError("not_found", PUBLIC_MISSING);
  if (wanted.length === 0) return new Map();
  await context.remote.refresh(version);
  const { values } = await resolveSecrets(committedValues(context), version, context.now());
  const found = new Map<string, PublicValue>();
  for (const { name: secret } of wanted) {
    const stored = values.get(secret);
    const value = stored && publicValueOf(stored);
    if (value !== undefined) found.set(secret, value);
  }
  if (secretName !== undefined && found.size === 0) throw new ApiError("not_found", PUBLIC_MISSING);
  return found;
}

async function currentVersion({ database }: CasContext, name: string): Promise<SessionVersion | undefined> {
  return (await database.get<SessionVersion>(currentKey(name))) ?? (name === ROOT_NAME ? DEFAULT_ROOT : undefined);
}

/** C-22: the difference between missing and forbidden is for those who may list the parent. */
async function hiddenOrForbidden(context: CasContext, name: string, exists: boolean, credential: Credential): Promise<ApiError> {
  const parent = name === ROOT_NAME ? undefined : await currentVersion(context, parentOf(name));
  const mayList = parent !== undefined && (await isPermitted(committedValues(context), parent, "list_sessions", credential));
  if (exists && (mayList || name === ROOT_NAME)) {
    const who = credential.certificateKeyHash === undefined ? "no client certificate" : `key hash ${credential.certificateKeyHash}`;
    return new ApiError("forbidden", `reading session ${name} is not permitted by its access policy (${who})`);
  }
  return new ApiError("not_found", `session ${name} does not exist or is not visible to this client`);
}

/** C-26: what was uploaded, normalised, plus its creator. */
function withCreator({ session }: SessionVersion): string {
  return printSession(session);
}

function publicValueOf(stored: StoredSecret): PublicValue | undefined {
  switch (stored.kind) {
    case "ascii":
      return { kind: "string", value: stored.text, expires: null, renew: null };
    case "binary":
      return { kind: "binary", value: stored.hex, expires: null, renew: null };
    case "public-key":
      return { kind: "public-key", value: stored.pem, expires: null, renew: null };
    case "config-fragment":
      // zod's json type is mutable, the policy's is not; nobody changes it on its way out
      return { kind: "fragment", value: stored.value as PublicValue["value"], expires: null, renew: null };
    case "x509":
    case "x509-ca":
      return { kind: "x509", value: stored.certificate, expires: stored.notAfter, renew: stored.renewAfter ?? null };
    default:
      return undefined; // private and PGP keys are never public (SL-150)
  }
}
