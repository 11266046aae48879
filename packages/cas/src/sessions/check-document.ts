import {
  type Creator,
  type Diagnostic,
  diagnosticAt,
  PolicyError,
  parseSession,
  type Session,
  type SessionSource,
  sessionHash,
} from "@vouchsafe/policy";
import type { Credential } from "../access/authorise.ts";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { isVaultHost } from "../vaults/azure-settings.ts";
import type { Uploader } from "./session-records.ts";

/** A document that passed every check which needs no database, and who brought it. */
export interface CheckedDocument {
  readonly text: string;
  /** As written: its creator may be missing, or another one. */
  readonly document: Session;
  /** Where what stands in the text. */
  readonly source: SessionSource;
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
  const { session: parsed, diagnostics, document } = parseSession(text, { file: "<session>" });
  if (parsed === undefined || document === undefined) {
    const count = diagnostics.filter(({ severity }) => severity === "error").length;
    throw new ApiError("invalid_session", `the session has ${count} ${count === 1 ? "error" : "errors"}`, {
      diagnostics,
      causes: diagnostics.map(({ line, column, rule, path, message }) => `${line}:${column}: ${rule}: ${path}: ${message}`),
    });
  }
  assertSupported(context, parsed);
  assertVaults(context, parsed, document);
  return { text, document: parsed, source: document, uploader, credential: credentialOf(uploader), warnings: diagnostics };
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
  const { security } = session;
  if (!("kind" in security) && !("kind" in security.attestation)) {
    if (security.attestation.mode === "maa") throw unsupported("mode maa", "security.attestation.mode");
    if (security.attestation.ignoreAdvisories === "*" && !ownerConfig.allowAdvisoryWildcard) {
      throw new ApiError("invalid_session", 'security.attestation.ignore_advisories: the owner of this CAS forbids "*"');
    }
  }
}

/** SL-113, SL-151, SL-154: only what the owner of this CAS admits. Throws `unsupported` at the first place that is not. */
function assertVaults({ vaults: { settings } }: CasContext, session: Session, document: SessionSource): void {
  const refuse = (rule: string, path: readonly (string | number)[], message: string, expected: string) => {
    const diagnostic = diagnosticAt(document, { rule, path, message, expected });
    throw new ApiError("unsupported", `${diagnostic.path}: ${message}`, { diagnostics: [diagnostic] });
  };
  const check = (rule: string, path: readonly (string | number)[], vault: string | undefined) => {
    if (!settings.isEnabled) refuse(rule, path, "this CAS asks no vaults and no Azure AD", "a CAS whose owner has `azure.enabled`");
    if (vault !== undefined && !isVaultHost(settings, vault))
      refuse(rule, [...path, "vault"], `${vault} is no vault that this CAS may ask`, `NAME.${settings.vaultDomain}`);
  };
  for (const [at, secret] of session.secrets.entries()) {
    if (secret.origin === "vault") check("SL-151", ["secrets", at, "import_akv"], secret.vault);
    else if (secret.kind === "aad-token" && secret.origin === "generated") check("SL-113", ["secrets", at, "kind"], undefined);
  }
  if (session.secretStore.kind === "akv") check("SL-154", ["secret_config", "store_in"], session.secretStore.vault);
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
