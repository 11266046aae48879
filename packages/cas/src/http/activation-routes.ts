import type { ActivationList } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import type { CasContext } from "../cas-context.ts";
import type { Activations } from "../service/activations.ts";
import { readSession } from "../sessions/read-session.ts";
import { sessionNameIn } from "./request-names.ts";
import { credentialOf } from "./session-routes.ts";

const PREFIX = "/v1/activations/";

/** How often the services of a session were started, and how many run: for whoever may read the session. */
export function activationRoutes(app: FastifyInstance, context: CasContext, activations: Activations): void {
  app.get(`${PREFIX}*`, async (request): Promise<ActivationList> => {
    const { version } = await readSession(context, sessionNameIn(request.url, PREFIX), undefined, credentialOf(request));
    const services: ActivationList["services"] = [];
    for (const { name, maxActivations, maxRunning } of version.session.services) {
      const count = await activations.countOf(context.database, version.name, name);
      services.push({ name, ...count, maxActivations: maxActivations ?? null, maxRunning: maxRunning ?? null });
    }
    return { services };
  });
}
