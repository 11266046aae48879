import { explainField, renderExplanation, sessionJsonSchema } from "@vouchsafe/policy";
import { CliError } from "../../cli-error.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `explain [FIELD.PATH]`: a key of the session language, or all of the first level. */
export async function explain(options: ParsedOptions, shell: Shell): Promise<number> {
  const [path = ""] = options.operands;
  const found = explainField(path);
  if ("unknown" in found) {
    const { below, unknown, known, nearest } = found;
    const where = below === "" ? "a session" : below;
    const message = known.length === 0 ? `${where} has no keys below it` : `${where} has no key ${JSON.stringify(unknown)}`;
    const remedy = nearest === undefined ? `Known are: ${known.join(", ")}.` : `Did you mean ${below === "" ? "" : `${below}.`}${nearest}?`;
    throw new CliError("E-FIELD-UNKNOWN", message, { isUsage: true, ...(known.length === 0 ? {} : { remedy }) });
  }
  const { formats, ...rest } = found;
  if (hasFlag(options, "json"))
    shell.out(JSON.stringify({ ...rest, ...(formats.size === 0 ? {} : { formats: Object.fromEntries(formats) }) }));
  else shell.out(renderExplanation(found).trimEnd());
  return ExitCode.ok;
}

/** `session schema`: for editors. */
export async function sessionSchema(_options: ParsedOptions, shell: Shell): Promise<number> {
  shell.out(JSON.stringify(sessionJsonSchema(), undefined, 2));
  return ExitCode.ok;
}
