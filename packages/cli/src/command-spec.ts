import type { Shell } from "./shell.ts";

/** One option of a command. Without `value` it is a flag; flags of the same name add up (`-vvv`). */
export interface OptionSpec {
  readonly long?: string;
  readonly short?: string;
  /** Name of its argument in the help, e.g. `FILE`. */
  readonly value?: string;
  /** The only values allowed. */
  readonly words?: readonly string[];
  /** Its argument is made of words that may look like options. */
  readonly takesDashes?: boolean;
  /** May be given several times (CL-20). */
  readonly isRepeatable?: boolean;
  readonly summary: string;
}

/** A command as data: parsing, help and completion come from here. The code is loaded when the command runs. */
export interface CommandSpec {
  /** Words after the program's name, e.g. `cas start`. */
  readonly name: string;
  readonly summary: string;
  /** Plain arguments in the help, e.g. `SESSION`, `[SERVICE...]`. */
  readonly operands?: string;
  readonly maxOperands?: number;
  readonly minOperands?: number;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** What its arguments name, for completion; files unless said otherwise. */
  readonly completes?: "session" | "session or file" | "cas" | "field";
  /** Serves programs, not people: absent from help and completion. */
  readonly isHidden?: boolean;
  /** The command parses its own arguments: it gets them all as operands. */
  readonly parsesItself?: boolean;
  /** Has `-o FILE`: the result goes there, once the command has succeeded. */
  readonly redirectsOutput?: boolean;
  /** Further text of the help. */
  readonly notes?: string;
  readonly load: () => Promise<CommandFunction>;
}
export type CommandFunction = (options: ParsedOptions, shell: Shell) => Promise<number>;

/** What was given on the command line, by the option's long name (else its short one). */
export interface ParsedOptions {
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** How often each flag was given. */
  readonly flags: ReadonlyMap<string, number>;
  readonly operands: readonly string[];
}

export const optionKey = ({ long, short }: OptionSpec): string => long ?? short ?? "";
export const hasFlag = (options: ParsedOptions, name: string): boolean => (options.flags.get(name) ?? 0) > 0;
export const countOf = (options: ParsedOptions, name: string): number => options.flags.get(name) ?? 0;
export const givenValue = (options: ParsedOptions, name: string): string | undefined => options.values.get(name)?.at(-1);
export const givenValues = (options: ParsedOptions, name: string): readonly string[] => options.values.get(name) ?? [];

/** How an option is written in messages. */
export const optionName = ({ long, short }: OptionSpec): string => (long === undefined ? `-${short}` : `--${long}`);
