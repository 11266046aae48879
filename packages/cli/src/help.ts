import type { CommandSpec, OptionSpec } from "./command-spec.ts";

/** Help of one command, with examples. */
export function renderCommandHelp(program: string, command: CommandSpec): string {
  const usage = [program, command.name, command.options.length > 0 ? "[OPTIONS]" : "", command.operands ?? ""]
    .filter((part) => part !== "")
    .join(" ");
  return [
    command.summary,
    "",
    `usage: ${usage}`,
    "",
    ...(command.options.length === 0 ? [] : ["options:", renderOptions(command.options), ""]),
    ...(command.notes === undefined ? [] : [command.notes, ""]),
    command.examples.length === 1 ? "example:" : "examples:",
    ...command.examples.map((example) => `  ${program} ${example}`),
  ].join("\n");
}

export function renderOptions(options: readonly OptionSpec[]): string {
  const left = options.map(({ short, long, value }) => {
    const names = [short === undefined ? undefined : `-${short}`, long === undefined ? undefined : `--${long}`]
      .filter((name) => name !== undefined)
      .join(", ");
    return `  ${short === undefined ? "    " : ""}${names}${value === undefined ? "" : ` ${value}`}`;
  });
  const width = Math.min(34, Math.max(...left.map((text) => text.length)) + 2);
  return options
    .map(({ summary, words }, index) => {
      const text = left[index] ?? "";
      const about = words === undefined ? summary : `${summary} (${words.join(", ")})`;
      return text.length + 2 > width ? `${text}\n${" ".repeat(width)}${about}` : text.padEnd(width) + about;
    })
    .join("\n");
}

/** The general help (CL-12). */
export function renderGeneralHelp(
  program: string,
  version: string,
  groups: readonly { readonly title: string; readonly commands: readonly Pick<CommandSpec, "name" | "summary">[] }[],
): string {
  const width = Math.max(...groups.flatMap(({ commands }) => commands.map(({ name }) => name.length))) + 2;
  const list = groups.flatMap(({ title, commands }) => [
    `${title}:`,
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    "",
  ]);
  return [
    `${program}: run ordinary programs as confidential applications`,
    "",
    `usage: ${program} [--quiet] [--cas-config DIR] COMMAND [OPTIONS]`,
    `       ${program} apply -f FILE [OPTIONS]     build an image, or protect an application, as the manifest's kind says`,
    "",
    ...list,
    "global options:",
    "  @FILE             arguments from a file, one a line",
    "  -c FILE           file of the client's state, before the command (not for sconectl; also: SCONE_CLI_CONFIG)",
    "  --cas-config DIR  directory of the client's keys and known CAS instances (default: $HOME/.cas)",
    "  --help            this text",
    "  --no-color        no colours (also: NO_COLOR; FORCE_COLOR asks for them)",
    "  --quiet           no progress",
    "  --version         the version",
    "",
    "environment:",
    "  SCONECTL_REPO            repository of the platform images",
    "  VERSION, SCONECTL_VERSION  version of the platform images (default: latest)",
    "  SCONECTL_NOPULL          if set, platform images are taken from the local store",
    "  SCONECTL_CAS_CONFIG      like --cas-config, absolute",
    "  VOUCHSAFE_EVIDENCE       kinds of evidence that policies accept, e.g. node where no TEE exists",
    "  KUBECONFIG, DOCKER_HOST, DOCKER_CONFIG, HOME, NO_COLOR",
    "",
    "examples:",
    `  ${program} apply -f service.yaml`,
    `  ${program} apply -f mesh.yaml --release clinic`,
    `  ${program} help apply`,
    "",
    `version ${version}`,
  ].join("\n");
}
