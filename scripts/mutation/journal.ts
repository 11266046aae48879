import { createHash } from "node:crypto";
import { appendFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Mutant } from "./find-mutants.ts";
import type { Notice } from "./judge-mutants.ts";

/** What was noticed so far, kept so that an interrupted run goes on where it was. Worth something only as long as no source of the project changes. */
export class Journal {
  readonly #path: string;
  readonly #notices = new Map<string, Notice>();

  constructor(root: string, isFresh: boolean) {
    this.#path = join(root, ".cache/mutation", `${digestOfSources(root)}.jsonl`);
    mkdirSync(dirname(this.#path), { recursive: true });
    if (isFresh || !existsSync(this.#path)) writeFileSync(this.#path, "");
    for (const line of readFileSync(this.#path, "utf8").split("\n").filter(isWholeLine)) {
      const { place, notice } = JSON.parse(line) as { place: string; notice: Notice };
      this.#notices.set(place, notice);
    }
  }

  find(mutant: Mutant): Notice | undefined {
    return this.#notices.get(placeOf(mutant));
  }

  add(mutant: Mutant, notice: Notice): void {
    appendFileSync(this.#path, `${JSON.stringify({ place: placeOf(mutant), notice })}\n`);
  }
}

const placeOf = ({ file, line, column, change }: Mutant): string => `${file}:${line}:${column}: ${change}`;

/** An interruption may cut the last line. */
const isWholeLine = (line: string): boolean => line.startsWith("{") && line.endsWith("}");

function digestOfSources(root: string): string {
  const hash = createHash("sha256");
  for (const file of [
    ...globSync("{packages,scripts}/**/*.ts", { cwd: root, exclude: ["**/node_modules/**"] }),
    "package-lock.json",
  ].sort()) {
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 16);
}
