import type { VerifiedDocument } from "../verify-document.ts";

const HOUR_MS = 3_600_000;
const RETRY_FIRST_MS = 5_000;
const RETRY_MAX_MS = HOUR_MS;

/**
 * When to ask again: after the interval, but with a tenth of the document's life still ahead; `random` (0 to 1) spreads it, so that replicas do not
 * ask together. AMD's certificates do not change while they are valid.
 */
export function refreshTime({ request, fetchedAt, goodUntil }: VerifiedDocument, intervalMs: number, random: number): Date {
  const left = Math.max(0, goodUntil.getTime() - fetchedAt.getTime());
  const isFixed = request.kind === "vcek" || request.kind === "amd-chain";
  const wait = isFixed ? left * 0.9 : Math.min(intervalMs, left * 0.9);
  return new Date(fetchedAt.getTime() + wait * (0.85 + 0.15 * random));
}

/** Wait after the n-th failure in a row: doubles from 5 s to an hour, spread by a quarter. */
export function retryDelayMs(failures: number, random: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 20)) * (0.75 + 0.25 * random);
}
