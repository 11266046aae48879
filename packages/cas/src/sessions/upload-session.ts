import { type Diagnostic, hashIsPublic, namespaceHashDiffers, namespaceMissing, parentOf, predecessorChanged } from "@vouchsafe/policy";
import { assertPermitted, isPermitted } from "../access/authorise.ts";
import { type CasContext, pendingValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Transaction } from "../database/transaction.ts";
import { patchByRoles } from "../governance/patch-session.ts";
import { type PendingProposal, propose } from "../governance/propose.ts";
import { assertIntact } from "../vaults/kept-values.ts";
import { type CheckedDocument, type CheckedUpload, checkDocument, withCreator } from "./check-document.ts";
import { makeValues } from "./make-values.ts";
import { isRootSealed, ROOT_NAME, readRoot, sealRoot } from "./root-session.ts";
import { allValues, currentKey, nextRenewal, type SessionVersion, type Uploader, valuesKey } from "./session-records.ts";
import { auditData, replaceVersion, storeVersion } from "./store-version.ts";
import { uploadWarnings } from "./upload-warnings.ts";

export interface UploadedSession {
  readonly hash: string;
  readonly name: string;
  readonly isNew: boolean;
  /** The update is not in force: it waits for others (extension `update_proposals`). */
  readonly proposal?: PendingProposal;
  readonly warnings: readonly Pick<Diagnostic, "rule" | "path" | "line" | "column" | "message">[];
}

interface Outcome {
  readonly hash: string;
  readonly proposal?: PendingProposal;
}

/**
 * Creates or updates a session in the order of C-29 and C-30. `uploader` has been verified: possession of the certificate's key, or every
 * signature. Throws ApiError; nothing is changed then.
 */
export async function uploadSession(context: CasContext, text: string, uploader: Uploader): Promise<UploadedSession> {
  const upload = checkDocument(context, text, uploader);
  const { document } = upload;
  const isNew = document.predecessor === undefined;
  const owned = isNew ? withCreator(upload) : undefined;
  await refreshRule(context, isNew ? parentOf(document.name) : document.name);
  const { hash, proposal } = await context.database.transact((tx) =>
    owned === undefined ? update(context, tx, upload) : create(context, tx, owned).then((created): Outcome => ({ hash: created })),
  );
  const warnings = [...upload.warnings, ...(await uploadWarnings(context, upload, hash))].map(({ rule, path, line, column, message }) => {
    return { rule, path, line, column, message };
  });
  return { hash, name: document.name, isNew, warnings, ...(proposal === undefined ? {} : { proposal }) };
}

/** Access rules may be values of another CAS; it is asked before the transaction, which waits for nobody outside. */
async function refreshRule({ database, remote }: CasContext, name: string): Promise<void> {
  const version = await database.get<SessionVersion>(currentKey(name));
  if (version !== undefined) await remote.refresh(version);
}

async function create(context: CasContext, tx: Transaction, upload: CheckedUpload): Promise<string> {
  const { session, hash, uploader, credential } = upload;
  const { name } = session;
  const existing = name === ROOT_NAME ? await readRoot(tx) : await tx.get<SessionVersion>(currentKey(name));
  if (existing !== undefined) {
    if (isRepetition(existing, upload)) return hash;
    throw new ApiError("exists", `session ${name} exists; expected a predecessor`, {
      causes: ["use an update, with the hash of its current version"],
    });
  }
  const parentName = parentOf(name);
  const parent = parentName === ROOT_NAME ? await readRoot(tx) : await tx.get<SessionVersion>(currentKey(parentName));
  if (parent === undefined) {
    const diagnostics = [namespaceMissing(upload.source, parentName)];
    throw new ApiError("namespace_missing", `namespace ${parentName} of session ${name} does not exist`, { diagnostics });
  }
  if (session.namespaceHash !== undefined && session.namespaceHash !== parent.hash) {
    const diagnostics = [namespaceHashDiffers(upload.source)];
    throw new ApiError("namespace_hash_mismatch", `namespace ${parentName} is not in the state that session ${name} expects`, {
      diagnostics,
    });
  }
  const from = pendingValues(context, tx);
  await assertPermitted(from, parent, "create_sessions", credential, `creating session ${name}`);
  await assertIntact(from.rows, parent);
  const { values } = makeValues(session, undefined, context.now());
  await sealRoot(tx);
  storeVersion(tx, { name, hash, session, uploader, uploadedAt: context.now().toISOString(), isHashPublic: hashIsPublic(session) });
  await context.vaults.kept.put(tx, valuesKey(name), { session, hash }, values, nextRenewal(allValues(values)));
  context.audit.append(tx, "session_created", auditData(session.name, hash, hashIsPublic(session), uploader));
  return hash;
}

async function update(context: CasContext, tx: Transaction, checked: CheckedDocument): Promise<Outcome> {
  const patched = await patchByRoles(context, tx, checked.document, checked);
  if (patched !== undefined) return { hash: patched };
  const upload = withCreator(checked);
  const { session, hash, credential } = upload;
  const { name } = session;
  const isRoot = name === ROOT_NAME;
  const current = isRoot ? await readRoot(tx) : await tx.get<SessionVersion>(currentKey(name));
  if (current === undefined) throw new ApiError("not_found", `session ${name} does not exist, so it has no predecessor`);
  if (isRepetition(current, upload)) return { hash };
  if (isRoot && (await isRootSealed(tx)))
    throw new ApiError("immutable", "the root session is sealed: sessions were created before it was claimed");
  const from = pendingValues(context, tx, [session]);
  if (!(await isPermitted(from, current, "update", credential))) {
    const pending = await propose(context, tx, current, upload);
    if (pending !== undefined) return pending;
    await assertPermitted(from, current, "update", credential, `updating session ${name}`);
  }
  if (session.predecessor !== current.hash) {
    // Whoever may update knows the session; the current hash is shown only where it is public anyway (SL-47).
    const shown = current.isHashPublic ? [`its current hash is ${current.hash}`] : [];
    throw new ApiError("predecessor_mismatch", `session ${name} changed meanwhile: it does not have the hash ${session.predecessor}`, {
      causes: shown,
      diagnostics: [predecessorChanged(upload.source, name, current.isHashPublic ? current.hash : undefined)],
    });
  }
  await replaceVersion(context, tx, current, upload);
  return { hash };
}

/** C-24: the same document again, from the same hands, after a lost answer. */
function isRepetition(current: SessionVersion, { hash, uploader }: CheckedUpload): boolean {
  if (current.hash !== hash || current.uploader.kind !== uploader.kind) return false;
  if (current.uploader.kind === "certificate") return uploader.kind === "certificate" && current.uploader.keyHash === uploader.keyHash;
  return true; // the same text, signed again
}
