import { existsSync, mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { dirname, isAbsolute, join } from "node:path";
import { CliError } from "./cli-error.ts";
import { type CommandSpec, givenValue } from "./command-spec.ts";
import { COMMAND_GROUPS, COMMANDS } from "./command-table.ts";
import { expandArguments } from "./expand-arguments.ts";
import { renderCommandHelp, renderGeneralHelp } from "./help.ts";
import { findNearestWord } from "./nearest-word.ts";
import { parseOptions, usage } from "./parse-options.ts";
import { resultFile } from "./result-file.ts";
import { ExitCode, type Shell } from "./shell.ts";
import { takesColours } from "./takes-colours.ts";
import { VERSION } from "./version.ts";

interface Call {
  readonly argv: readonly string[];
  readonly casConfig: string | undefined;
  readonly noColour: boolean;
}

/** Takes out what may stand anywhere: `--cas-config DIR` and `--no-color` (CL-8, CL-10). */
function takeGlobalOptions(argv: readonly string[]): Call {
  const rest: string[] = [];
  let casConfig: string | undefined;
  let noColour = false;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--no-color") noColour = true;
    else if (word === "--cas-config" || word.startsWith("--cas-config=")) {
      casConfig = word === "--cas-config" ? argv[++index] : word.slice("--cas-config=".length);
      if (casConfig === undefined || casConfig === "") throw usage("E-OPTION-VALUE", "--cas-config needs a value: DIR");
    } else rest.push(word);
  }
  return { argv: rest, casConfig, noColour };
}

/** `-c FILE` before the sub-command names the file of the client's state (C-56), like SCONE_CLI_CONFIG; `sconectl` has no such option. */
function takeStateFile(program: Shell["program"], argv: readonly string[], environment: NodeJS.ProcessEnv): readonly string[] {
  if (program === "sconectl" || argv[0] !== "-c") return argv;
  const [, file, ...rest] = argv;
  if (file === undefined) throw usage("E-OPTION-VALUE", "-c needs a value: FILE");
  environment["SCONE_CLI_CONFIG"] = file;
  return rest;
}

/** Directory of the client's CAS state; created when its parent exists (CL-8). */
function casConfigDirectory(given: string | undefined, environment: NodeJS.ProcessEnv): string {
  const fromEnvironment = environment["SCONECTL_CAS_CONFIG"];
  const directory = given ?? fromEnvironment;
  if (directory !== undefined && directory !== "") {
    if (!isAbsolute(directory))
      throw usage(
        "E-CAS-CONFIG-PATH",
        `${given === undefined ? "SCONECTL_CAS_CONFIG" : "--cas-config"} is ${JSON.stringify(directory)}`,
        "Absolute paths only.",
      );
    if (!existsSync(directory)) {
      if (!existsSync(dirname(directory)))
        throw usage("E-CAS-CONFIG-PATH", `the parent of ${directory} does not exist`, "Create it first.");
      mkdirSync(directory, { mode: 0o700 });
    }
    return directory;
  }
  const home = environment["HOME"];
  if (home === undefined || home === "")
    throw new CliError("E-ENV-HOME", "the variable HOME is not set", { remedy: "Set HOME, or give --cas-config DIR." });
  return join(home, ".cas");
}

const programName = (environment: NodeJS.ProcessEnv): Shell["program"] => {
  const name = environment["VOUCHSAFE_PROGRAM"];
  return name === "sconectl" || name === "scone" ? name : "vouchsafe";
};

