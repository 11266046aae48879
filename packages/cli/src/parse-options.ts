import { CliError } from "./cli-error.ts";
import { type OptionSpec, optionKey, optionName, type ParsedOptions } from "./command-spec.ts";
import { findNearestWord } from "./nearest-word.ts";

export interface ParseRules {
  readonly minOperands?: number;
  readonly maxOperands?: number;
  /** Names of the arguments, for messages. */
  readonly operands?: string;
  /** Says that an unknown option belongs elsewhere; throws, or returns nothing. */
  readonly misplaced?: (name: string) => void;
}

/** Options in any order: `--opt value`, `--opt=value`, `-o value`, `-ovalue`, `-abc`, `--` ends them (CL-17). Throws usage errors. */
export function parseOptions(specs: readonly OptionSpec[], argv: readonly string[], rules: ParseRules = {}): ParsedOptions {
  const values = new Map<string, string[]>();
  const flags = new Map<string, number>();
  const operands: string[] = [];
  const take = (spec: OptionSpec, value: string): void => {
    const key = optionKey(spec);
    const given = values.get(key) ?? [];
    if (given.length > 0 && spec.isRepeatable !== true)
      throw usage("E-OPTION-REPEATED", `${optionName(spec)} is given twice`, "Give it once.");
    if (spec.words !== undefined && !spec.words.includes(value)) {
      throw usage("E-OPTION-VALUE", `${optionName(spec)} does not take ${JSON.stringify(value)}; expected ${spec.words.join(" or ")}`);
    }
    values.set(key, [...given, value]);
  };
  const next = (spec: OptionSpec, index: number): string => {
    const value = argv[index];
    if (value !== undefined && (value === "-" || !value.startsWith("-") || /^-\d/.test(value) || spec.takesDashes === true)) return value;
    throw usage(
      "E-OPTION-VALUE",
      `${optionName(spec)} needs a value: ${spec.value}`,
      spec.short === "h" ? "-h takes a directory here; for help say --help." : undefined,
    );
  };
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--") {
      operands.push(...argv.slice(index + 1));
      break;
    }
    if (word.startsWith("--")) {
      const [name = "", ...rest] = word.slice(2).split("=");
      const spec = specs.find(({ long }) => long === name) ?? unknown(specs, word.split("=")[0] ?? word, rules);
      const inline = rest.length === 0 && !word.includes("=") ? undefined : rest.join("=");
      if (spec.value === undefined) {
        if (inline !== undefined) throw usage("E-OPTION-VALUE", `--${name} takes no value`);
        flags.set(optionKey(spec), (flags.get(optionKey(spec)) ?? 0) + 1);
      } else take(spec, inline ?? next(spec, ++index));
    } else if (word.startsWith("-") && word !== "-") {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at] ?? "";
        const spec = specs.find(({ short }) => short === letter) ?? unknown(specs, `-${letter}`, rules);
        if (spec.value === undefined) {
          flags.set(optionKey(spec), (flags.get(optionKey(spec)) ?? 0) + 1);
          continue;
        }
        const rest = word.slice(at + 1).replace(/^=/, "");
        take(spec, rest !== "" ? rest : next(spec, ++index));
        break;
      }
    } else operands.push(word);
  }
  const { minOperands = 0, maxOperands = 0 } = rules;
  const extra = operands[maxOperands];
  if (extra !== undefined) throw usage("E-ARGUMENT", `the argument ${JSON.stringify(extra)} is not expected`);
  if (operands.length < minOperands && (flags.get("help") ?? 0) === 0)
    throw usage(
      "E-ARGUMENT",
      rules.operands === undefined ? "an argument is missing" : `an argument is missing; expected ${rules.operands}`,
    );
  return { values, flags, operands };
}

function unknown(specs: readonly OptionSpec[], name: string, rules: ParseRules): never {
  rules.misplaced?.(name);
  const near = findNearestOption(
    name,
    [...specs, ...GLOBAL_OPTIONS]
      .flatMap(({ long, short }) => [...(long === undefined ? [] : [`--${long}`]), ...(short === undefined ? [] : [`-${short}`])])
      .filter((each) => each.length > 2 || name.length <= 2),
  );
  throw usage(
    "E-OPTION-UNKNOWN",
    `the option ${name} is unknown`,
    near === undefined || name.length <= 2 ? "See --help." : `Did you mean ${near}?`,
  );
}

/** May stand beside the options of every command. */
const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { long: "no-color", summary: "no colours" },
  { long: "cas-config", value: "DIR", summary: "directory of the client's keys" },
];

/** The nearest option, as a whole or, for a word that is part of one (`--colour`), by its parts. */
function findNearestOption(name: string, known: readonly string[]): string | undefined {
  const whole = findNearestWord(name, known);
  if (whole !== undefined || !name.startsWith("--")) return whole;
  const part = findNearestWord(name.slice(2), [...new Set(known.flatMap((option) => option.slice(2).split("-").slice(1)))], 1);
  return part === undefined ? undefined : known.find((option) => option.slice(2).split("-").includes(part));
}

export const usage = (code: string, message: string, remedy?: string): CliError =>
  new CliError(code, message, { isUsage: true, ...(remedy === undefined ? {} : { remedy }) });
