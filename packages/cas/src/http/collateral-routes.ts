import { describeForecast } from "@vouchsafe/collateral";
import type { CollateralForecast, CollateralStatus } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import type { CasContext } from "../cas-context.ts";
import type { CasCollateral } from "../collateral/cas-collateral.ts";
import { refusingServices } from "../collateral/refusing-services.ts";
import type { Provisioning } from "../provisioning/provisioning.ts";
import { requireClientCertificate } from "./client-certificate.ts";

/** What the CAS knows of platforms and of what their vendors say: for the owner, since it names machines and services. */
export function collateralRoutes(app: FastifyInstance, context: CasContext, collateral: CasCollateral, provisioning: Provisioning): void {
  app.get("/v1/collateral", async (request): Promise<CollateralStatus> => {
    const { keyHash } = requireClientCertificate(request.socket, "looking at the collateral");
    provisioning.assertOwner(keyHash, "looking at the collateral");
    const time = (date: Date | undefined) => date?.toISOString() ?? null;
    const documents = collateral.provider.status().map(({ key, document, refreshAt, problem }) => ({
      document: key,
      source: document?.source ?? null,
      fetchedAt: time(document?.fetchedAt),
      issuedAt: time(document?.issuedAt),
      goodUntil: time(document?.goodUntil),
      evaluationNumber: document?.evaluationNumber ?? null,
      refreshAt: time(refreshAt),
      problem: problem ?? null,
    }));
    return { documents };
  });
  app.get("/v1/collateral/forecast", async (request): Promise<CollateralForecast> => {
    const { keyHash } = requireClientCertificate(request.socket, "the forecast");
    provisioning.assertOwner(keyHash, "the forecast");
    const platforms: CollateralForecast["platforms"] = [];
    for (const { seen, outcome } of await collateral.forecastAll()) {
      const { present, newest, shortfalls, ...row } = describeForecast(outcome);
      const state = (given: typeof present) => given && { ...given, advisories: [...given.advisories] };
      const refusedBy = (await refusingServices(context, seen.services, outcome)).map(({ service, reasons }) => ({
        service,
        reasons: [...reasons],
      }));
      const { firstSeen, lastSeen, services } = seen;
      const judged = { present: state(present), newest: state(newest), shortfalls: shortfalls.map((each) => ({ ...each })) };
      platforms.push({ ...row, ...judged, firstSeen, lastSeen, services: [...services], refusedBy });
    }
    return { at: collateral.now().toISOString(), update: collateral.update, platforms };
  });
}
