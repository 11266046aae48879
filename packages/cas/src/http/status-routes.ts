import type { CasVersion } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import { ApiError } from "../cas-error.ts";
import { CAS_BUILT, CAS_COMMIT, LANGUAGE_VERSIONS } from "../version.ts";
import { openApiDocument } from "./openapi.ts";

export interface CasStatus {
  readonly version: string;
  readonly state: CasVersion["state"];
  /** Why the CAS cannot serve; undefined while it can. */
  readonly problem: string | undefined;
  readonly developmentRoot: boolean;
}

const STATUS_ROUTES: readonly string[] = ["/v1/version", "/v1/openapi.json", "/v1/health/live", "/v1/health/ready"];

/** Is it answered in every state of the CAS? */
export const isStatusRoute = (url: string): boolean => STATUS_ROUTES.includes(url.replace(/\?.*$/s, ""));

/** What anybody may ask, in every state of the CAS. */
export function statusRoutes(app: FastifyInstance, status: () => CasStatus): void {
  app.get("/v1/version", async (): Promise<CasVersion> => {
    const { version, state, developmentRoot } = status();
    return { version, commit: CAS_COMMIT, built: CAS_BUILT, language: [...LANGUAGE_VERSIONS], state, developmentRoot };
  });
  const document = openApiDocument();
  app.get("/v1/openapi.json", async () => document);
  app.get("/v1/health/live", async () => ({ status: "live" }));
  app.get("/v1/health/ready", async () => {
    const { state, problem } = status();
    if (problem !== undefined) throw new ApiError("unavailable", problem);
    if (state !== "provisioned") throw new ApiError("unavailable", `the CAS is ${state}`);
    return { status: "ready" };
  });
}
