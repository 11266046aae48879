import { defaultStateDir, listApplications } from "@vouchsafe/local";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { describeApplication, renderApplications } from "./describe-application.ts";

/** `ps [--release NAME] [--json]`. With a release, JSON is that application (or null); without, a list. */
export async function ps(options: ParsedOptions, shell: Shell): Promise<number> {
  const release = givenValue(options, "release");
  const applications = listApplications(defaultStateDir(shell.environment)).filter(
    ({ status }) => release === undefined || status.release === release,
  );
  if (hasFlag(options, "json")) {
    const described = applications.map(describeApplication);
    shell.out(JSON.stringify(release === undefined ? described : (described[0] ?? null), null, 2));
  } else shell.out(renderApplications(applications));
  return release !== undefined && applications.length === 0 ? ExitCode.failed : ExitCode.ok;
}