async function run(program: Shell["program"], raw: readonly string[]): Promise<number> {
  const environment = process.env;
  const { argv, casConfig, noColour } = takeGlobalOptions(takeStateFile(program, expandArguments(raw), environment));
  const general = renderGeneralHelp(program, VERSION, COMMAND_GROUPS);
  const quiet = argv[0] === "--quiet";
  const words = quiet ? argv.slice(1) : argv;
  const [first] = words;
  if (first === "--help") {
    process.stderr.write(`${general}\n`);
    return ExitCode.ok;
  }
  if (first === "--version") {
    process.stdout.write(`vouchsafe ${VERSION}\n`);
    return ExitCode.ok;
  }
  if (words[0] === "help") return help(program, words.slice(1), general);
  const command = findCommand(words);
  if (command === undefined) {
    const [word] = words;
    if (word === undefined) {
      process.stderr.write(`${general}\n`);
      throw usage("E-COMMAND-UNKNOWN", "a command must be given", `See ${program} --help.`);
    }
    const group = COMMANDS.filter(({ name }) => name.startsWith(`${word} `)).map(({ name }) => name);
    const near = findNearestWord(
      group.length > 0 ? words.slice(0, 2).join(" ") : word,
      group.length > 0 ? group : [...COMMANDS.map(({ name }) => name.split(" ")[0] ?? name), "help"],
    );
    if (group.length > 0 && (words.includes("--help") || words.length === 1)) {
      const isAsked = words.includes("--help");
      const text = group
        .map((name) => `${program} ${name.padEnd(30)}${COMMANDS.find((each) => each.name === name)?.summary ?? ""}\n`)
        .join("");
      (isAsked ? process.stdout : process.stderr).write(text);
      if (isAsked) return ExitCode.ok;
      throw usage("E-COMMAND-UNKNOWN", `${word} needs a sub-command`, `One of those above; ${program} help ${word} explains them.`);
    }
    throw usage(
      "E-COMMAND-UNKNOWN",
      `the command ${JSON.stringify(words.slice(0, group.length > 0 ? 2 : 1).join(" "))} is unknown`,
      near === undefined ? `See ${program} --help.` : `Did you mean ${near}?`,
    );
  }
  const given = words.slice(command.name.split(" ").length);
  const hasLevels = command.parsesItself === true || command.options.some(({ short }) => short === "v");
  const rest = [...(quiet && command.parsesItself === true ? ["--quiet"] : []), ...given.filter((word) => hasLevels || !isVerbosity(word))];
  const isTerminal = process.stderr.isTTY === true && !quiet;
  const shell = (): Shell => makeShell(program, casConfigDirectory(casConfig, environment), isTerminal, noColour);
  if (command.parsesItself === true) return (await command.load())({ values: new Map(), flags: new Map(), operands: rest }, shell());
  const { minOperands, maxOperands } = command;
  const options = parseOptions(command.options, rest, {
    ...(minOperands === undefined ? {} : { minOperands }),
    ...(maxOperands === undefined ? {} : { maxOperands }),
    ...(command.operands === undefined ? {} : { operands: command.operands }),
  });
  if ((options.flags.get("help") ?? 0) > 0) {
    process.stdout.write(`${renderCommandHelp(program, command)}\n`);
    return ExitCode.ok;
  }
  const run = await command.load();
  const file = command.redirectsOutput === true ? givenValue(options, "output") : undefined;
  if (file === undefined) return run(options, shell());
  const result = resultFile(shell(), file);
  const code = await run(options, result.shell);
  if (code === ExitCode.ok) result.write();
  return code;
}

/** Of a command without levels of output it asks for the stack of an unexpected failure (CL-37). */
const isVerbosity = (word: string): boolean => /^-v+$/.test(word);

/** The command with the longest name that the words start with. */
function findCommand(words: readonly string[]): CommandSpec | undefined {
  return COMMANDS.filter(({ name }) => name.split(" ").every((part, index) => words[index] === part)).toSorted(
    (a, b) => b.name.length - a.name.length,
  )[0];
}

