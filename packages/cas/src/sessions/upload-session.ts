import {
  type Creator,
  type Diagnostic,
  hashIsPublic,
  PolicyError,
  parentOf,
  parseSession,
  type Session,
  sessionHash,
} from "@vouchsafe/policy";
import { assertPermitted, type Credential } from "../access/authorise.ts";
import { type CasContext, committedValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Transaction } from "../database/transaction.ts";
import { patchByRoles } from "../governance/patch-session.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { makeValues } from "./make-values.ts";
import { isRootSealed, ROOT_NAME, readRoot, sealRoot } from "./root-session.ts";
import { currentKey, type SessionValues, type SessionVersion, type Uploader, valuesKey, versionKey } from "./session-records.ts";

export interface UploadedSession {
  readonly hash: string;
  readonly name: string;
  readonly isNew: boolean;
  readonly warnings: readonly Pick<Diagnostic, "rule" | "path" | "line" | "column" | "message">[];
}

/** A document that passed every check which needs no database, and who brought it. */
interface CheckedDocument {
  /** As written: its creator may be missing, or another one. */
  readonly document: Session;
  readonly uploader: Uploader;
  readonly credential: Credential;
  readonly warnings: readonly Diagnostic[];
}

/** With the uploader as its creator (SL-185). */
interface CheckedUpload extends CheckedDocument {
  readonly session: Session;
  readonly hash: string;
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
  const hash = await context.database.transact((tx) => (owned === undefined ? update(context, tx, upload) : create(context, tx, owned)));
  const warnings = [
    ...upload.warnings.map(({ rule, path, line, column, message }) => ({ rule, path, line, column, message })),
    ...(await importWarnings(context, document)),
  ];
  return { hash, name: document.name, isNew, warnings };
}

/** Access rules may be values of another CAS; it is asked before the transaction, which waits for nobody outside. */
async function refreshRule({ database, remote }: CasContext, name: string): Promise<void> {
  const version = await database.get<SessionVersion>(currentKey(name));
  if (version !== undefined) await remote.refresh(version);
}

function checkDocument(context: CasContext, text: string, uploader: Uploader): CheckedDocument {
  const { session: parsed, diagnostics } = parseSession(text, { file: "<session>" });
  if (parsed === undefined) {
    const count = diagnostics.filter(({ severity }) => severity === "error").length;
    throw new ApiError("invalid_session", `the session has ${count} ${count === 1 ? "error" : "errors"}`, {
      diagnostics,
      causes: diagnostics.map(({ line, column, rule, path, message }) => `${line}:${column}: ${rule}: ${path}: ${message}`),
    });
  }
  assertSupported(context, parsed);
  return { document: parsed, uploader, credential: credentialOf(uploader), warnings: diagnostics };
}

/** A signed upload counts by its signatures alone (SL-192). */
export function credentialOf(uploader: Uploader): Credential {
  return uploader.kind === "certificate" ? { certificateKeyHash: uploader.keyHash, signers: [] } : { signers: uploader.keyHashes };
}

function withCreator(upload: CheckedDocument): CheckedUpload {
  const session = { ...upload.document, creator: creatorOf(upload.document, upload.uploader) };
  try {
    return { ...upload, session, hash: sessionHash(session) };
  } catch (error) {
    if (error instanceof PolicyError) throw new ApiError("invalid_session", error.message);
    throw error;
  }
}

/** What the language allows and this CAS cannot do is refused at upload, not at delivery. */
function assertSupported({ ownerConfig }: CasContext, session: Session): void {
  const unsupported = (field: string, path: string) => new ApiError("unsupported", `${path}: ${field} is not supported by this CAS`);
  if (session.secretStore.kind !== "cas") throw unsupported("an external secret store", "secret_config.store_in");
  for (const [at, secret] of session.secrets.entries()) {
    if (secret.origin === "vault") throw unsupported("import_akv", `secrets[${at}].import_akv`);
    if (secret.kind === "aad-token") throw unsupported("kind aad-token", `secrets[${at}].kind`);
  }
  const { security } = session;
  if (!("kind" in security) && !("kind" in security.attestation)) {
    if (security.attestation.mode === "maa") throw unsupported("mode maa", "security.attestation.mode");
    if (security.attestation.ignoreAdvisories === "*" && !ownerConfig.allowAdvisoryWildcard) {
      throw new ApiError("invalid_session", 'security.attestation.ignore_advisories: the owner of this CAS forbids "*"');
    }
  }
}

