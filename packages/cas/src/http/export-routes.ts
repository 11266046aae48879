import type { TLSSocket } from "node:tls";
import { ExportRequest, peerCasIdentity } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { exportToCas } from "../imports/export-to-cas.ts";
import { requireClientCertificate } from "./client-certificate.ts";
import { jsonBody } from "./json-body.ts";
import { RateLimiter } from "./rate-limit.ts";
import { bodyText } from "./session-routes.ts";

/** For each CAS that asks: far above what its services need, far below what would starve ours. */
const LIMIT = { perMinute: 6_000, burst: 1_000 };

/** What sessions export to sessions on other CAS (C-33). Certificates that are due are issued first. */
export function exportRoutes(app: FastifyInstance, context: CasContext, renew: (session: string) => Promise<void>): void {
  const limiter = new RateLimiter("questions for exports", LIMIT);
  app.post("/v1/exports", async (request) => {
    requireClientCertificate(request.socket, "importing from another CAS");
    // the application is served over TLS only, see `createClientServer`
    const peer = peerCasIdentity(request.socket as TLSSocket, context.now());
    if (peer === undefined) throw new ApiError("unauthenticated", "the client certificate is not that of a CAS");
    limiter.take(peer.casKeyHash, context.now().getTime());
    const question = jsonBody(ExportRequest, bodyText(request));
    for (const session of new Set(question.imports.map(({ session }) => session))) {
      if (context.database.ids("session-values").has(session)) await renew(session);
    }
    return exportToCas(context, peer, question);
  });
}