async function help(program: string, words: readonly string[], general: string): Promise<number> {
  const command = findCommand(words);
  const group = COMMANDS.filter(({ name }) => words.length > 0 && name.startsWith(`${words.join(" ")} `));
  if (command === undefined && group.length === 0) {
    if (words.length > 0)
      throw usage("E-COMMAND-UNKNOWN", `the command ${JSON.stringify(words.join(" "))} is unknown`, `See ${program} help.`);
    process.stdout.write(`${general}\n`);
    return ExitCode.ok;
  }
  if (command?.name === "apply") {
    const { renderApplyHelp } = await import("./commands/apply.ts");
    process.stdout.write(`${renderApplyHelp(program, undefined)}\n`);
    return ExitCode.ok;
  }
  const shown = command === undefined ? group : [command, ...group.filter((each) => each !== command)];
  process.stdout.write(`${shown.map((each) => renderCommandHelp(program, each)).join("\n\n")}\n`);
  return ExitCode.ok;
}

function makeShell(program: Shell["program"], casConfig: string, isTerminal: boolean, noColour: boolean): Shell {
  const ending = new AbortController();
  for (const [name, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(name, () => {
      ending.abort(new CliError("E-INTERRUPTED", `ended by ${name}`));
      process.exitCode = code;
      // Whoever listens to the signal removes its temporary files; then the process ends even if something hangs.
      setTimeout(() => process.exit(code), 2000).unref();
    });
  }
  return {
    program,
    out: (text) => void process.stdout.write(`${text}\n`),
    outBytes: (bytes) => void process.stdout.write(bytes),
    note: (text) => void process.stderr.write(`${text}\n`),
    environment: process.env,
    directory: process.cwd(),
    casConfig,
    readInput: async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array); // without encoding a stream yields bytes
      return Buffer.concat(chunks);
    },
    colour: takesColours(process.env, process.stderr.isTTY === true, noColour),
    isTerminal,
    isOutTerminal: process.stdout.isTTY === true,
    signal: ending.signal,
  };
}

/** Prints a failure; operational ones without a stack. Returns the exit status (CL-40). */
function reportFailure(error: unknown, program: string): number {
  const colour = takesColours(process.env, process.stderr.isTTY === true, process.argv.includes("--no-color"));
  const [red, reset] = colour ? ["\u001b[31m", "\u001b[0m"] : ["", ""];
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  const isOperational =
    error instanceof Error && typeof code === "string" && !(error instanceof TypeError) && !/^(?:ERR_|E[A-Z]+$)/.test(code);
  if (error instanceof Error && isOperational) {
    process.stderr.write(`${red}error[${code}]${reset}: ${error.message}\n`);
    const remedy = "remedy" in error && typeof error.remedy === "string" ? error.remedy : undefined;
    if (remedy !== undefined) process.stderr.write(`help: ${remedy}\n`);
  } else {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${red}error[E-INTERNAL]${reset}: ${message.split("\n")[0]}\n`);
    const verbose = process.argv.filter(isVerbosity).join("").replaceAll("-", "").length;
    if (verbose >= 2 && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    else process.stderr.write("help: this is a mistake of the program or of the machine; -vv shows the stack\n");
  }
  const isUsage = error instanceof CliError && error.isUsage;
  return isUsage && program === "vouchsafe" ? ExitCode.usage : ExitCode.failed;
}

/** Compiled code is kept in the user's cache, so that later commands start in half the time; nothing is lost where that is not possible. */
function keepCompiledCode({ XDG_CACHE_HOME, HOME, NODE_COMPILE_CACHE }: NodeJS.ProcessEnv): void {
  const cache = XDG_CACHE_HOME || (HOME === undefined || HOME === "" ? undefined : join(HOME, ".cache"));
  if (cache !== undefined && NODE_COMPILE_CACHE === undefined) enableCompileCache(join(cache, "vouchsafe", "compiled"));
}

/** Whoever reads our output may stop early, as `head` does: that is no failure. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
keepCompiledCode(process.env);
const program = programName(process.env);
try {
  const code = await run(program, process.argv.slice(2));
  process.exitCode ??= code;
} catch (error) {
  process.exitCode ??= reportFailure(error, program);
}
