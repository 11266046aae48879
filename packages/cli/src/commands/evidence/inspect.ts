import { type Described, inspectEvidence } from "@vouchsafe/attestation";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { readEvidenceFile } from "./evidence-input.ts";

/** `evidence inspect FILE`: shows what a quote, report, document or log says. Nothing of it is verified. */
export async function inspect(options: ParsedOptions, shell: Shell): Promise<number> {
  const description = inspectEvidence(await readEvidenceFile(options, shell));
  if (hasFlag(options, "json")) {
    shell.out(JSON.stringify(description));
    return ExitCode.ok;
  }
  shell.note("nothing of this is verified: see evidence verify");
  shell.out(`${description.format}, ${description.bytes} bytes`);
  for (const [name, bytes] of Object.entries(description.endorsements)) shell.out(`with ${name}, ${bytes} bytes`);
  for (const line of linesOf(description.fields, "")) shell.out(line);
  return ExitCode.ok;
}

/** One line for each leaf, its path first, and for a list of numbers. Control characters are shown as escapes. */
export function linesOf(value: Described, path: string): readonly string[] {
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number")) return [`  ${path}: ${value.join(" ")}`];
  if (typeof value !== "object" || value === null) return [`  ${path}: ${typeof value === "string" ? escaped(value) : String(value)}`];
  const entries = Array.isArray(value) ? value.map((item, index) => [String(index), item] as const) : Object.entries(value);
  return entries.flatMap(([name, item]) => linesOf(item, path === "" ? name : `${path}.${name}`));
}

const escaped = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : JSON.stringify(text));
