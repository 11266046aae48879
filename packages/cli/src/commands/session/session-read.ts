import { diffSessions, parseSession, sessionHash } from "@vouchsafe/policy";
import { withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { readSessionDocument } from "./session-document.ts";

/** `session read NAME`: the normalised document with its creator. */
export async function sessionRead(options: ParsedOptions, shell: Shell): Promise<number> {
  const [name = ""] = options.operands;
  return withCasSession(options, shell, `session ${name} was not read`, async ({ client, retry }) => {
    const { text, hash } = await retry(() => client.readSession(name));
    shell.out(hasFlag(options, "json") ? JSON.stringify({ name, hash, text }) : text.trimEnd());
    return ExitCode.ok;
  });
}

/** `session list [NAMESPACE]`: one name per line. */
export async function sessionList(options: ParsedOptions, shell: Shell): Promise<number> {
  const [namespace = "/"] = options.operands;
  return withCasSession(options, shell, `the sessions of ${namespace} were not listed`, async ({ client, retry }) => {
    const found: { name: string; updated: string }[] = [];
    for (let after: string | undefined; ; ) {
      const page = await retry(() => client.listSessions(namespace, { ...(after === undefined ? {} : { after }), limit: 1000 }));
      found.push(...page.sessions);
      if (page.next === undefined) break;
      after = page.next;
    }
    if (hasFlag(options, "json")) shell.out(JSON.stringify(found));
    else for (const { name } of found) shell.out(name);
    return ExitCode.ok;
  });
}

/** `session verify FILE`: does the CAS have exactly this session? Prints the hash; on a difference tells which parts differ (C-31). */
export async function sessionVerify(options: ParsedOptions, shell: Shell): Promise<number> {
  const document = await readSessionDocument(options, shell);
  if (document === undefined) return ExitCode.failed;
  if (document.kind !== "plain") throw new CliError("E-FILE", "only a plain session file can be verified", { isUsage: true });
  const local = document.session;
  return withCasSession(options, shell, `session ${local.name} was not verified`, async ({ client, retry, name }) => {
    const { text, hash } = await retry(() => client.readSession(local.name));
    const stored = parseSession(text, { file: local.name }).session;
    if (stored === undefined)
      throw new CliError("E-CAS-SESSION", "the session that the CAS has cannot be read", { remedy: "Update this program." });
    // The file need not name what the upload filled in.
    const expected = { ...local, predecessor: local.predecessor ?? stored.predecessor, creator: local.creator ?? stored.creator };
    if (sessionHash(expected, { creator: stored.creator }) === hash) {
      shell.out(hash);
      return ExitCode.ok;
    }
    shell.note(`Error: session ${local.name} differs from the one in CAS ${name}`);
    for (const { path, before, after } of diffSessions(stored, expected).details) {
      shell.note(`Caused by: ${path}: the CAS has ${shownValue(before)}, the file has ${shownValue(after)}`);
    }
    return ExitCode.failed;
  });
}

/** Values are masked already where they may be secret. */
export const shownValue = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));