/** SL-185, SL-186. */
function creatorOf(session: Session, uploader: Uploader): Creator {
  if (uploader.kind === "certificate") {
    const found: Creator = { kind: "certificate", keyHash: uploader.keyHash, pem: uploader.pem };
    if (session.creator !== undefined && (session.creator.kind !== "certificate" || session.creator.keyHash !== uploader.keyHash)) {
      throw new ApiError(
        "invalid_session",
        `creator: the document names ${session.creator.keyHash}, it was uploaded by ${uploader.keyHash}`,
      );
    }
    return found;
  }
  if (session.creator !== undefined) {
    if (session.creator.kind === "signer" && uploader.keyHashes.includes(session.creator.keyHash)) return session.creator;
    throw new ApiError("invalid_session", `creator: the document names ${session.creator.keyHash}, which is none of its signers`);
  }
  const [publicKey] = uploader.publicKeys;
  const [keyHash] = uploader.keyHashes;
  if (publicKey === undefined || keyHash === undefined) throw new ApiError("bad_signature", "the document has no signature");
  return { kind: "signer", keyHash, publicKey };
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
  if (parent === undefined) throw new ApiError("namespace_missing", `namespace ${parentName} of session ${name} does not exist`);
  if (session.namespaceHash !== undefined && session.namespaceHash !== parent.hash) {
    throw new ApiError("namespace_hash_mismatch", `namespace ${parentName} is not in the state that session ${name} expects`);
  }
  await assertPermitted({ rows: tx, remote: context.remote }, parent, "create_sessions", credential, `creating session ${name}`);
  const { values } = makeValues(session, undefined, context.now());
  await sealRoot(tx);
  store(tx, { name, hash, session, uploader, uploadedAt: context.now().toISOString(), isHashPublic: hashIsPublic(session) });
  tx.put(valuesKey(name), values);
  context.audit.append(tx, "session_created", auditData(session.name, hash, hashIsPublic(session), uploader));
  return hash;
}

async function update(context: CasContext, tx: Transaction, checked: CheckedDocument): Promise<string> {
  const patched = await patchByRoles(context, tx, checked.document, checked);
  if (patched !== undefined) return patched;
  const upload = withCreator(checked);
  const { session, hash, uploader, credential } = upload;
  const { name } = session;
  const isRoot = name === ROOT_NAME;
  const current = isRoot ? await readRoot(tx) : await tx.get<SessionVersion>(currentKey(name));
  if (current === undefined) throw new ApiError("not_found", `session ${name} does not exist, so it has no predecessor`);
  if (isRepetition(current, upload)) return hash;
  if (isRoot && (await isRootSealed(tx)))
    throw new ApiError("immutable", "the root session is sealed: sessions were created before it was claimed");
  await assertPermitted({ rows: tx, remote: context.remote }, current, "update", credential, `updating session ${name}`);
  if (session.predecessor !== current.hash) {
    // Whoever may update knows the session; the current hash is shown only where it is public anyway (SL-47).
    const shown = current.isHashPublic ? [`its current hash is ${current.hash}`] : [];
    throw new ApiError("predecessor_mismatch", `session ${name} changed meanwhile: it does not have the hash ${session.predecessor}`, {
      causes: shown,
    });
  }
  const isHashPublic = current.isHashPublic || hashIsPublic(session);
  const before = await tx.get<SessionValues>(valuesKey(name));
  const { values } = makeValues(session, before && { session: current.session, values: before }, context.now());
  dropChangedTags(tx, current.session, session);
  store(tx, { name, hash, session, uploader, uploadedAt: context.now().toISOString(), isHashPublic });
  tx.put(valuesKey(name), values);
  context.audit.append(tx, "session_updated", auditData(name, hash, isHashPublic, uploader));
  return hash;
}

/** C-24: the same document again, from the same hands, after a lost answer. */
function isRepetition(current: SessionVersion, { hash, uploader }: CheckedUpload): boolean {
  if (current.hash !== hash || current.uploader.kind !== uploader.kind) return false;
  if (current.uploader.kind === "certificate") return uploader.kind === "certificate" && current.uploader.keyHash === uploader.keyHash;
  return true; // the same text, signed again
}

function store(tx: Transaction, version: SessionVersion): void {
  tx.put(currentKey(version.name), version);
  tx.put(versionKey(version.name, version.hash), version);
}

/** Table of §15: the tracked tag stays as long as key and initial tag do, and with an auto-initialised volume of the same mode. */
function dropChangedTags(tx: Transaction, before: Session, after: Session): void {
  for (const volume of before.volumes) {
    const next = after.volumes.find(({ name }) => name === volume.name);
    if (JSON.stringify(next?.source) !== JSON.stringify(volume.source))
      tx.delete({ kind: "volume-tag", id: `${before.name}\n${volume.name}` });
  }
  for (const service of before.services) {
    const next = after.services.find(({ name }) => name === service.name);
    const isSame =
      next?.fileSystem?.tag === service.fileSystem?.tag &&
      JSON.stringify(next?.fileSystem?.key) === JSON.stringify(service.fileSystem?.key);
    if (!isSame) tx.delete({ kind: "file-system-tag", id: `${before.name}\n${service.name}` });
  }
}

function auditData(session: string, hash: string, isHashPublic: boolean, uploader: Uploader): object {
  const by = uploader.kind === "certificate" ? { client: uploader.keyHash } : { signers: uploader.keyHashes };
  return { session, ...(isHashPublic ? { session_hash: hash } : {}), ...by };
}

/** Warnings that need the database: imports that nobody exports yet (SL-145). */
async function importWarnings(context: CasContext, session: Session): Promise<UploadedSession["warnings"]> {
  if (!session.secrets.some(({ origin }) => origin === "imported")) return [];
  const version = await context.database.get<SessionVersion>(currentKey(session.name));
  if (version === undefined) return [];
  await context.remote.refresh(version);
  const { problems } = await resolveSecrets(committedValues(context), version, context.now());
  return [...problems].map(([name, problem]) => {
    const at = session.secrets.findIndex((secret) => secret.name === name);
    return { rule: "SL-145", path: `secrets[${at}]`, line: 0, column: 0, message: `secret ${name}: ${problem}` };
  });
}
