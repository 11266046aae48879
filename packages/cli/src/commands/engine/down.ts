import { defaultStateDir, listApplications, stopApplication, stopEmbeddedCas } from "@vouchsafe/local";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { chooseRelease } from "./choose-release.ts";

/** `down [--release NAME | --all]`. An application that does not run is no failure: what was asked for is the case. */
export async function down(options: ParsedOptions, shell: Shell): Promise<number> {
  const stateDir = defaultStateDir(shell.environment);
  const applications = listApplications(stateDir);
  const isAll = hasFlag(options, "all");
  const releases = isAll ? applications.map(({ status }) => status.release) : [chooseRelease(givenValue(options, "release"), applications)];
  for (const release of releases) {
    shell.note((await stopApplication(release, stateDir)) ? `stopped ${release}` : `${release} does not run`);
  }
  if (isAll && (await stopEmbeddedCas(stateDir))) shell.note("stopped the CAS of this machine");
  return ExitCode.ok;
}
