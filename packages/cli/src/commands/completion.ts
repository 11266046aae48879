import { MESH_OPTIONS, SERVICE_OPTIONS } from "../apply-options.ts";
import type { CommandSpec, ParsedOptions } from "../command-spec.ts";
import { usage } from "../parse-options.ts";
import { ExitCode, type Shell } from "../shell.ts";

/** Prints a completion script made from the table of commands. */
export async function completion(options: ParsedOptions, shell: Shell, commands: readonly CommandSpec[]): Promise<number> {
  const [name] = options.operands;
  const words = new Map(commands.map((command) => [command.name, optionWords(command)]));
  const firsts = [...new Set([...commands.map((command) => command.name.split(" ")[0] ?? ""), "help"])];
  if (name === "bash") shell.out(bash(words, firsts));
  else if (name === "zsh") shell.out(`autoload -Uz bashcompinit && bashcompinit\n${bash(words, firsts)}`);
  else if (name === "fish") shell.out(fish(commands));
  else throw usage("E-ARGUMENT", `there is no completion for ${JSON.stringify(name)}`, "Expected bash, zsh or fish.");
  return ExitCode.ok;
}

const optionsOf = (command: CommandSpec) =>
  command.name === "apply"
    ? [...new Map([...SERVICE_OPTIONS, ...MESH_OPTIONS].map((option) => [option.long ?? option.short, option])).values()]
    : command.options;
const optionWords = (command: CommandSpec): string[] =>
  optionsOf(command).flatMap(({ long, short }) => [
    ...(long === undefined ? [] : [`--${long}`]),
    ...(short === undefined ? [] : [`-${short}`]),
  ]);

function bash(words: ReadonlyMap<string, readonly string[]>, firsts: readonly string[]): string {
  const cases = [...words]
    .toSorted(([a], [b]) => b.length - a.length)
    .map(([name, options]) => `    "${name}"*) words="${options.join(" ")}" ;;`);
  const groups = [...new Set([...words.keys()].filter((name) => name.includes(" ")).map((name) => name.split(" ")[0]))].map((group) => {
    const seconds = [...words.keys()].filter((name) => name.startsWith(`${group} `)).map((name) => name.split(" ")[1]);
    return `    ${group}) if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "${[...new Set(seconds)].join(" ")}" -- "$current")); return; fi ;;`;
  });
  return `_vouchsafe() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${firsts.join(" ")} --help --quiet --version" -- "$current")); return; fi
  case "\${COMP_WORDS[1]}" in
${groups.length === 0 ? "    '') ;;" : groups.join("\n")}
  esac
  case "\${COMP_WORDS[*]:1}" in
${cases.join("\n")}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -F _vouchsafe vouchsafe sconectl scone`;
}

function fish(commands: readonly CommandSpec[]): string {
  const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap((command) => {
    const [first = "", second] = command.name.split(" ");
    const at = second === undefined ? "__fish_use_subcommand" : `__fish_seen_subcommand_from ${first}`;
    const seen = command.name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    return [
      `complete -c vouchsafe -f -n ${quote(at)} -a ${quote(second ?? first)} -d ${quote(command.summary)}`,
      ...optionsOf(command).map(({ long, short, value, summary }) =>
        [
          "complete -c vouchsafe -n",
          quote(seen),
          long === undefined ? "" : `-l ${long}`,
          short === undefined ? "" : `-s ${short}`,
          value === undefined ? "" : "-r",
          `-d ${quote(summary)}`,
        ]
          .filter((part) => part !== "")
          .join(" "),
      ),
    ];
  });
  return [...lines, "complete -c sconectl -w vouchsafe", "complete -c scone -w vouchsafe"].join("\n");
}
