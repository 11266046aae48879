import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { listSecrets, readSecret, supplySecret } from "../governance/secret-values.ts";
import { requireClientCertificate } from "./client-certificate.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { splitTarget, valueSelector } from "./request-names.ts";
import { bodyText, credentialOf } from "./session-routes.ts";

const PREFIX = "/v1/secrets/";
const Format = z.string().regex(/^[a-z0-9:-]{1,64}$/);

/** Secrets that people supply and read (extensions `supplied_by` and `roles`). `onSupplied` hears of every session whose values changed. */
export function secretRoutes(app: FastifyInstance, context: CasContext, uploads: RateLimiter, onSupplied: (session: string) => void): void {
  app.put(`${PREFIX}*`, async (request) => {
    const { keyHash } = requireClientCertificate(request.socket, "supplying a secret");
    uploads.take(keyHash, context.now().getTime());
    const { session, secret } = valueSelector(request.url, PREFIX);
    if (secret === undefined) throw new ApiError("bad_request", "the path names no secret: session=NAME,secret=S");
    const supplied = await supplySecret(context, { session, secret }, bodyText(request), keyHash);
    onSupplied(session);
    return supplied;
  });
  app.get(`${PREFIX}*`, async (request, reply) => {
    requireClientCertificate(request.socket, "reading secrets");
    const { session, secret } = valueSelector(request.url, PREFIX);
    reply.header("cache-control", "no-store");
    if (secret === undefined) return listSecrets(context, session, credentialOf(request));
    const format = Format.optional().safeParse(splitTarget(request.url).query.get("format") ?? undefined);
    if (!format.success) throw new ApiError("bad_request", "format is not the name of a format");
    return readSecret(context, { session, secret }, format.data, credentialOf(request));
  });
}
