import { backupAudience, NodeEnrolled, RegisterInstance } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Instances } from "../registration/instances.ts";
import type { ClusterIssuers } from "../service/cluster-issuers.ts";
import type { NodeKeys } from "../service/node-keys.ts";
import { verifyNodeStatement } from "../service/node-statement.ts";
import { jsonBody } from "./json-body.ts";
import { RateLimiter } from "./rate-limit.ts";
import { bodyText } from "./session-routes.ts";

const Statement = z.string().max(8192);
const NodeBody = z.strictObject({ key: z.base64().max(1024), statement: Statement });
const BackupBody = RegisterInstance.extend({ statement: Statement });
/** One operator carries the statements of a whole cluster. */
const LIMIT = { perMinute: 600, burst: 1_000 };

export interface EnrolmentParts {
  readonly nodeIssuers: ClusterIssuers;
  readonly nodeKeys: NodeKeys;
  readonly backupIssuers: ClusterIssuers;
  readonly instances: Instances;
}

/** What a cluster may do on its own word, where the owner allowed it. Whoever carries a statement: it is about one key and says nothing else. */
export function enrolmentRoutes(app: FastifyInstance, context: CasContext, parts: EnrolmentParts): void {
  const { nodeIssuers, nodeKeys, backupIssuers, instances } = parts;
  const limiter = new RateLimiter("enrolments", LIMIT);
  app.post("/v1/node-enrolments", async (request) => {
    limiter.take(request.ip, context.now().getTime());
    const { key, statement } = jsonBody(NodeBody, bodyText(request));
    const spki = Uint8Array.fromBase64(key);
    const node = await verifyNodeStatement(nodeIssuers, statement, spki);
    const { keyHash, isNew } = await nodeKeys.enrol(spki, node);
    if (isNew) context.log.warn(`node agent ${keyHash} of node ${node} is trusted on the word of its cluster`);
    return NodeEnrolled.parse({ keyHash, node });
  });
  app.post("/v1/backup-enrolments", async (request, reply) => {
    limiter.take(request.ip, context.now().getTime());
    const { statement, ...backup } = jsonBody(BackupBody, bodyText(request));
    await backupIssuers.verify(statement, backupAudience(context.identity.casKeyHash, backup));
    if (backup.casKeyHash === undefined) throw new ApiError("bad_request", "the key hash of the backup (casKeyHash) is not named");
    const registered = await instances.register("backup", backup);
    context.log.warn(`${registered.name} may open the database, as a backup on the word of its cluster`);
    return reply.code(201).send(registered);
  });
}
