import { readFile } from "node:fs/promises";
import {
  encodeSignedSession,
  isSignedSession,
  parseSessionPatch,
  printSessionPatch,
  renderDiagnostics,
  type SessionPatch,
  signSession,
} from "@vouchsafe/policy";
import { type CasSession, withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `session patch SESSION [FILE]`: raises security versions or adds measurements. Prints the hash of the new version. */
export async function sessionPatch(options: ParsedOptions, shell: Shell): Promise<number> {
  const [name = "", file] = options.operands;
  const changes = changesOf(options);
  if ((file === undefined) === (changes.length === 0))
    throw usage("E-ARGUMENT", "what to change is not clear", "Give a patch file, or --isvsvn-min and --add-mrenclave.");
  const text = file === undefined ? undefined : await readPatch(file, shell);
  if (file !== undefined && text === undefined) return ExitCode.failed;
  return withCasSession(options, shell, `session ${name} was not patched`, async (session) => {
    const patch = text ?? printSessionPatch({ name, predecessor: await predecessorOf(name, options, session), services: changes });
    const sent =
      hasFlag(options, "sign") && !isSignedSession(patch) ? encodeSignedSession(signSession(patch, session.config.signingKey)) : patch;
    const { hash } = await session.retry(() => session.client.patchSession(name, sent));
    shell.out(hasFlag(options, "json") ? JSON.stringify({ name, hash }) : hash);
    return ExitCode.ok;
  });
}

/** The patch as written, after it passed check; a signed one is not touched. */
async function readPatch(file: string, shell: Shell): Promise<string | undefined> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE", `${file} cannot be read`, { cause });
  });
  if (isSignedSession(text)) return text;
  const { patch, diagnostics } = parseSessionPatch(text, { file });
  if (diagnostics.length > 0) shell.note(renderDiagnostics(diagnostics, { source: text, colour: shell.colour }).trimEnd());
  return patch === undefined ? undefined : text;
}

/** Who may not read the session is told the hash by somebody who may. */
async function predecessorOf(name: string, options: ParsedOptions, { client, retry }: CasSession): Promise<string> {
  return givenValue(options, "predecessor") ?? (await retry(() => client.readSessionHash(name))).hash;
}

function changesOf(options: ParsedOptions): SessionPatch["services"] {
  const services = new Map<string, { isvsvnMin: number | undefined; addMrenclave: string[] }>();
  const of = (service: string) => {
    const known = services.get(service) ?? { isvsvnMin: undefined, addMrenclave: [] };
    services.set(service, known);
    return known;
  };
  for (const [service, value] of pairs(options, "isvsvn-min")) {
    if (!/^\d{1,5}$/.test(value)) throw usage("E-OPTION-VALUE", `--isvsvn-min ${service}=${value} is no number`, "Expected 0…65535.");
    of(service).isvsvnMin = Number(value);
  }
  for (const [service, value] of pairs(options, "add-mrenclave")) {
    if (!/^[0-9a-fA-F]{64}$/.test(value))
      throw usage("E-OPTION-VALUE", `--add-mrenclave: not 64 hexadecimal digits`, "Give a measurement.");
    of(service).addMrenclave.push(value.toLowerCase());
  }
  return [...services].map(([name, change]) => ({ name, ...change }));
}

function pairs(options: ParsedOptions, option: string): readonly (readonly [string, string])[] {
  return givenValues(options, option).map((text) => {
    const equals = text.indexOf("=");
    if (equals < 1) throw usage("E-OPTION-VALUE", `--${option} ${JSON.stringify(text)} is not SERVICE=VALUE`, `Write --${option} api=….`);
    return [text.slice(0, equals), text.slice(equals + 1)] as const;
  });
}
