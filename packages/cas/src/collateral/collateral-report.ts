import type { CasCollateral } from "./cas-collateral.ts";

/** One line for the health report: how many documents there are, and which ends first. */
export function collateralReport({ provider }: Pick<CasCollateral, "provider">): string {
  const status = provider.status();
  const documents = status.flatMap(({ key, document }) => (document === undefined ? [] : [{ key, goodUntil: document.goodUntil }]));
  const [first] = documents.toSorted((a, b) => a.goodUntil.getTime() - b.goodUntil.getTime());
  if (first === undefined) return provider.hasSources ? "nothing asked for yet" : "none: no source is configured";
  const failing = status.filter(({ problem }) => problem !== undefined).length;
  const problems = failing === 0 ? "" : `, ${failing} cannot be refreshed`;
  return `${documents.length} documents, the first ends on ${first.goodUntil.toISOString()} (${first.key})${problems}`;
}
