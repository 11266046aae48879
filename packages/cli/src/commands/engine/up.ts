import { resolve } from "node:path";
import { defaultStateDir, startApplication } from "@vouchsafe/local";
import { openCasConfig } from "../../cas-config/cas-config-file.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { describeApplication, renderApplications } from "./describe-application.ts";

/** `up [-t DIR] [--release NAME]`: runs an application with the local engine. */
export async function up(options: ParsedOptions, shell: Shell): Promise<number> {
  const seconds = givenValue(options, "timeout");
  if (seconds !== undefined && !/^[1-9]\d{0,4}$/.test(seconds)) {
    throw new CliError("E-OPTION-VALUE", `--timeout is ${JSON.stringify(seconds)}`, { remedy: "Give a number of seconds.", isUsage: true });
  }
  const { identity: owner } = await openCasConfig(shell);
  const startedAt = Date.now();
  const application = await startApplication({
    targetDir: resolve(shell.directory, givenValue(options, "target-directory") ?? "target"),
    release: givenValue(options, "release"),
    stateDir: defaultStateDir(shell.environment),
    owner,
    tpm: shell.environment["VOUCHSAFE_TPM"],
    timeoutMs: seconds === undefined ? undefined : Number(seconds) * 1000,
    progress: (line) => shell.note(`[${((Date.now() - startedAt) / 1000).toFixed(1)} s] ${line}`),
    signal: shell.signal,
  });
  const weak = application.status.evidence.split(", ").filter((kind) => /^(?:node|simulated)/.test(kind));
  if (weak.length > 0)
    shell.note(`warning: services are attested with evidence of the kind ${weak.join(", ")}: it proves nothing about hardware`);
  shell.out(hasFlag(options, "json") ? JSON.stringify(describeApplication(application), null, 2) : renderApplications([application]));
  return ExitCode.ok;
}
