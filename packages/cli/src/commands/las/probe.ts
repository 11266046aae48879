import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { decodeEvidence } from "@vouchsafe/attestation";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { gatherEvidence } from "./gather-evidence.ts";

/** `las probe` (C-92): exits 0 if evidence can be produced here. It is not verified. */
export async function probe(options: ParsedOptions, shell: Shell): Promise<number> {
  const { source, evidence } = await gatherEvidence(options, shell);
  const { kind, bytes } = decodeEvidence(evidence);
  const file = givenValue(options, "save");
  if (file !== undefined) {
    await writeFile(resolve(shell.directory, file), `${JSON.stringify(evidence)}\n`).catch((cause: unknown) => {
      throw new CliError("E-FILE", `${file} cannot be written`, { cause });
    });
  }
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ kind, source, bytes: bytes.length }));
  else shell.out(`${kind} evidence from ${source}, ${bytes.length} bytes; not verified`);
  return ExitCode.ok;
}
