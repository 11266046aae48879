import { MESH_OPTIONS, SERVICE_OPTIONS } from "../apply-options.ts";
import type { CommandSpec, ParsedOptions } from "../command-spec.ts";
import { usage } from "../parse-options.ts";
import { ExitCode, type Shell } from "../shell.ts";

/** Prints a completion script made from the table of commands. */
export async function completion(options: ParsedOptions, shell: Shell, commands: readonly CommandSpec[]): Promise<number> {
  const [name] = options.operands;
  const words = new Map(commands.map((command) => [command.name, optionWords(command)]));
  const firsts = [...new Set([...commands.map((command) => command.name.split(" ")[0] ?? ""), "help"])];
  if (name === "bash") shell.out(bash(commands, words, firsts));
  else if (name === "zsh") shell.out(`autoload -Uz bashcompinit && bashcompinit\n${bash(commands, words, firsts)}`);
  else if (name === "fish") shell.out(fish(commands));
  else throw usage("E-ARGUMENT", `there is no completion for ${JSON.stringify(name)}`, "Expected bash, zsh or fish.");
  return ExitCode.ok;
}

/** Options that stand anywhere. */
const GLOBAL_OPTIONS = "--cas-config --no-color";
const SHELLS = ["bash", "zsh", "fish"];

const optionsOf = (command: CommandSpec) =>
  command.name === "apply"
    ? [...new Map([...SERVICE_OPTIONS, ...MESH_OPTIONS].map((option) => [option.long ?? option.short, option])).values()]
    : command.options;
const optionWords = (command: CommandSpec): string[] =>
  optionsOf(command).flatMap(({ long, short }) => [
    ...(long === undefined ? [] : [`--${long}`]),
    ...(short === undefined ? [] : [`-${short}`]),
  ]);

/** Kinds of names that the program itself is asked for. */
const dynamicKinds = ({ completes }: CommandSpec): readonly string[] =>
  completes === undefined ? [] : completes === "session or file" ? ["session"] : [completes];

function bash(commands: readonly CommandSpec[], words: ReadonlyMap<string, readonly string[]>, firsts: readonly string[]): string {
  const dynamic = commands
    .filter(({ completes }) => completes !== undefined)
    .map((command) => {
      const asked = dynamicKinds(command).map((kind) => `$("\${COMP_WORDS[0]}" complete-words ${kind} "$current" 2>/dev/null)`);
      const files = command.completes === "session or file" ? " -f" : "";
      return `    "${command.name} "*) COMPREPLY=($(compgen${files} -W "${asked.join(" ")}" -- "$current")); return ;;`;
    });
  const cases = [...words]
    .toSorted(([a], [b]) => b.length - a.length)
    .map(([name, options]) => `    "${name}"*) words="${options.join(" ")}" ;;`);
  const parts = commands.map(({ name }) => name.split(" "));
  const prefixes = new Set(parts.flatMap((name) => name.slice(0, -1).map((_, at) => name.slice(0, at + 1).join(" "))));
  const groups = [...prefixes].map((prefix) => {
    const depth = prefix.split(" ").length;
    const next = parts.flatMap((name) => (name.slice(0, depth).join(" ") === prefix ? (name[depth] ?? []) : []));
    return `    "${prefix}") COMPREPLY=($(compgen -W "${[...new Set(next)].join(" ")}" -- "$current")); return ;;`;
  });
  const values = commands.flatMap((command) =>
    optionsOf(command).flatMap(({ long, short, words: known }) => {
      if (known === undefined) return [];
      const names = [...(long === undefined ? [] : [`--${long}`]), ...(short === undefined ? [] : [`-${short}`])];
      const patterns = names.map((option) => `"${command.name} "*"${option}"`).join("|");
      return [`    ${patterns}) COMPREPLY=($(compgen -W "${known.join(" ")}" -- "$current")); return ;;`];
    }),
  );
  return `_vouchsafe() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${firsts.join(" ")} --help --quiet --version ${GLOBAL_OPTIONS}" -- "$current")); return; fi
  case "\${COMP_WORDS[*]:1:COMP_CWORD-1}" in
    help) COMPREPLY=($(compgen -W "${firsts.join(" ")}" -- "$current")); return ;;
    completion) COMPREPLY=($(compgen -W "${SHELLS.join(" ")}" -- "$current")); return ;;
${groups.join("\n")}
${values.join("\n")}
  esac
  case "\${COMP_WORDS[*]:1}" in
${cases.join("\n")}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    -c|--cas) COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" complete-words cas "$current" 2>/dev/null)" -- "$current")); return ;;
  esac
  case "$current" in
    -*) ;;
    *) case "\${COMP_WORDS[*]:1}" in
${dynamic.join("\n")}
    esac ;;
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words ${GLOBAL_OPTIONS}" -- "$current")) ;;
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
      ...dynamicKinds(command).map(
        (kind) => `complete -c vouchsafe -n ${quote(seen)} -a ${quote(`(vouchsafe complete-words ${kind} (commandline -ct) 2>/dev/null)`)}`,
      ),
      `complete -c vouchsafe -f -n ${quote(at)} -a ${quote(second ?? first)} -d ${quote(command.summary)}`,
      ...optionsOf(command).map(({ long, short, value, words: known, summary }) =>
        [
          "complete -c vouchsafe -n",
          quote(seen),
          long === undefined ? "" : `-l ${long}`,
          short === undefined ? "" : `-s ${short}`,
          value === undefined ? "" : "-r",
          known === undefined ? "" : `-f -a ${quote(known.join(" "))}`,
          `-d ${quote(summary)}`,
        ]
          .filter((part) => part !== "")
          .join(" "),
      ),
    ];
  });
  const named = ["help", ...new Set(commands.map(({ name }) => name.split(" ")[0] ?? name))];
  return [
    ...lines,
    `complete -c vouchsafe -f -n '__fish_seen_subcommand_from help' -a ${quote(named.join(" "))}`,
    `complete -c vouchsafe -f -n '__fish_seen_subcommand_from completion' -a ${quote(SHELLS.join(" "))}`,
    "complete -c vouchsafe -l cas-config -r -d 'directory of the client'",
    "complete -c vouchsafe -l no-color -d 'no colours'",
    "complete -c sconectl -w vouchsafe",
    "complete -c scone -w vouchsafe",
  ].join("\n");
}
