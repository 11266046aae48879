import { explainField } from "@vouchsafe/policy";
import { openCasConfig } from "../cas-config/cas-config-file.ts";
import { withCasSession } from "../cas-config/cas-session.ts";
import type { ParsedOptions } from "../command-spec.ts";
import { ExitCode, type Shell } from "../shell.ts";

/** `complete-words KIND WORD`: what completion scripts offer for names that only a CAS, the client's state or the language knows. Silent when nothing can be had. */
export async function completeWords({ operands: [kind, word = ""] }: ParsedOptions, shell: Shell): Promise<number> {
  const words = await candidates(kind ?? "", word, { ...shell, note: () => {} }).catch(() => []);
  for (const candidate of words) if (candidate.startsWith(word)) shell.out(candidate);
  return ExitCode.ok;
}

async function candidates(kind: string, word: string, shell: Shell): Promise<readonly string[]> {
  switch (kind) {
    case "session":
      return sessionNames(word, shell);
    case "cas":
      return [...(await openCasConfig(shell)).known.keys()];
    case "field":
      return fieldPaths(word);
    default:
      return [];
  }
}

/** Sessions beside or below what has been typed; with a slash after a namespace, so that Tab goes on. */
async function sessionNames(word: string, shell: Shell): Promise<readonly string[]> {
  const namespace = word.includes("/") ? word.slice(0, word.lastIndexOf("/")) : "/";
  const options = { values: new Map([["retries", ["0"]]]), flags: new Map(), operands: [] };
  let names: readonly string[] = [];
  await withCasSession(options, shell, "completion", async ({ client }) => {
    names = (await client.listSessions(namespace, { limit: 1000 })).sessions.map(({ name }) => name);
    return ExitCode.ok;
  });
  return names;
}

function fieldPaths(word: string): readonly string[] {
  const parent = word.includes(".") ? word.slice(0, word.lastIndexOf(".")) : "";
  const found = explainField(parent);
  return "unknown" in found ? [] : found.keys.map(({ name }) => (parent === "" ? name : `${parent}.${name}`));
}
