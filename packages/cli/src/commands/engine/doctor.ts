import { defaultStateDir, examineMachine } from "@vouchsafe/local";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { examineCluster } from "./examine-cluster.ts";

const MARKS = { ok: "ok     ", warning: "warning", failed: "failed " } as const;

/** `doctor [--cluster] [--quiet] [--json]`: exit status 1 when something is missing that an application needs. */
export async function doctor(options: ParsedOptions, shell: Shell): Promise<number> {
  const { environment } = shell;
  const cas = givenValue(options, "cas") ?? "cas";
  const findings = hasFlag(options, "cluster")
    ? await examineCluster({
        cas,
        casNamespace: givenValue(options, "cas-namespace") ?? "scone-system",
        namespace: givenValue(options, "namespace"),
        environment,
      })
    : await examineMachine(defaultStateDir(environment));
  if (hasFlag(options, "json")) shell.out(JSON.stringify(findings, null, 2));
  else {
    for (const { name, outcome, detail, remedy } of findings) {
      if (outcome === "ok" && hasFlag(options, "quiet")) continue;
      shell.out(`${MARKS[outcome]} ${name}: ${detail}${remedy === undefined ? "" : `\n        help: ${remedy}`}`);
    }
  }
  return findings.some(({ outcome }) => outcome === "failed") ? ExitCode.failed : ExitCode.ok;
}
