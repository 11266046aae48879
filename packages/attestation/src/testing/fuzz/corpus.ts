import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync, inflateRawSync } from "node:zlib";

/** Of one target, so that the corpus of all stays small. */
const FILE_MAX_BYTES = 12 * 1024;

const fileOf = (target: string): string => join(import.meta.dirname, "corpus", `${target}.txt`);

/** One input per line: raw deflate in base64. */
export function readCorpus(target: string): readonly Uint8Array[] {
  if (!existsSync(fileOf(target))) return [];
  const lines = readFileSync(fileOf(target), "utf8").split("\n").filter(Boolean);
  return lines.map((line) => Uint8Array.from(inflateRawSync(Uint8Array.fromBase64(line))));
}

/** Writes the inputs in their order until the file is full; returns how many there was room for. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): number {
  const lines = inputs.map((input) => `${deflateRawSync(input, { level: 9 }).toString("base64")}\n`);
  let bytes = 0;
  const kept = lines.filter((line) => {
    const hasRoom = bytes + line.length <= FILE_MAX_BYTES;
    if (hasRoom) bytes += line.length;
    return hasRoom;
  });
  writeFileSync(fileOf(target), kept.join(""));
  return kept.length;
}
