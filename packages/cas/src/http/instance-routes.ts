import { RegisterInstance } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import type { Freshness } from "../freshness/freshness.ts";
import type { Provisioning } from "../provisioning/provisioning.ts";
import type { Instances } from "../registration/instances.ts";
import type { Purpose } from "../registration/registration.ts";
import { requireClientCertificate } from "./client-certificate.ts";
import { jsonBody } from "./json-body.ts";
import { splitTarget } from "./request-names.ts";
import { bodyText } from "./session-routes.ts";

const PURPOSES: readonly Purpose[] = ["backup", "upgrade"];

/** Other instances that may open the database: the owner registers and removes them (C-74, C-78). */
export function instanceRoutes(app: FastifyInstance, instances: Instances, provisioning: Provisioning, freshness: Freshness): void {
  const assertOwner = (socket: object, operation: string) =>
    provisioning.assertOwner(requireClientCertificate(socket, operation).keyHash, operation);
  for (const purpose of PURPOSES) {
    app.post(`/v1/${purpose}s`, async (request, reply) => {
      assertOwner(request.socket, `registering a CAS as ${purpose}`);
      return reply.code(201).send(await instances.register(purpose, jsonBody(RegisterInstance, bodyText(request))));
    });
    app.delete(`/v1/${purpose}s`, async (request, reply) => {
      assertOwner(request.socket, `removing a registered ${purpose}`);
      await instances.remove(purpose, splitTarget(request.url).query.get("name") ?? "");
      return reply.code(204).send();
    });
  }
  app.post("/v1/upgrades/start", async (request) => {
    assertOwner(request.socket, "starting an upgrade");
    return instances.startUpgrade(freshness);
  });
  app.get("/v1/backups", async (request) => {
    assertOwner(request.socket, "listing registered instances");
    return { instances: await instances.list() };
  });
}
