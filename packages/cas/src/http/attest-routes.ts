import { type CasAttestation, casEvidenceUserData, TpmCredential } from "@vouchsafe/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { OwnEvidence } from "../identity/own-evidence.ts";
import { jsonBody } from "./json-body.ts";
import { RateLimiter } from "./rate-limit.ts";
import { splitTarget } from "./request-names.ts";
import { bodyText } from "./session-routes.ts";

const NONCE_MAX_CHARACTERS = 256;
/** Of one address: each of them is a quote that the platform makes. */
const LIMIT = { perMinute: 120, burst: 60 };

/** What anybody may ask this CAS about itself (C-64): its statement for the asker's nonce, and evidence over it. */
export function attestRoutes(
  app: FastifyInstance,
  evidence: OwnEvidence,
  statement: (nonce: string) => Promise<Pick<CasAttestation, "statement" | "signature">>,
  now: () => Date,
): void {
  const limiter = new RateLimiter("requests for evidence", LIMIT);
  const limit = ({ ip }: FastifyRequest) => limiter.take(ip, now().getTime());
  app.get("/v1/attest", async (request): Promise<CasAttestation> => {
    const nonce = splitTarget(request.url).query.get("nonce") ?? "";
    const signed = await statement(nonce.slice(0, NONCE_MAX_CHARACTERS));
    const userData = casEvidenceUserData(signed.statement);
    if (!evidence.has(userData)) limit(request);
    return { ...signed, ...(await evidence.over(userData)) };
  });
  if (!evidence.hasTpm) return;
  app.post("/v1/attest/credential", async (request) => {
    const { idObject, encryptedSecret } = jsonBody(TpmCredential, bodyText(request));
    limit(request);
    const secret = await evidence.openCredential(Buffer.from(idObject, "base64"), Buffer.from(encryptedSecret, "base64"));
    return { secret: secret.toBase64() };
  });
}
