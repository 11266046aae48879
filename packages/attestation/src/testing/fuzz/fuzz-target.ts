import { OperationalError } from "../../core/errors.ts";

/** A parser, and what to try it with. */
export interface FuzzTarget {
  readonly name: string;
  /** Well-formed inputs, made by our own encoders. */
  readonly seeds: () => readonly Uint8Array[];
  /** Parses. Throws a typed error, or an `AssertionError` when what was parsed does not encode to the input again. */
  readonly parse: (input: Uint8Array) => void;
}

/** What went wrong with an input that should have been parsed or refused. */
export interface Crash {
  readonly input: Uint8Array;
  readonly reason: string;
}

const SLOW_MS = 2000;

/** Parses once: a value and a typed error are both right, everything else is a crash, and so is more than two seconds of work. */
export function tryInput(target: FuzzTarget, input: Uint8Array): Crash | undefined {
  const before = process.cpuUsage().user;
  try {
    target.parse(input);
  } catch (error) {
    if (!(error instanceof OperationalError)) return { input, reason: String(error instanceof Error ? error.stack : error) };
  }
  const milliseconds = (process.cpuUsage().user - before) / 1000;
  return milliseconds > SLOW_MS ? { input, reason: `took ${Math.round(milliseconds)} ms` } : undefined;
}
