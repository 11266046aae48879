import { readFileSync } from "node:fs";
import { usage } from "./parse-options.ts";

const MAX_DEPTH = 8;

/** Replaces `@FILE` by the lines of the file, one argument each, in which `@FILE` may stand again (cas.md §11). Throws usage errors. */
export function expandArguments(argv: readonly string[], depth = 0): string[] {
  return argv.flatMap((word) => {
    if (!/^@[^@]/.test(word)) return [word];
    const file = word.slice(1);
    if (depth === MAX_DEPTH) throw usage("E-ARGUMENT", `${word}: files of arguments name each other more than ${MAX_DEPTH} times`);
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch {
      throw usage("E-FILE", `the file of arguments ${file} cannot be read`, `Write ./${word} where a file of this name is meant.`);
    }
    return expandArguments(
      text.split(/\r?\n/).filter((line) => line !== ""),
      depth + 1,
    );
  });
}
