/**
 * A clock that never goes back: what has expired stays expired when the machine's clock is set back (hazard B9). After a jump forward it stands
 * still until the machine's clock has caught up, which refuses more than it should, never less.
 */
export function forwardClock(now: () => Date): () => Date {
  let latest = Number.NEGATIVE_INFINITY;
  return () => {
    latest = Math.max(latest, now().getTime());
    return new Date(latest);
  };
}
