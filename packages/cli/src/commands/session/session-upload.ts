import { type Creator, printSession } from "@vouchsafe/policy";
import { type SessionUploaded, UpdatePendingError } from "@vouchsafe/protocol";
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
  if (document.kind === "plain" && document.hasWarnings && hasFlag(options, "fail-on-warning")) return ExitCode.refused;
  const failure = document.kind === "plain" ? `session ${document.session.name} ${what}` : `the ${document.kind} session ${what}`;
  return withCasSession(options, shell, failure, async (session) => {
    const uploaded = await send(await prepare(document, session), session).catch((error: unknown) => {
      if (error instanceof UpdatePendingError) return error;
      throw error;
    });
    if (uploaded instanceof UpdatePendingError) {
      shell.note(`${uploaded.message}\nhelp: ${uploaded.remedy ?? ""}`);
      shell.out(uploaded.hash);
      return ExitCode.refused;
    }
    // The check has told about a plain document's other warnings already.
    const news = uploaded.warnings.filter(({ rule }) => document.kind !== "plain" || rule === "SL-145");
    for (const { rule, path, message } of news) shell.note(`warning[${rule}]: ${path}: ${message}`);
    shell.out(uploaded.hash);
    return ExitCode.ok;
  });
}

function send(document: SessionDocument, { client, config, retry }: CasSession): Promise<SessionUploaded> {
  switch (document.kind) {
    case "signed":
      return retry(() => client.uploadSignedSession(document.text));
    case "encrypted":
      return retry(() => client.uploadEncryptedSession(document.text));
    case "plain": {
      const text = printSession(document.session, { creator: ownCreator(config) });
      return retry(() => client.uploadSession(text));
    }
    default:
      return document satisfies never;
  }
}

/** Who uploads, for documents that do not name their creator. */
function ownCreator({ keyHash, identity }: CasSession["config"]): Creator {
  return { kind: "certificate", keyHash, pem: identity.certificate };
}
