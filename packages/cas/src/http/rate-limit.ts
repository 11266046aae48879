import { ApiError } from "../cas-error.ts";

export interface RateLimit {
  readonly perMinute: number;
  /** How many may come at once. */
  readonly burst: number;
}

const CLIENTS_KEPT = 10_000;

/** Token bucket for each client (C-25). Forgets the clients that were quiet longest. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #what: string;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(what: string, limit: RateLimit) {
    this.#what = what;
    this.#limit = limit;
  }

  /** Takes one token of `client`. Throws `too_many` with the time to wait. */
  take(client: string, nowMs: number): void {
    this.assertLeft(client, nowMs);
    this.count(client, nowMs);
  }

  /** Throws `too_many` with the time to wait when `client` has no token left; takes none. */
  assertLeft(client: string, nowMs: number): void {
    const bucket = this.#refill(client, nowMs);
    if (bucket.tokens >= 1) return;
    const retryAfterSeconds = Math.ceil((1 - bucket.tokens) / (this.#limit.perMinute / 60));
    throw new ApiError("too_many", `more than ${this.#limit.perMinute} ${this.#what} in a minute; retry in ${retryAfterSeconds} s`, {
      retryAfterSeconds,
    });
  }

  /** Takes one token for something that has happened. */
  count(client: string, nowMs: number): void {
    const bucket = this.#refill(client, nowMs);
    bucket.tokens = Math.max(0, bucket.tokens - 1);
  }

  #refill(client: string, nowMs: number): { tokens: number; at: number } {
    const known = this.#buckets.get(client);
    this.#buckets.delete(client);
    const { burst, perMinute } = this.#limit;
    const elapsedMs = known === undefined ? 0 : Math.max(0, nowMs - known.at);
    const tokens = known === undefined ? burst : Math.min(burst, known.tokens + (elapsedMs / 60_000) * perMinute);
    const bucket = { tokens, at: nowMs };
    this.#buckets.set(client, bucket);
    if (this.#buckets.size > CLIENTS_KEPT) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return bucket;
  }
}
