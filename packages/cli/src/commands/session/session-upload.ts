import { type Creator, parseSession, printSession, relocateDiagnostic, renderDiagnostics } from "@vouchsafe/policy";
import { CasProblemError, type SessionUploaded, UpdatePendingError } from "@vouchsafe/protocol";
import { type CasSession, withCasSession } from "../../cas-config/cas-session.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { readSessionDocument, type SessionDocument } from "./session-document.ts";

/** `session create FILE`: uploads; with a predecessor in the file it behaves as an update (C-58). Prints the hash and nothing else (C-59). */
export async function sessionCreate(options: ParsedOptions, shell: Shell): Promise<number> {
  return upload(options, shell, "was not created", async (document) => document);
}

/** `session update FILE`: as create, but fills in a missing predecessor from the CAS (SL-46). */
export async function sessionUpdate(options: ParsedOptions, shell: Shell): Promise<number> {
  return upload(options, shell, "was not updated", async (document, session) => {
    if (document.kind !== "plain" || document.session.predecessor !== undefined) return document;
    const { hash } = await session.retry(() => session.client.readSession(document.session.name));
    return { ...document, session: { ...document.session, predecessor: hash } };
  });
}

async function upload(
  options: ParsedOptions,
  shell: Shell,
  what: string,
  prepare: (document: SessionDocument, session: CasSession) => Promise<SessionDocument>,
): Promise<number> {
  const document = await readSessionDocument(options, shell);
  if (document === undefined) return ExitCode.failed;
  if (document.kind === "plain" && document.warnings.length > 0 && hasFlag(options, "fail-on-warning")) return ExitCode.refused;
  const failure = document.kind === "plain" ? `session ${document.session.name} ${what}` : `the ${document.kind} session ${what}`;
  return withCasSession(options, shell, failure, async (session) => {
    const prepared = await prepare(document, session);
    const text = prepared.kind === "plain" ? printSession(prepared.session, { creator: ownCreator(session.config) }) : prepared.text;
    const show = (found: readonly FromCas[]) => showAtPlace(document, text, found, options, shell);
    const uploaded = await send(prepared.kind, text, session).catch((error: unknown) => {
      if (error instanceof UpdatePendingError) return error;
      if (error instanceof CasProblemError) show(error.problem.diagnostics);
      throw error;
    });
    if (uploaded instanceof UpdatePendingError) {
      shell.note(`${uploaded.message}\nhelp: ${uploaded.remedy ?? ""}`);
      shell.out(uploaded.hash);
      return ExitCode.refused;
    }
    show(uploaded.warnings.map((warning) => ({ ...warning, severity: "warning" as const, expected: "", hint: "" })));
    shell.out(uploaded.hash);
    return ExitCode.ok;
  });
}

type FromCas = Parameters<typeof relocateDiagnostic>[0];

/**
 * What the CAS says about a document, at its place in the file, as what is uploaded is the normal form; without what the check has shown. Of documents
 * that only a CAS can read, it is told by paths.
 */
function showAtPlace(document: SessionDocument, uploaded: string, found: readonly FromCas[], options: ParsedOptions, shell: Shell): void {
  if (document.kind !== "plain") {
    for (const { severity, rule, path, message } of found) shell.note(`${severity}[${rule}]: ${path}: ${message}`);
    return;
  }
  const { document: source } = parseSession(uploaded);
  if (source === undefined) return; // it was read before it was printed
  const known = new Set(document.warnings.map(({ rule, path }) => `${rule} ${path}`));
  const news = found.filter(({ rule, path }) => !known.has(`${rule} ${path}`));
  const diagnostics = news.map((one) => relocateDiagnostic(one, source, document.source));
  const json = hasFlag(options, "json");
  if (diagnostics.length > 0) shell.note(renderDiagnostics(diagnostics, { source: document.text, json, colour: shell.colour }).trimEnd());
}

function send(kind: SessionDocument["kind"], text: string, { client, retry }: CasSession): Promise<SessionUploaded> {
  switch (kind) {
    case "signed":
      return retry(() => client.uploadSignedSession(text));
    case "encrypted":
      return retry(() => client.uploadEncryptedSession(text));
    case "plain":
      return retry(() => client.uploadSession(text));
    default:
      return kind satisfies never;
  }
}

/** Who uploads, for documents that do not name their creator. */
function ownCreator({ keyHash, identity }: CasSession["config"]): Creator {
  return { kind: "certificate", keyHash, pem: identity.certificate };
}
