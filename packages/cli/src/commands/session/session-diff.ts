import { existsSync } from "node:fs";
import {
  type Difference,
  diffSessionFiles,
  parseSession,
  readSessionFile,
  renderSessionDifference,
  sessionNameProblem,
} from "@vouchsafe/policy";
import { withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { checkOptions, readSessionText, showDiagnostics } from "./session-document.ts";
import { shownValue } from "./session-read.ts";

interface Side {
  readonly text: string;
  readonly options: ReturnType<typeof checkOptions>;
}

/** `session diff [OLD] NEW`: what the change means. */
export async function sessionDiff(options: ParsedOptions, shell: Shell): Promise<number> {
  const [first = "", second] = options.operands;
  const after = await readSide(second ?? first, options, shell);
  if (after === undefined) return ExitCode.failed;
  const before = second === undefined ? await readCurrent(after, options, shell) : await readSide(first, options, shell);
  if (before === undefined) return ExitCode.failed;
  const { difference, diagnostics } = diffSessionFiles(before, after);
  showDiagnostics(diagnostics, after.text, shell);
  if (difference === undefined) return ExitCode.failed;
  if (hasFlag(options, "json")) shell.out(JSON.stringify(difference));
  else {
    shell.out(renderSessionDifference(difference).trimEnd());
    if (hasFlag(options, "details")) {
      for (const { path, before: old, after: now } of difference.details.filter(isSaid))
        shell.out(`${path}: ${shownValue(old)} → ${shownValue(now)}`);
    }
  }
  const isSame = difference.allows.length + difference.takesAway.length + difference.changes.length === 0;
  return isSame || !hasFlag(options, "exit-code") ? ExitCode.ok : ExitCode.refused;
}

/** A file need not say what the upload fills in. */
const isSaid = ({ path, after }: Difference): boolean => after !== undefined || (path !== "creator" && path !== "predecessor");

/** A file, or `NAME[@HASH]` of a session in the CAS. Undefined after the failure was shown. */
async function readSide(operand: string, options: ParsedOptions, shell: Shell): Promise<Side | undefined> {
  if (operand === "-" || existsSync(operand))
    return { text: await readSessionText(operand, shell), options: checkOptions(options, shell, operand) };
  const [, name = "", hash] = /^([^@]*)(?:@([0-9a-f]{64}))?$/.exec(operand) ?? [];
  if (sessionNameProblem(name) !== undefined)
    throw new CliError("E-FILE", `${operand} is no file, and no name of a session`, { isUsage: true });
  return readStored(name, hash, options, shell);
}

/** What the CAS has now under the name of the file. */
async function readCurrent({ text, options: parsing }: Side, options: ParsedOptions, shell: Shell): Promise<Side | undefined> {
  const { session, diagnostics } = readSessionFile(text, parsing);
  if (session !== undefined) return readStored(session.name, undefined, options, shell);
  showDiagnostics(diagnostics, text, shell);
  return undefined;
}

async function readStored(name: string, hash: string | undefined, options: ParsedOptions, shell: Shell): Promise<Side | undefined> {
  let found: Side | undefined;
  await withCasSession(options, shell, `session ${name} was not read`, async ({ client, retry }) => {
    const { text } = await retry(() => client.readSession(name, hash));
    if (parseSession(text).session === undefined)
      throw new CliError("E-CAS-SESSION", `session ${name} as the CAS has it cannot be read`, { remedy: "Update this program." });
    found = { text, options: { file: name } };
    return ExitCode.ok;
  });
  return found;
}
