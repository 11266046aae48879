import { earSubmodule, signAttestationResult } from "@vouchsafe/attestation";
import { EvidenceJson, parseServiceId, type VerifiedEvidence } from "@vouchsafe/protocol";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { type Credential, isPermitted } from "../access/authorise.ts";
import { type CasContext, committedValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { TlsIdentity } from "../identity/cas-identity.ts";
import { evidenceResult } from "../service/evidence-result.ts";
import { type EvidenceTrust, verifyServiceEvidence } from "../service/evidence-verifier.ts";
import { Refused } from "../service/refusal.ts";
import { readServiceRules, type ServiceRules } from "../service/service-rules.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { ValueError } from "../values/secret-source.ts";
import { CAS_VERSION } from "../version.ts";
import { requireClientCertificate } from "./client-certificate.ts";
import { jsonBody } from "./json-body.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { bodyText, credentialOf } from "./session-routes.ts";

const Body = z.strictObject({
  evidence: EvidenceJson,
  /** Who the result is for; nobody else may rely on it. */
  audience: z.string().min(1).max(255),
  /** What the evidence has to carry: the asker's nonce or channel binding. */
  userData: z.base64().max(128).optional(),
  /** `SESSION/SERVICE`: appraise by this policy. */
  service: z.string().min(3).max(1024).optional(),
});

const RESULT_LIFE_MS = 300_000;

export interface VerifyEvidenceParts {
  readonly trust: EvidenceTrust;
  readonly uploads: RateLimiter;
  /** Signs results and nothing else; P-256, below the CAS key. */
  readonly signer: TlsIdentity;
}

/** `POST /v1/verify-evidence` (cas.md §19): a signed Attestation Result for a Relying Party that has no verifier of its own. */
export function verifyEvidenceRoute(app: FastifyInstance, context: CasContext, { trust, uploads, signer }: VerifyEvidenceParts): void {
  app.post("/v1/verify-evidence", async (request): Promise<VerifiedEvidence> => {
    const { keyHash } = requireClientCertificate(request.socket, "having evidence verified");
    if (!context.ownerConfig.isEvidenceVerifiedForOthers) {
      throw new ApiError("unsupported", "this CAS verifies no evidence for others; its owner can switch on verify_evidence.enabled");
    }
    uploads.take(keyHash, context.now().getTime());
    const { evidence, audience, userData, service } = jsonBody(Body, bodyText(request));
    const rules = service === undefined ? undefined : await findRules(context, service, credentialOf(request));
    const claims = await verifyServiceEvidence(evidence, trust).catch(asProblem);
    const now = trust.now();
    const expected = userData === undefined ? undefined : Uint8Array.fromBase64(userData);
    const result = evidenceResult(claims, { userData: expected, rules: rules?.rules, now });
    const token = await signAttestationResult(
      {
        verifier: { developer: "vouchsafe", build: `cas ${CAS_VERSION}` },
        audience,
        subject: service ?? claims.platformId,
        issuedAt: now,
        expiresAt: new Date(now.getTime() + RESULT_LIFE_MS),
        submodules: new Map([[claims.kind, earSubmodule(claims, result, rules?.policyId ?? "vouchsafe:platform-only")]]),
      },
      signer.privateKey,
      "ES256",
    );
    await context.audit.record("evidence_verified", {
      client: keyHash,
      evidence: claims.kind,
      service: service ?? null,
      accepted: result.accepted,
    });
    return { token, chain: [...signer.chain] };
  });
}

/** A policy judges for whoever may read it: others would learn from the answer what it says. */
async function findRules(
  context: CasContext,
  name: string,
  credential: Credential,
): Promise<{ readonly rules: ServiceRules; readonly policyId: string }> {
  const id = parseServiceId(name);
  const version = id === undefined ? undefined : await context.database.get<SessionVersion>(currentKey(id.session));
  const service = version?.session.services.find((candidate) => candidate.name === id?.service);
  const unknown = new ApiError("not_found", `service ${name} does not exist or is not visible to this client`);
  if (version === undefined || service === undefined) throw unknown;
  if (!(await isPermitted(committedValues(context), version, "read", credential))) throw unknown;
  try {
    const secrets = await resolveSecrets(committedValues(context), version, context.now());
    return { rules: readServiceRules(version.session, service, { ...secrets, made: new Map() }), policyId: `sha256:${version.hash}` };
  } catch (error) {
    if (error instanceof ValueError) throw new ApiError("bad_request", `the policy of ${name} cannot be resolved: ${error.message}`);
    throw error;
  }
}

function asProblem(error: unknown): never {
  if (!(error instanceof Refused)) throw error;
  throw new ApiError("bad_request", `the evidence proves nothing (${error.code}): ${error.message}`, { causes: error.causes });
}
