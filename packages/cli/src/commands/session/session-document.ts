import { readFile } from "node:fs/promises";
import {
  type CheckOptions,
  type Diagnostic,
  isEncryptedSession,
  isSignedSession,
  parseSession,
  renderDiagnostics,
  type Session,
  type SessionSource,
} from "@vouchsafe/policy";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

/** A session file as the commands use it: plain text with its variables replaced, or a document that is not to be touched (SL-28). */
export type SessionDocument =
  | {
      readonly kind: "plain";
      readonly text: string;
      readonly session: Session;
      /** Where what stands in the text. */
      readonly source: SessionSource;
      /** What the check has shown. */
      readonly warnings: readonly Diagnostic[];
    }
  | { readonly kind: "signed" | "encrypted"; readonly text: string };

/** Reads and checks the file; diagnostics go to standard error. Undefined when it has errors. Throws CliError. */
export async function readSessionDocument(options: ParsedOptions, shell: Shell): Promise<SessionDocument | undefined> {
  const [file = ""] = options.operands;
  const text = await readSessionText(file, shell);
  const name = givenValue(options, "name");
  if (isSignedSession(text) || isEncryptedSession(text)) {
    if (name !== undefined) throw new CliError("E-OPTION-VALUE", "--name cannot change a signed or encrypted session", { isUsage: true });
    return { kind: isSignedSession(text) ? "signed" : "encrypted", text };
  }
  const values = variables(options, shell);
  const {
    session,
    diagnostics,
    document: source,
  } = parseSession(text, { file, variables: values, ...(name === undefined ? {} : { name }) });
  if (diagnostics.length > 0) {
    shell.note(renderDiagnostics(diagnostics, { source: text, json: hasFlag(options, "json"), colour: shell.colour }).trimEnd());
  }
  if (session === undefined || source === undefined) return undefined;
  return { kind: "plain", text, session, source, warnings: diagnostics };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: ": there is no such file",
  EACCES: ": it may not be read",
  EISDIR: ": it is a directory",
};

/** The file's text; `-` is standard input. Throws E-FILE. */
export async function readSessionText(file: string, { readInput }: Shell): Promise<string> {
  if (file === "-") return Buffer.from(await readInput()).toString();
  return readFile(file, "utf8").catch((cause: unknown) => {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    throw new CliError("E-FILE", `${file} cannot be read${REASONS[code] ?? ""}`, { cause });
  });
}

/** How the options ask for the first operand, or another file, to be read. */
export function checkOptions(options: ParsedOptions, shell: Shell, file = options.operands[0]): CheckOptions {
  const name = givenValue(options, "name");
  return {
    variables: variables(options, shell),
    failOnWarning: hasFlag(options, "fail-on-warning"),
    ...(file === undefined ? {} : { file }),
    ...(name === undefined ? {} : { name }),
  };
}

export function showDiagnostics(diagnostics: readonly Diagnostic[], source: string, { note, colour }: Shell): void {
  if (diagnostics.length > 0) note(renderDiagnostics(diagnostics, { source, colour }).trimEnd());
}

/** SL-24: `-e` wins over the environment, which counts with `--use-env` only. */
function variables(options: ParsedOptions, { environment }: Shell): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (hasFlag(options, "use-env")) {
    for (const [name, value] of Object.entries(environment)) if (value !== undefined) found.set(name, value);
  }
  for (const definition of givenValues(options, "e")) {
    const equals = definition.indexOf("=");
    if (equals < 1) throw new CliError("E-OPTION-VALUE", `-e ${JSON.stringify(definition)} is not VAR=VALUE`, { isUsage: true });
    found.set(definition.slice(0, equals), definition.slice(equals + 1));
  }
  return found;
}
