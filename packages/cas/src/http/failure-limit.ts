import type { ProblemCode } from "@vouchsafe/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { ApiError } from "../cas-error.ts";
import { clientCertificateOf } from "./client-certificate.ts";
import { type RateLimit, RateLimiter } from "./rate-limit.ts";

/** Who keeps asking for what he may not have is guessing, or broken. */
const FAILURES: ReadonlySet<ProblemCode> = new Set(["unauthenticated", "forbidden", "bad_signature", "quorum"]);

/** Whoever shares an address with the supervisor of this process shall not be able to make it look dead. */
const HEALTH = /^\/v1\/health\//;

/**
 * C-25: a client whose authentication failed too often waits, whatever it asks next but for the health of the CAS. A client is a key, or an
 * address where it shows none.
 */
export function limitFailures(app: FastifyInstance, limit: RateLimit, now: () => Date): void {
  const limiter = new RateLimiter("failed authentications", limit);
  app.addHook("onRequest", async (request) => {
    if (!HEALTH.test(request.url)) limiter.assertLeft(clientOf(request), now().getTime());
  });
  app.addHook("onError", async (request, _reply, error: unknown) => {
    if (error instanceof ApiError && FAILURES.has(error.code)) limiter.count(clientOf(request), now().getTime());
  });
}

function clientOf(request: FastifyRequest): string {
  try {
    return clientCertificateOf(request.socket)?.keyHash ?? request.ip;
  } catch {
    return request.ip; // a certificate that is refused as such
  }
}
