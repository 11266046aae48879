import { type Step, step } from "@vouchsafe/linux";
import type { RuntimeError } from "./runtime-error.ts";

/** A step of the process that becomes the program. `content`: what the file receives that the step writes. */
export interface LayoutStep {
  readonly step: Step;
  readonly content?: Uint8Array;
}

/** Steps that belong together. */
export interface Phase {
  readonly steps: readonly LayoutStep[];
  /** What is said where one of them fails. `reason`: the system call, what it was about, and the errno's name. */
  readonly failure: (reason: string) => RuntimeError;
}

export const plain = (...steps: readonly Step[]): LayoutStep[] => steps.map((one) => ({ step: one }));

/** A new file with the given permission bits. */
export const writtenFile = (path: string, content: Uint8Array, mode: number): LayoutStep[] => [
  { step: step.receiveFile(path, content.length), content },
  { step: step.changeMode(path, mode) },
];
