export { CliError } from "./cli-error.ts";
export { ExitCode, type Shell } from "./shell.ts";
