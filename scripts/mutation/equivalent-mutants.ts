import type { Change } from "./find-mutants.ts";

/** A change that no test can notice, since the program does the same with it. Each stands for one mutant of that file with that text. */
export interface EquivalentMutant {
  readonly file: string;
  readonly change: Change;
  /** The first line of what is changed, as the run prints it. */
  readonly text: string;
  readonly why: string;
}

export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [];
