const EVENTS_PER_WINDOW = 12;
const WINDOW_MS = 10 * 60_000;
const PODS_KEPT = 1_000;

/** How many events a pod may cause by what it says itself: a hostile one must not flood the cluster's API. */
export class EventBudget {
  readonly #spent = new Map<string, { count: number; since: number }>();

  mayTell(pod: string, nowMs: number): boolean {
    const known = this.#spent.get(pod);
    const budget = known === undefined || nowMs - known.since >= WINDOW_MS ? { count: 0, since: nowMs } : known;
    if (budget.count >= EVENTS_PER_WINDOW) return false;
    budget.count += 1;
    this.#spent.delete(pod);
    this.#spent.set(pod, budget);
    for (const oldest of this.#spent.keys()) {
      if (this.#spent.size <= PODS_KEPT) break;
      this.#spent.delete(oldest);
    }
    return true;
  }
}
