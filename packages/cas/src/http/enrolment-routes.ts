import { NodeEnrolled } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CasContext } from "../cas-context.ts";
import type { NodeIssuers } from "../service/node-issuers.ts";
import type { NodeKeys } from "../service/node-keys.ts";
import { jsonBody } from "./json-body.ts";
import { RateLimiter } from "./rate-limit.ts";
import { bodyText } from "./session-routes.ts";

const Body = z.strictObject({ key: z.base64().max(1024), statement: z.string().max(8192) });
/** One operator carries the statements of a whole cluster. */
const LIMIT = { perMinute: 600, burst: 1_000 };

/** Enrolment of node agents by their cluster: whoever carries the statement, it is about one key and says nothing else. */
export function enrolmentRoutes(app: FastifyInstance, context: CasContext, issuers: NodeIssuers, keys: NodeKeys): void {
  const limiter = new RateLimiter("enrolments", LIMIT);
  app.post("/v1/node-enrolments", async (request) => {
    limiter.take(request.ip, context.now().getTime());
    const { key, statement } = jsonBody(Body, bodyText(request));
    const spki = Uint8Array.fromBase64(key);
    const wasKnown = keys.isEnrolled(spki);
    const node = await issuers.verify(statement, spki);
    const keyHash = await keys.enrol(spki, node);
    if (!wasKnown) context.log.warn(`node agent ${keyHash} of node ${node} is trusted on the word of its cluster`);
    return NodeEnrolled.parse({ keyHash, node });
  });
}
