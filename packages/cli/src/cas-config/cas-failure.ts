import { CasProblemError, ProtocolError } from "@vouchsafe/protocol";
import { CliError } from "../cli-error.ts";
import { ExitCode, type Shell } from "../shell.ts";

/** `Error: …` and one `Caused by: …` for each cause on standard error, exit code 1 (C-59). What is no such failure is passed on. */
export function reportCasFailure(error: unknown, what: string, { note }: Pick<Shell, "note">): number {
  if (!(error instanceof ProtocolError) && !(error instanceof CliError)) throw error;
  if (error instanceof CliError && error.isUsage) throw error;
  note(`Error: ${what}`);
  for (const cause of causesOf(error)) note(`Caused by: ${cause}`);
  if (error.remedy !== undefined) note(`help: ${error.remedy}`);
  return ExitCode.failed;
}

function causesOf(error: ProtocolError | CliError): readonly string[] {
  if (error instanceof CasProblemError) return error.problem.msg;
  return [error.message, ...(error instanceof CliError ? error.causes : [])];
}
