import type { Server } from "node:tls";
import { CLIENT_ALPN, KEY_EXCHANGE_GROUPS } from "@vouchsafe/protocol";
import Fastify, { type FastifyInstance } from "fastify";
import type { ListenAddress } from "../config/availability-config.ts";
import type { TlsIdentity } from "../identity/cas-identity.ts";
import type { Log } from "../log-line.ts";
import { stopOnBrokenRandomness } from "../operation/stop-on-broken-randomness.ts";
import { HANDSHAKE_TIMEOUT_MS, listenError, MAX_CONNECTIONS, trackConnections } from "../tls/listen.ts";
import { serverTlsOptions } from "../tls/server-tls-options.ts";
import { problemOf } from "./problem.ts";

/** C-25. */
const BODY_MAX_BYTES = 1024 * 1024;
const CONNECTION_TIMEOUT_MS = 60_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** The HTTPS server of the client API, without routes. Asks for a client certificate and judges only possession of its key (C-18). */
export function createClientServer(identity: TlsIdentity, log: Log): FastifyInstance {
  const app: FastifyInstance = Fastify({
    https: {
      ...serverTlsOptions(identity),
      ecdhCurve: KEY_EXCHANGE_GROUPS,
      ALPNProtocols: [CLIENT_ALPN],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
    bodyLimit: BODY_MAX_BYTES,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: 1024 },
    exposeHeadRoutes: false,
    logger: false,
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  const closeConnections = trackConnections(app.server);
  app.addHook("preClose", async () => closeConnections());
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    stopOnBrokenRandomness(error, log);
    const problem = problemOf(error, request.id);
    if (problem.code === "internal") {
      log.error(
        `request ${request.id} ${request.method} ${request.routeOptions.url ?? ""}: ${error instanceof Error ? (error.stack ?? error.message) : "unknown"}`,
      );
    }
    if (problem.retry_after !== undefined) reply.header("retry-after", problem.retry_after);
    return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  });
  app.setNotFoundHandler((request, reply) => {
    const problem = problemOf(Object.assign(new Error("no such route"), { statusCode: 404 }), request.id);
    return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  });
  return app;
}

/** New connections get this identity; open ones keep theirs. */
export function replaceClientIdentity(app: FastifyInstance, identity: TlsIdentity): void {
  // the application is served over TLS only, see `createClientServer`
  (app.server as unknown as Server).setSecureContext(serverTlsOptions(identity));
}

/** Listens and returns where. Throws LISTEN. */
export async function listenClientServer(app: FastifyInstance, { host, port }: ListenAddress): Promise<ListenAddress> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw listenError({ host, port }, cause);
  }
  const [bound] = app.addresses();
  return { host, port: typeof bound === "object" ? bound.port : port };
}
