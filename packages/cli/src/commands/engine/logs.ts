import { defaultStateDir, listApplications, readLogs } from "@vouchsafe/local";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { chooseRelease } from "./choose-release.ts";

/** `logs [--release NAME] [-f] [SERVICE...]`. Lines carry the service's name unless there is one service only. */
export async function logs(options: ParsedOptions, shell: Shell): Promise<number> {
  const stateDir = defaultStateDir(shell.environment);
  const release = chooseRelease(givenValue(options, "release"), listApplications(stateDir));
  const isSingle = options.operands.length === 1;
  await readLogs(
    { stateDir, release, services: options.operands, follow: hasFlag(options, "follow"), signal: shell.signal },
    (instance, text) => shell.out(isSingle ? text : `${instance} | ${text}`),
  );
  return ExitCode.ok;
}
