import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import {
  decodeManifest,
  Findings,
  type ManifestKind,
  readMeshManifest,
  readServiceManifest,
  substituteShellVariables,
} from "@vouchsafe/mesh";
import { MESH_OPTIONS, SERVICE_OPTIONS } from "../apply-options.ts";
import { CliError } from "../cli-error.ts";
import { countOf, givenValue, givenValues, hasFlag, type OptionSpec, optionName, type ParsedOptions } from "../command-spec.ts";
import { renderOptions } from "../help.ts";
import { ManifestRefused, ManifestReport } from "../manifest-report.ts";
import { parseOptions, usage } from "../parse-options.ts";
import { ExitCode, type Shell } from "../shell.ts";
import { VERSION } from "../version.ts";
import type { ApplyContext } from "./apply-context.ts";

/** `apply`: the kind of the manifest decides what is done and which options there are (CL-14). */
export async function apply(argv: readonly string[], shell: Shell, restricted?: ManifestKind): Promise<number> {
  const given = filenameOf(argv);
  if (argv.includes("--help") && given === undefined) {
    shell.out(renderApplyHelp(shell.program, restricted, restricted));
    return ExitCode.ok;
  }
  if (argv.includes("--version") || argv.includes("-V")) {
    shell.out(`vouchsafe ${VERSION}`);
    return ExitCode.ok;
  }
  const { file, bytes } = await readManifest(given, shell, restricted);
  const kind = kindOf(bytes) ?? restricted;
  if (argv.includes("--help") || (kind === "mesh" && argv.includes("-h"))) {
    shell.out(renderApplyHelp(shell.program, kind, restricted));
    return ExitCode.ok;
  }
  const options = parse(kind, argv);
  if (hasFlag(options, "help")) {
    shell.out(renderApplyHelp(shell.program, kind, restricted));
    return ExitCode.ok;
  }
  if (hasFlag(options, "version")) {
    shell.out(`vouchsafe ${VERSION}`);
    return ExitCode.ok;
  }
  const sources = new Map<string, string>();
  const report = new ManifestReport(shell, { json: hasFlag(options, "json"), failOnWarning: hasFlag(options, "fail-on-warning"), sources });
  try {
    const text = manifestText(bytes, file, options, shell, report, sources);
    const context: ApplyContext = {
      file,
      text,
      options,
      shell,
      report,
      sources,
      mode: givenValue(options, "mode") === "debug" ? "debug" : "production",
      level: countOf(options, "verbose") - countOf(options, "quiet"),
      target: resolve(shell.directory, givenValue(options, "target-directory") ?? "target"),
      platformVersion:
        givenValue(options, "set-version") ?? (shell.environment["SCONECTL_VERSION"] || shell.environment["VERSION"] || "latest"),
      platformRepository: shell.environment["SCONECTL_REPO"] || "vouchsafe.local/platform",
    };
    if (restricted !== undefined && kind !== undefined && restricted !== kind) {
      throw usage("E-OPTION-KIND", `${file} is a manifest of kind ${kind}, not ${restricted}`, "Use apply, which takes both kinds.");
    }
    if (kind === "mesh") return await (await import("./apply-mesh.ts")).applyMesh(context);
    if (kind === "genservice") return await (await import("./apply-service.ts")).applyService(context);
    // No kind that is known: the readers say what is wrong.
    report.add((/^(?:build|environment):/m.test(text) ? readServiceManifest(text, file) : readMeshManifest(text, file)).diagnostics);
    return ExitCode.failed;
  } catch (error) {
    if (error instanceof ManifestRefused) return ExitCode.failed;
    throw error;
  }
}

/** `command`: the word under which it was called, where that was not `apply`. */
export function renderApplyHelp(program: string, kind: ManifestKind | undefined, command: string = "apply"): string {
  const part = (title: string, options: readonly OptionSpec[]) => [title, renderOptions(options), ""];
  return [
    kind === "mesh"
      ? "Protects an application: writes its policies and its chart."
      : kind === "genservice"
        ? "Builds the image of a service."
        : "Builds the image of a service, or protects an application, as the manifest's kind says.",
    "",
    `usage: ${program} ${command} -f FILE [OPTIONS]`,
    "",
    ...(kind === "mesh" ? [] : part("options for kind: genservice", SERVICE_OPTIONS)),
    ...(kind === "genservice" ? [] : part("options for kind: mesh", MESH_OPTIONS)),
    "examples:",
    ...(kind === "mesh" ? [] : [`  ${program} ${command} -f service.yaml`, `  ${program} ${command} -f service.yaml --no-push -v`]),
    ...(kind === "genservice"
      ? []
      : [`  ${program} ${command} -f mesh.yaml --release clinic`, `  ${program} ${command} -f mesh.yaml --evidence node --dry-run`]),
  ].join("\n");
}

