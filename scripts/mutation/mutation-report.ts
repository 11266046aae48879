import type { EquivalentMutant } from "./equivalent-mutants.ts";
import type { Change, Mutant } from "./find-mutants.ts";
import type { Notice } from "./judge-mutants.ts";

const CHANGES = ["check removed", "statement removed", "operand removed", "inverted"] as const satisfies readonly Change[];

/** What became of one mutant. */
export type Outcome =
  | { readonly kind: "noticed"; readonly mutant: Mutant; readonly notice: Notice }
  | { readonly kind: "equivalent"; readonly mutant: Mutant; readonly why: string }
  | { readonly kind: "survived"; readonly mutant: Mutant; readonly isReached: boolean };

/** Each argument covers one mutant only: a second one with the same text needs its own. */
export function classifySurvivors(
  survivors: readonly { mutant: Mutant; isReached: boolean }[],
  equivalents: readonly EquivalentMutant[],
): readonly Outcome[] {
  const left = [...equivalents];
  return survivors.map(({ mutant, isReached }): Outcome => {
    const index = left.findIndex(({ file, change, text }) => file === mutant.file && change === mutant.change && text === mutant.text);
    const [argued] = index < 0 ? [] : left.splice(index, 1);
    return argued === undefined ? { kind: "survived", mutant, isReached } : { kind: "equivalent", mutant, why: argued.why };
  });
}

/** Arguments about files of this run that no surviving mutant needs: they are to be taken out of the list. */
export function findStaleArguments(outcomes: readonly Outcome[], equivalents: readonly EquivalentMutant[]): readonly EquivalentMutant[] {
  const files = new Set(outcomes.map(({ mutant }) => mutant.file));
  const left = outcomes.filter(({ kind }) => kind === "equivalent").map(({ mutant }) => mutant);
  return equivalents.filter(({ file, change, text }) => {
    if (!files.has(file)) return false;
    const index = left.findIndex((mutant) => mutant.file === file && mutant.change === change && mutant.text === text);
    if (index < 0) return true;
    left.splice(index, 1);
    return false;
  });
}

export interface FolderSummary {
  readonly folder: string;
  readonly changes: Readonly<Record<Change, number>>;
  readonly noticed: number;
  readonly equivalent: number;
  readonly survived: number;
}

export function summarise(outcomes: readonly Outcome[]): readonly FolderSummary[] {
  const folders = Map.groupBy(outcomes, ({ mutant }) => mutant.file.slice(0, mutant.file.lastIndexOf("/")));
  return [...folders].map(([folder, list]) => {
    const count = (isCounted: (outcome: Outcome) => boolean) => list.filter(isCounted).length;
    const changes = Object.fromEntries(CHANGES.map((change) => [change, count(({ mutant }) => mutant.change === change)]));
    return {
      folder,
      changes: changes as Record<Change, number>, // one entry for each, two lines above
      noticed: count(({ kind }) => kind === "noticed"),
      equivalent: count(({ kind }) => kind === "equivalent"),
      survived: count(({ kind }) => kind === "survived"),
    };
  });
}

export function describeSurvivor({ mutant, isReached }: Outcome & { kind: "survived" }): string {
  const { file, line, column, change, text } = mutant;
  return `survived: ${file}:${line}:${column}: ${change}${isReached ? "" : ", reached by no test"}: ${text.slice(0, 120)}`;
}

export function describeFolder({ folder, changes, noticed, equivalent, survived }: FolderSummary): string {
  const made = CHANGES.map((change) => `${changes[change]} ${change}`).join(", ");
  return `${folder}: ${made}; ${noticed} noticed, ${equivalent} equivalent, ${survived} survived`;
}
