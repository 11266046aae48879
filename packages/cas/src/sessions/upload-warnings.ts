/** What a successful upload has to be told: everything that only a CAS can see, at its place in the document. */
import {
  type AccessEntry,
  accessHangsOnSecret,
  type Diagnostic,
  diagnosticAt,
  exceptionState,
  importUnavailable,
  listExceptions,
  OPERATIONS,
  type Operation,
  type Session,
  type SessionSource,
  uploaderLockedOut,
} from "@vouchsafe/policy";
import { ruleOf } from "../access/authorise.ts";
import { type CasContext, committedValues } from "../cas-context.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";
import type { CheckedDocument } from "./check-document.ts";
import { currentKey, type SessionVersion } from "./session-records.ts";

/** Warnings about the document that has just become the current version, or waits as a proposal. */
export async function uploadWarnings(context: CasContext, upload: CheckedDocument, hash: string): Promise<readonly Diagnostic[]> {
  const { document, source } = upload;
  const version = await context.database.get<SessionVersion>(currentKey(document.name));
  const found = exceptionWarnings(document, source, context.now());
  if (version?.hash !== hash) return found; // it waits, or somebody was faster
  try {
    return [...found, ...(await importWarnings(context, version, source)), ...(await accessWarnings(context, version, upload))];
  } catch (error) {
    if (error instanceof KeptValuesError) return found; // the upload is done; that its values are away is told to those who want them
    throw error;
  }
}

/** Exceptions that have ended, or end soon (SL-89). */
function exceptionWarnings(session: Session, source: SessionSource, now: Date): Diagnostic[] {
  return listExceptions(session).flatMap((exception) => {
    const { state, daysLeft } = exceptionState(exception, now);
    if (state === "active") return [];
    const when = state === "ended" ? "has ended" : `ends in ${daysLeft} days`;
    const at = session.services.findIndex(({ name }) => name === exception.service);
    const section = at < 0 ? ["security"] : ["services", at, "security"];
    const path = [...section, "attestation", "exceptions"];
    const message = `the exception until ${exception.until} ${when}: ${exception.because}`;
    return [
      diagnosticAt(source, { severity: "warning", rule: "SL-89", path, at: "key", message, expected: "a platform without the weakness" }),
    ];
  });
}

/** Imports that nobody exports yet (SL-145), secrets that a vault does not give (SL-151). */
async function importWarnings(context: CasContext, version: SessionVersion, source: SessionSource): Promise<Diagnostic[]> {
  const { secrets } = version.session;
  if (!secrets.some(({ origin }) => origin === "imported" || origin === "vault")) return [];
  await context.remote.refresh(version);
  const { problems } = await resolveSecrets(committedValues(context), version, context.now());
  return secrets.flatMap(({ name, origin }, index) => {
    const problem = problems.get(name);
    if (problem === undefined || (origin !== "imported" && origin !== "vault")) return [];
    return [
      importUnavailable(source, { index, problem: `secret ${name}: ${problem}`, source: origin === "vault" ? "import_akv" : "import" }),
    ];
  });
}

/** Rules that hang on secrets (SL-182), or shut out the one who wrote them (SL-183). */
async function accessWarnings(
  context: CasContext,
  version: SessionVersion,
  { source, credential }: CheckedDocument,
): Promise<Diagnostic[]> {
  const { session } = version;
  const from = committedValues(context);
  const found: Diagnostic[] = [];
  for (const operation of OPERATIONS) {
    const written = writtenRule(session, operation);
    if (written.length === 0) continue;
    const unusable = new Set(placeholdersIn(await ruleOf(from, version, operation)));
    for (const name of new Set(placeholdersIn(written))) {
      const origin = session.secrets.find((secret) => secret.name === name)?.origin;
      const isElsewhere = origin === "imported" || origin === "vault";
      if (isElsewhere || unusable.has(name)) found.push(accessHangsOnSecret(source, operation, name, !unusable.has(name)));
    }
  }
  const rule = await ruleOf(from, version, "update");
  const caller = {
    certificateKeyHash: credential.certificateKeyHash,
    signerKeyHashes: new Set(credential.signers),
    creator: session.creator,
  };
  const isImmutable = rule.every(({ kind }) => kind === "none"); // said by SL-172
  const lockedOut = isImmutable ? undefined : uploaderLockedOut(source, rule, caller);
  return lockedOut === undefined ? found : [...found, lockedOut];
}

/** As it stands in the document; nothing where a default or another operation's rule holds. */
function writtenRule({ accessPolicy }: Session, operation: Operation): readonly AccessEntry[] {
  if ("kind" in accessPolicy) return operation === "update" ? [accessPolicy] : [];
  const { read, update, createSessions, listSessions } = accessPolicy;
  return { read, update, create_sessions: createSessions, list_sessions: listSessions }[operation] ?? [];
}

function placeholdersIn(rule: readonly AccessEntry[]): string[] {
  return rule.flatMap((entry) => {
    if (entry.kind === "placeholder") return [entry.secret];
    return entry.kind === "all" || entry.kind === "at-least" ? placeholdersIn(entry.entries) : [];
  });
}