function filenameOf(argv: readonly string[]): string | undefined {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--") return undefined;
    if (word.startsWith("--filename=")) return word.slice("--filename=".length);
    const short = /^-[dnpqvV]*f(.*)$/.exec(word)?.[1]?.replace(/^=/, "");
    if (word !== "--filename" && short === undefined) continue;
    if (short !== undefined && short !== "") return short;
    const value = argv[index + 1];
    if (value === undefined || (value.startsWith("-") && value !== "-")) throw usage("E-OPTION-VALUE", `${word} needs a value: FILE`);
    return value;
  }
  return undefined;
}

async function readManifest(
  given: string | undefined,
  shell: Shell,
  restricted: ManifestKind | undefined,
): Promise<{ file: string; bytes: Uint8Array }> {
  if (given === "-") return { file: "<standard input>", bytes: await shell.readInput() };
  const defaults =
    restricted === "genservice" ? ["Manifest.yaml"] : restricted === "mesh" ? ["Meshfile.yaml"] : ["Manifest.yaml", "Meshfile.yaml"];
  for (const file of given === undefined ? defaults : [given]) {
    const path = resolve(shell.directory, file);
    const found = await stat(path).catch(() => undefined); // absence is reported below
    if (found === undefined) continue;
    if (!found.isFile()) throw new CliError("E-FILE-TYPE", `${file} is no file`, { remedy: "Name a manifest." });
    return { file, bytes: await readFile(path) };
  }
  if (given !== undefined)
    throw new CliError("E-FILE-MISSING", `the manifest ${given} does not exist`, { remedy: `It is looked for in ${shell.directory}.` });
  throw new CliError("E-FILE-MISSING", `there is no ${defaults.join(" and no ")} in ${shell.directory}`, {
    remedy: "Name the manifest with -f FILE.",
  });
}

/** The kind, also of a text that is no valid manifest: the options depend on it. */
function kindOf(bytes: Uint8Array): ManifestKind | undefined {
  const word = /^kind[ \t]*:[ \t]*["']?([A-Za-z]+)["']?[ \t]*(?:#.*)?$/m.exec(new TextDecoder().decode(bytes).replace(/\r/g, ""))?.[1];
  if (word === "genservice" || word === "genImage" || word === "genAppImage") return "genservice";
  return word === "mesh" ? "mesh" : undefined;
}

function parse(kind: ManifestKind | undefined, argv: readonly string[]): ParsedOptions {
  if (kind === undefined)
    return parseOptions(
      [...new Map([...MESH_OPTIONS, ...SERVICE_OPTIONS].map((option) => [option.long ?? option.short, option])).values()],
      argv,
    );
  const [own, other] = kind === "mesh" ? [MESH_OPTIONS, SERVICE_OPTIONS] : [SERVICE_OPTIONS, MESH_OPTIONS];
  return parseOptions(own, argv, {
    misplaced: (name) => {
      const option = other.find(({ long, short }) => name === `--${long}` || name === `-${short}`);
      if (option === undefined) return;
      const near = own.find((candidate) => candidate.short === option.short && candidate.short !== undefined);
      throw usage(
        "E-OPTION-KIND",
        `${optionName(option)} is no option for a manifest of kind ${kind}`,
        near === undefined ? `It goes with kind ${kind === "mesh" ? "genservice" : "mesh"}.` : `Did you mean ${optionName(near)}?`,
      );
    },
  });
}

/** Text of the manifest, with shell variables replaced where that was asked for (MF-13). */
function manifestText(
  bytes: Uint8Array,
  file: string,
  options: ParsedOptions,
  shell: Shell,
  report: ManifestReport,
  sources: Map<string, string>,
): string {
  const findings = new Findings();
  const decoded = decodeManifest(bytes, file, findings);
  report.add(findings.list());
  if (decoded === undefined) throw new ManifestRefused();
  const assignments = givenValues(options, "e").map((text): [string, string] => {
    const [name = "", ...rest] = text.split("=");
    if (rest.length === 0 || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw usage("E-OPTION-VALUE", `-e does not take ${JSON.stringify(text)}; expected NAME=VALUE`);
    return [name, rest.join("=")];
  });
  if (assignments.length === 0 && !hasFlag(options, "use-env")) {
    sources.set(file, decoded);
    return decoded;
  }
  const environment = hasFlag(options, "use-env")
    ? Object.entries(shell.environment).filter((entry): entry is [string, string] => entry[1] !== undefined)
    : [];
  const missing: string[] = [];
  const text = substituteShellVariables(decoded, new Map([...environment, ...assignments]), (name) => missing.push(name));
  if (missing.length > 0)
    throw new CliError("E-VAR-SHELL", `${file}: no value for ${[...new Set(missing)].join(", ")}`, {
      remedy: "Give -e NAME=VALUE, or export it and give --use-env.",
    });
  sources.set(file, text);
  return text;
}
