import type { SeededRandom } from "./seeded-random.ts";

export interface MutationSources {
  /** Inputs that may lend a part of theirs. */
  readonly others: readonly Uint8Array[];
  /** Words of the format. */
  readonly tokens: readonly Uint8Array[];
}

const MAX_BYTES = 16 * 1024;
const EDITS_MAX = 4;
/** Where integers of 8, 16 and 32 bits change their meaning. */
const BOUNDARIES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

type Edit = (input: Uint8Array, random: SeededRandom, sources: MutationSources) => Uint8Array;

const EDITS: readonly Edit[] = [flipBit, setByte, setInteger, setLength, cut, remove, duplicate, splice, insertToken, insertToken, zero];

/** A changed copy: one to four edits, never longer than 16 KiB. */
export function mutateInput(input: Uint8Array, random: SeededRandom, sources: MutationSources): Uint8Array {
  let mutant = input;
  for (let edits = 1 + random.below(EDITS_MAX); edits > 0; edits--) mutant = random.pick(EDITS)(mutant, random, sources);
  return mutant.subarray(0, MAX_BYTES);
}

function flipBit(input: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.below(input.length);
  return overwrite(input, at, Uint8Array.of((input[at] ?? 0) ^ (1 << random.below(8))));
}

function setByte(input: Uint8Array, random: SeededRandom): Uint8Array {
  return overwrite(input, random.below(input.length), Uint8Array.of(random.below(256)));
}

function setInteger(input: Uint8Array, random: SeededRandom): Uint8Array {
  return overwrite(input, random.below(input.length), integerBytes(random.pick(BOUNDARIES), random));
}

/** A length field that claims what is left, or one more or less: what a field at this place would have to say, and nearly say. */
function setLength(input: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.below(input.length);
  return overwrite(input, at, integerBytes(Math.max(0, input.length - at - random.below(8)), random));
}

function cut(input: Uint8Array, random: SeededRandom): Uint8Array {
  return input.subarray(0, random.below(input.length + 1));
}

function remove(input: Uint8Array, random: SeededRandom): Uint8Array {
  const { start, end } = range(input, random);
  return join(input.subarray(0, start), input.subarray(end));
}

function duplicate(input: Uint8Array, random: SeededRandom): Uint8Array {
  const { start, end } = range(input, random);
  return join(input.subarray(0, end), input.subarray(start));
}

/** The beginning of one input with a part of another behind it. */
function splice(input: Uint8Array, random: SeededRandom, { others }: MutationSources): Uint8Array {
  if (others.length === 0) return input;
  const other = random.pick(others);
  return join(input.subarray(0, random.below(input.length + 1)), other.subarray(random.below(other.length)));
}

function insertToken(input: Uint8Array, random: SeededRandom, { tokens }: MutationSources): Uint8Array {
  if (tokens.length === 0) return input;
  const token = random.pick(tokens);
  const at = random.below(input.length + 1);
  return random.below(2) === 0 ? overwrite(input, at, token) : join(input.subarray(0, at), token, input.subarray(at));
}

function zero(input: Uint8Array, random: SeededRandom): Uint8Array {
  const { start, end } = range(input, random);
  return Uint8Array.from(input).fill(0, start, end);
}

/** Short ranges are more frequent than long ones. */
function range(input: Uint8Array, random: SeededRandom): { start: number; end: number } {
  const start = random.below(input.length + 1);
  return { start, end: Math.min(input.length, start + random.below(1 << (1 + random.below(10)))) };
}

function integerBytes(value: number, random: SeededRandom): Uint8Array {
  const width = random.pick([1, 2, 4]);
  const bytes = Array.from({ length: width }, (_, index) => Math.floor(value / 256 ** index) & 0xff);
  return Uint8Array.from(random.below(2) === 0 ? bytes : bytes.reverse());
}

function overwrite(input: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(input);
  copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length));
  return copy;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts.map((part) => part.subarray(0, MAX_BYTES))));
}
