import { defaultStateDir, examineMachine } from "@vouchsafe/local";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

const MARKS = { ok: "ok     ", warning: "warning", failed: "failed " } as const;

/** `doctor [--quiet] [--json]`: exit status 1 when something is missing that an application needs. */
export async function doctor(options: ParsedOptions, shell: Shell): Promise<number> {
  const findings = await examineMachine(defaultStateDir(shell.environment));
  if (hasFlag(options, "json")) shell.out(JSON.stringify(findings, null, 2));
  else {
    for (const { name, outcome, detail, remedy } of findings) {
      if (outcome === "ok" && hasFlag(options, "quiet")) continue;
      shell.out(`${MARKS[outcome]} ${name}: ${detail}${remedy === undefined ? "" : `\n        help: ${remedy}`}`);
    }
  }
  return findings.some(({ outcome }) => outcome === "failed") ? ExitCode.failed : ExitCode.ok;
}
