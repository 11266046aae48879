/** Changes that roles cover (extension `roles`): monotonic, without new values, by members of the role or by whoever may update. */
import {
  applySessionPatch,
  type PatchChange,
  parseSessionPatch,
  patchBetween,
  type Session,
  type SessionPatch,
  sessionHash,
} from "@vouchsafe/policy";
import { type Credential, isPermitted } from "../access/authorise.ts";
import { holdsPermission } from "../access/permissions.ts";
import { type CasContext, pendingValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Transaction } from "../database/transaction.ts";
import { currentKey, type SessionVersion, type Uploader, versionKey } from "../sessions/session-records.ts";
import type { ValueSource } from "../values/resolve-secrets.ts";
import { assertIntact } from "../vaults/kept-values.ts";

export interface Patcher {
  readonly uploader: Uploader;
  readonly credential: Credential;
}

/** Applies a patch to the current version. Throws ApiError; nothing is changed then. */
export async function patchSession(
  context: CasContext,
  name: string,
  text: string,
  patcher: Patcher,
): Promise<{ readonly hash: string; readonly name: string }> {
  const { patch, diagnostics } = parseSessionPatch(text);
  if (patch === undefined) {
    const causes = diagnostics.map(({ line, column, rule, path, message }) => `${line}:${column}: ${rule}: ${path}: ${message}`);
    throw new ApiError("invalid_session", "the patch is not valid", { diagnostics, causes });
  }
  return context.database.transact(async (tx) => {
    const from = pendingValues(context, tx);
    const current = await tx.get<SessionVersion>(currentKey(name));
    if (current === undefined || !(await mayKnow(from, current, patcher.credential)))
      throw new ApiError("not_found", `session ${name} does not exist or is not visible to this client`);
    await assertIntact(from.rows, current);
    if (await isRepetition(tx, current, patch)) return { hash: current.hash, name };
    assertPredecessor(current, patch);
    const applied = applySessionPatch(current.session, patch);
    if (applied.kind === "refused") throw new ApiError("invalid_session", applied.reason);
    const missing = await missingPermissions(from, current, applied.changes, patcher.credential);
    if (missing.length > 0 && !(await isPermitted(from, current, "update", patcher.credential))) {
      const causes = missing.map(({ action, service }) => `no role of this client may ${action} of service ${service}`);
      throw new ApiError("forbidden", `patching session ${name} is not permitted to this client`, { causes });
    }
    return { hash: storePatched(context, tx, current, applied.session, applied.changes, patcher), name };
  });
}

/**
 * A full document whose whole difference is covered by roles of someone who may not update: taken as the patch that it is. Undefined when it is not, and
 * the upload goes its ordinary way.
 */
export async function patchByRoles(context: CasContext, tx: Transaction, document: Session, patcher: Patcher): Promise<string | undefined> {
  const from = pendingValues(context, tx);
  const current = await tx.get<SessionVersion>(currentKey(document.name));
  if (current === undefined || current.session.roles.length === 0 || document.predecessor === undefined) return undefined;
  const before = await tx.get<SessionVersion>(versionKey(document.name, document.predecessor));
  const patch = before && patchBetween(before.session, document);
  if (patch === undefined || (document.creator !== undefined && document.creator.keyHash !== current.session.creator?.keyHash))
    return undefined;
  if (await isRepetition(tx, current, patch)) return current.hash;
  if (document.predecessor !== current.hash) return undefined;
  await assertIntact(from.rows, current);
  const applied = applySessionPatch(current.session, patch);
  if (applied.kind === "refused" || (await isPermitted(from, current, "update", patcher.credential))) return undefined;
  if ((await missingPermissions(from, current, applied.changes, patcher.credential)).length > 0) return undefined;
  return storePatched(context, tx, current, applied.session, applied.changes, patcher);
}

/** C-24: the same patch again, after a lost answer. */
async function isRepetition(tx: Transaction, current: SessionVersion, patch: SessionPatch): Promise<boolean> {
  if (current.session.predecessor !== patch.predecessor) return false;
  const before = await tx.get<SessionVersion>(versionKey(current.name, patch.predecessor));
  const applied = before && applySessionPatch(before.session, patch);
  return applied?.kind === "ok" && sessionHash(applied.session) === current.hash;
}

async function missingPermissions(
  from: ValueSource,
  version: SessionVersion,
  changes: readonly PatchChange[],
  credential: Credential,
): Promise<readonly PatchChange[]> {
  const missing: PatchChange[] = [];
  for (const change of changes)
    if (!(await holdsPermission(from, version, { action: change.action, name: change.service }, credential))) missing.push(change);
  return missing;
}

/** Members of a role know that the session exists, and whoever may read or update it does. */
async function mayKnow(from: ValueSource, version: SessionVersion, credential: Credential): Promise<boolean> {
  for (const operation of ["read", "update"] as const) if (await isPermitted(from, version, operation, credential)) return true;
  for (const { name } of version.session.services)
    for (const action of ["raise_isvsvn", "add_mrenclave"] as const)
      if (await holdsPermission(from, version, { action, name }, credential)) return true;
  return false;
}

function assertPredecessor({ name, hash, isHashPublic }: SessionVersion, { predecessor }: SessionPatch): void {
  if (predecessor === hash) return;
  const causes = isHashPublic ? [`its current hash is ${hash}`] : [];
  throw new ApiError("predecessor_mismatch", `session ${name} changed meanwhile: it does not have the hash ${predecessor}`, { causes });
}

/** The new version: same creator, same values; nothing is generated, issued or destroyed. */
function storePatched(
  { audit, now }: CasContext,
  tx: Transaction,
  current: SessionVersion,
  session: Session,
  changes: readonly PatchChange[],
  { uploader }: Patcher,
): string {
  const hash = sessionHash(session);
  const version: SessionVersion = { ...current, hash, session, uploader, uploadedAt: now().toISOString() };
  tx.put(currentKey(version.name), version);
  tx.put(versionKey(version.name, hash), version);
  const by = uploader.kind === "certificate" ? { client: uploader.keyHash } : { signers: uploader.keyHashes };
  audit.append(tx, "session_patched", {
    session: version.name,
    ...(version.isHashPublic ? { session_hash: hash } : {}),
    ...by,
    changes: changes.map(({ action, service }) => `${action} ${service}`),
  });
  return hash;
}
