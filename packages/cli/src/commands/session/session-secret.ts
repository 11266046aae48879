import { readFile } from "node:fs/promises";
import { withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `session secret set SESSION SECRET`: supplies a value from standard input or a file, never from the command line. */
export async function sessionSecretSet(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = "", secret = ""] = options.operands;
  const value = await readValue(options, shell);
  return withCasSession(options, shell, `secret ${secret} of session ${session} was not set`, async ({ client, retry }) => {
    const { warnings } = await retry(() => client.supplySecret(session, secret, value));
    for (const warning of warnings) shell.note(`warning: ${warning}`);
    if (hasFlag(options, "json")) shell.out(JSON.stringify({ session, secret, warnings }));
    else shell.note(`secret ${secret} of session ${session} is set`);
    return ExitCode.ok;
  });
}

/** `session secret read SESSION SECRET`: for members of a role that may read it; the value alone goes to standard output. */
export async function sessionSecretRead(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = "", secret = ""] = options.operands;
  return withCasSession(options, shell, `secret ${secret} of session ${session} was not read`, async ({ client, retry }) => {
    const found = await retry(() => client.readSecret(session, secret, givenValue(options, "format")));
    if (found.encoding === "base64" && !hasFlag(options, "json")) {
      shell.note("the value is bytes; it is printed as base64");
    }
    shell.out(hasFlag(options, "json") ? JSON.stringify(found) : found.value.replace(/\n$/, ""));
    return ExitCode.ok;
  });
}

/** `session secret list SESSION`: which secrets people supply or read, and which of them have a value. */
export async function sessionSecretList(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = ""] = options.operands;
  return withCasSession(options, shell, `the secrets of session ${session} were not listed`, async ({ client, retry }) => {
    const { secrets } = await retry(() => client.listSecrets(session));
    if (hasFlag(options, "json")) shell.out(JSON.stringify(secrets));
    else {
      for (const { name, kind, required, hasValue, suppliedAt, mayWrite, mayRead } of secrets) {
        const state = hasValue ? (suppliedAt === null ? "has a value" : `set ${suppliedAt}`) : required ? "missing" : "not set (optional)";
        const rights = [...(mayWrite ? ["you may set it"] : []), ...(mayRead ? ["you may read it"] : [])].join(", ");
        shell.out(`${name} (${kind}): ${state}${rights === "" ? "" : `; ${rights}`}`);
      }
    }
    return ExitCode.ok;
  });
}

/** The line end that an editor or `echo` left is no part of a text; with `--exact` everything counts, with `--raw` the bytes themselves. */
async function readValue(options: ParsedOptions, shell: Shell): Promise<string> {
  const file = givenValue(options, "file");
  const bytes =
    file === undefined
      ? await shell.readInput()
      : await readFile(file).catch((cause: unknown) => {
          throw new CliError("E-FILE", `${file} cannot be read`, { cause });
        });
  if (bytes.length === 0) throw new CliError("E-ARGUMENT", "the value is empty", { remedy: "Give it on standard input or with --file." });
  if (hasFlag(options, "raw")) return Buffer.from(bytes).toString("hex");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CliError("E-FILE-TYPE", "the value is no UTF-8 text", { cause, remedy: "For a secret of kind binary give --raw." });
  }
  return hasFlag(options, "exact") ? text : text.replace(/\r?\n$/, "");
}
