import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { CommandSpec } from "../command-spec.ts";
import { CAS_COMMANDS } from "../commands/cas/cas-spec.ts";
import { COLLATERAL_COMMANDS } from "../commands/collateral/collateral-spec.ts";
import { KUBERNETES_COMMANDS } from "../commands/kubernetes/kubernetes-spec.ts";
import { SESSION_COMMANDS } from "../commands/session/session-spec.ts";
import { parseOptions } from "../parse-options.ts";
import type { Shell } from "../shell.ts";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly notes: string;
}

/** Runs commands in this process against an empty home of their own. */
export function commandLine(
  t: TestContext,
  environment: Shell["environment"] = {},
): { readonly run: (...argv: string[]) => Promise<Run>; readonly home: string } {
  const home = mkdtempSync(join(tmpdir(), "vouchsafe-cli-"));
  const run = async (...argv: string[]): Promise<Run> => {
    const out: string[] = [];
    const notes: string[] = [];
    const shell: Shell = {
      program: "vouchsafe",
      out: (text) => out.push(text),
      note: (text) => notes.push(text),
      environment: { HOME: home, ...environment },
      directory: home,
      casConfig: join(home, ".cas"),
      readInput: async () => new Uint8Array(),
      colour: false,
      isTerminal: false,
      isOutTerminal: false,
      outBytes: () => {},
      signal: new AbortController().signal,
    };
    const all: readonly CommandSpec[] = [...CAS_COMMANDS, ...SESSION_COMMANDS, ...COLLATERAL_COMMANDS, ...KUBERNETES_COMMANDS];
    const words = [3, 2, 1].find((count) => all.some(({ name }) => name === argv.slice(0, count).join(" "))) ?? 0;
    const spec = all.find(({ name }) => name === argv.slice(0, words).join(" "));
    assert(spec !== undefined);
    const { minOperands = 0, maxOperands = 0 } = spec;
    const own = argv.slice(words);
    const options =
      spec.parsesItself === true
        ? { values: new Map(), flags: new Map(), operands: own }
        : parseOptions(spec.options, own, { minOperands, maxOperands });
    const code = await (await spec.load())(options, shell);
    return { code, out: out.join("\n"), notes: notes.join("\n") };
  };
  t.after(async () => {
    await run("cas", "stop");
    rmSync(home, { recursive: true, force: true });
  });
  writeFileSync(join(home, "s.yml"), 'version: "0.3"\nname: $APP\nsecrets: [{name: a, kind: ascii}]\n');
  return { run, home };
}
