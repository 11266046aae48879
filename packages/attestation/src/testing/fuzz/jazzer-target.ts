/** What Jazzer.js runs: the parser named by FUZZ_TARGET, which must give a value or a typed error for every input. */
import { tryInput } from "./fuzz-target.ts";
import { FUZZ_TARGETS } from "./fuzz-targets.ts";

const target = FUZZ_TARGETS.find(({ name }) => name === process.env["FUZZ_TARGET"]);

export function fuzz(data: Uint8Array): void {
  if (target === undefined) throw new TypeError("FUZZ_TARGET names no target");
  const crash = tryInput(target, Uint8Array.from(data));
  if (crash !== undefined) throw new Error(crash.reason);
}
