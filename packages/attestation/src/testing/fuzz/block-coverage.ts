import { globSync, readFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** What ran of the sources under some folders, by blocks, as V8 counts them for this thread. */
export interface BlockCoverage {
  /** Numbers of the places that ran since the last question. */
  readonly take: () => readonly number[];
  readonly stop: () => void;
}

/** One source file. A place is where a block may begin: at a line, behind a brace, a question mark, a colon or an operator that may skip what follows. */
interface Source {
  readonly first: number;
  readonly offsets: readonly number[];
}

const PLACES = /(?<=^[ \t]*)[^\s/*]|(?<=[?:{)]\s|&&\s|\|\|\s|=>\s)\S/gm;

/** Counts from the next question on what the folders' modules do; they must have been loaded before. */
export function startBlockCoverage(folders: readonly string[]): BlockCoverage {
  const sources = readSources(folders);
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  takeScripts(session);
  const take = () => takeScripts(session).flatMap(({ url, functions }) => placesRun(sources.get(url), functions));
  return { take, stop: () => session.disconnect() };
}

function readSources(folders: readonly string[]): ReadonlyMap<string, Source> {
  const files = folders.flatMap((folder) =>
    globSync("**/*.ts", { cwd: folder })
      .filter((file) => !/\.test\.ts$|^testing\//.test(file))
      .map((file) => join(folder, file)),
  );
  const sources = new Map<string, Source>();
  let first = 0;
  for (const file of files.sort()) {
    const offsets = [...readFileSync(file, "utf8").matchAll(PLACES)].map(({ index }) => index);
    sources.set(pathToFileURL(file).href, { first, offsets });
    first += offsets.length;
  }
  return sources;
}

/** In the thread's own inspector the answer comes before `post` returns. */
function takeScripts(session: Session): readonly Profiler.ScriptCoverage[] {
  let scripts: readonly Profiler.ScriptCoverage[] = [];
  session.post("Profiler.takePreciseCoverage", (error, answer) => {
    if (error !== null) throw error;
    scripts = answer.result;
  });
  return scripts;
}

/** Ranges lie within each other, and the innermost around a place says whether it ran. */
function placesRun(source: Source | undefined, functions: readonly Profiler.FunctionCoverage[]): readonly number[] {
  if (source === undefined) return [];
  const ran = new Map<number, boolean>();
  const outerFirst = functions.flatMap(({ ranges }) => ranges).sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of outerFirst) {
    for (let place = firstFrom(source.offsets, startOffset); (source.offsets[place] ?? Infinity) < endOffset; place++)
      ran.set(place, count > 0);
  }
  return [...ran].filter(([, hasRun]) => hasRun).map(([place]) => source.first + place);
}

/** Index of the first offset that is not before `offset`. */
function firstFrom(offsets: readonly number[], offset: number): number {
  let [low, high] = [0, offsets.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
