import { ClusterIssuer } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { ApiError } from "../cas-error.ts";
import { type OwnerConfig, parseOwnerConfig } from "../config/owner-config.ts";
import type { Provisioning } from "../provisioning/provisioning.ts";
import type { ClusterIssuers } from "../service/cluster-issuers.ts";
import type { NodeKeys } from "../service/node-keys.ts";
import { requireClientCertificate } from "./client-certificate.ts";
import { jsonBody } from "./json-body.ts";
import { splitTarget } from "./request-names.ts";
import { bodyText } from "./session-routes.ts";

const ProvisionBody = z.strictObject({ token: z.string().max(64), config: z.string(), databaseKey: z.string().max(64).optional() });
const NodeKeyBody = z.strictObject({ key: z.base64().max(1024) });

export interface OwnerOperations {
  readonly provisioning: Provisioning;
  readonly nodeKeys: NodeKeys;
  readonly nodeIssuers: ClusterIssuers;
  readonly backupIssuers: ClusterIssuers;
  readonly chain: () => readonly string[];
  /** Tries what a new configuration needs before it is stored (C-11), and applies it afterwards. */
  readonly checkConfig: (config: OwnerConfig) => Promise<void>;
  readonly applyConfig: (config: OwnerConfig) => Promise<void>;
  readonly healthReport: () => Promise<object>;
  /** Returns what was lost (C-5). */
  readonly acceptRollback: () => Promise<string>;
}

/** What only the owner may do, and becoming it (cas.md §5). */
export function ownerRoutes(app: FastifyInstance, operations: OwnerOperations): void {
  const { provisioning, nodeKeys, nodeIssuers, backupIssuers, chain, checkConfig, applyConfig, healthReport, acceptRollback } = operations;
  app.post("/v1/provision", async (request) => {
    const owner = requireClientCertificate(request.socket, "provisioning");
    const { token, config, databaseKey } = jsonBody(ProvisionBody, bodyText(request));
    // C-9 lets a build forbid it: here nobody outside ever knows the key.
    if (databaseKey !== undefined)
      throw new ApiError("unsupported", "this build forbids to bring a database key: its owner could read all secrets");
    const { ownerKeyHash } = await provisioning.provision(token, config, owner, checkConfig);
    await applyConfig(parseOwnerConfig(config, "owner configuration"));
    return { ownerKeyHash, chain: chain() };
  });
  app.put("/v1/config", async (request, reply) => {
    const { keyHash } = requireClientCertificate(request.socket, "changing the owner configuration");
    provisioning.assertOwner(keyHash, "changing the configuration");
    await applyConfig(await provisioning.updateConfig(request.body ? bodyText(request) : "", checkConfig));
    return reply.code(204).send();
  });
  app.post("/v1/node-keys", async (request, reply) => {
    const { keyHash } = requireClientCertificate(request.socket, "enrolling a node key");
    provisioning.assertOwner(keyHash, "enrolling a node key");
    const { key } = jsonBody(NodeKeyBody, bodyText(request));
    const enrolled = await nodeKeys.enrol(Uint8Array.fromBase64(key));
    return reply.code(201).send({ keyHash: enrolled.keyHash });
  });
  for (const [path, issuers, what] of [
    ["/v1/node-issuers", nodeIssuers, "a cluster to enrol its nodes"],
    ["/v1/backup-issuers", backupIssuers, "a cluster to register its nodes as backups"],
  ] as const) {
    app.put(path, async (request, reply) => {
      const { keyHash } = requireClientCertificate(request.socket, `allowing ${what}`);
      provisioning.assertOwner(keyHash, `allowing ${what}`);
      await issuers.put(jsonBody(ClusterIssuer, bodyText(request)));
      return reply.code(204).send();
    });
    app.delete(path, async (request, reply) => {
      const { keyHash } = requireClientCertificate(request.socket, `forbidding ${what}`);
      provisioning.assertOwner(keyHash, `forbidding ${what}`);
      await issuers.remove(splitTarget(request.url).query.get("issuer") ?? "");
      return reply.code(204).send();
    });
  }
  app.post("/v1/accept-rollback", async (request, reply) => {
    const { keyHash } = requireClientCertificate(request.socket, "accepting a roll-back");
    provisioning.assertOwner(keyHash, "accepting a roll-back");
    return reply.type("text/plain").send(await acceptRollback());
  });
  app.get("/v1/health/report", async (request) => {
    const { keyHash } = requireClientCertificate(request.socket, "the health report");
    provisioning.assertOwner(keyHash, "the health report");
    return healthReport();
  });
}
