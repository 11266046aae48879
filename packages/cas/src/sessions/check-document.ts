import { type Creator, type Diagnostic, PolicyError, parseSession, type Session, sessionHash } from "@vouchsafe/policy";
import type { Credential } from "../access/authorise.ts";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Uploader } from "./session-records.ts";

/** A document that passed every check which needs no database, and who brought it. */
export interface CheckedDocument {
  readonly text: string;
  /** As written: its creator may be missing, or another one. */
  readonly document: Session;
  readonly uploader: Uploader;
  readonly credential: Credential;
  readonly warnings: readonly Diagnostic[];
}

/** With the uploader as its creator (SL-185). */
export interface CheckedUpload extends CheckedDocument {
  readonly session: Session;
  readonly hash: string;
}

/** Reads the document and refuses what this CAS cannot do. Throws ApiError. */
export function checkDocument(context: CasContext, text: string, uploader: Uploader): CheckedDocument {
  const { session: parsed, diagnostics } = parseSession(text, { file: "<session>" });
  if (parsed === undefined) {
    const count = diagnostics.filter(({ severity }) => severity === "error").length;
    throw new ApiError("invalid_session", `the session has ${count} ${count === 1 ? "error" : "errors"}`, {
      diagnostics,
      causes: diagnostics.map(({ line, column, rule, path, message }) => `${line}:${column}: ${rule}: ${path}: ${message}`),
    });
  }
  assertSupported(context, parsed);
  return { text, document: parsed, uploader, credential: credentialOf(uploader), warnings: diagnostics };
}

/** A signed upload counts by its signatures alone (SL-192). */
export function credentialOf(uploader: Uploader): Credential {
  return uploader.kind === "certificate" ? { certificateKeyHash: uploader.keyHash, signers: [] } : { signers: uploader.keyHashes };
}

/** SL-185, SL-186: throws `invalid_session` when the document names another creator. */
export function withCreator(upload: CheckedDocument): CheckedUpload {
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
