import type { DocumentStatus, VerifiedDocument } from "@vouchsafe/collateral";

/** A document, or why there is none, as JSON. */
export interface DocumentRow {
  readonly document: string;
  readonly source: string | null;
  readonly issuedAt: string | null;
  readonly goodUntil: string | null;
  readonly fetchedAt: string | null;
  readonly evaluationNumber: number | null;
  readonly problem: string | null;
}

export function documentRow(key: string, document: VerifiedDocument | undefined, problem: string | undefined): DocumentRow {
  return {
    document: key,
    source: document?.source ?? null,
    issuedAt: document?.issuedAt.toISOString() ?? null,
    goodUntil: document?.goodUntil.toISOString() ?? null,
    fetchedAt: document?.fetchedAt.toISOString() ?? null,
    evaluationNumber: document?.evaluationNumber ?? null,
    problem: problem ?? null,
  };
}

export const statusRows = (status: readonly DocumentStatus[]): readonly DocumentRow[] =>
  status.map(({ key, document, problem }) => documentRow(key, document, document === undefined ? (problem ?? "not there") : undefined));

export function documentLine({ document, goodUntil, evaluationNumber, source, problem }: DocumentRow): string {
  if (problem !== null) return `REFUSED ${document}: ${problem}`;
  const evaluation = evaluationNumber === null ? "" : `, evaluation ${evaluationNumber}`;
  return `ok      ${document}: good until ${goodUntil}${evaluation}, from ${source}`;
}
