import { type CryptoKey, jwtVerify, type KeyObject, SignJWT } from "jose";
import { OperationalError } from "../core/errors.ts";
import { isIntegerWithin } from "../core/integer.ts";
import { millisecondsOf } from "../core/time.ts";

/** Appraisal of one Attester in the words of EAR (draft-ietf-rats-ear): how far to trust it, and why. */
export interface EarSubmodule {
  readonly status: EarStatus;
  /** Tier values of AR4SI (draft-ietf-rats-ar4si §2.3): 2 affirming, 32 warning, 96 contraindicated; absent means no claim. */
  readonly trustworthiness: Partial<Record<TrustworthinessClaim, number>>;
  /** Name or hash of the policy the Evidence was appraised by. */
  readonly appraisalPolicyId: string;
  /** Claims worth showing to the Relying Party: evidence kind, code identity, platform, TCB status. */
  readonly evidence: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** Tier of trustworthiness (EAR, AR4SI): only `affirming` says that all is as it should be. */
export type EarStatus = "none" | "affirming" | "warning" | "contraindicated";

export type TrustworthinessClaim =
  | "instance-identity"
  | "configuration"
  | "executables"
  | "file-system"
  | "hardware"
  | "runtime-opaque"
  | "storage-opaque"
  | "sourced-data";

/** An EAT attestation result (EAR): what a Verifier says to whom, until when. */
export interface AttestationResultToken {
  readonly verifier: { readonly developer: string; readonly build: string };
  /** Who the result is for; nobody else may rely on it. */
  readonly audience: string;
  /** What was attested: the service id. */
  readonly subject: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly submodules: ReadonlyMap<string, EarSubmodule>;
}

/** RESULT_MALFORMED: not such a token. RESULT_SIGNATURE: not signed by the key given, or by an algorithm that is not allowed. RESULT_STALE: expired or not yet valid. RESULT_AUDIENCE: for somebody else. */
export class AttestationResultError extends OperationalError<
  "RESULT_MALFORMED" | "RESULT_SIGNATURE" | "RESULT_STALE" | "RESULT_AUDIENCE"
> {}

const PROFILE = "tag:github.com,2023:veraison/ear";
const TOKEN_TYPE = "ear+jwt";
const TOKEN_MAX_CHARACTERS = 64 * 1024;
/** The last second of the year 9999. */
const TIME_MAX_SECONDS = 253_402_300_799;
const STATUSES: ReadonlySet<unknown> = new Set<EarStatus>(["none", "affirming", "warning", "contraindicated"]);
export type ResultAlgorithm = "ES256" | "ES384" | "EdDSA";

/** Signs a result as JWT. `privateKey` must be one of the algorithm's type. */
export async function signAttestationResult(
  result: AttestationResultToken,
  privateKey: CryptoKey | KeyObject,
  algorithm: ResultAlgorithm,
): Promise<string> {
  const submods = Object.fromEntries([...result.submodules].map(([name, submodule]) => [name, encodeSubmodule(submodule)]));
  return new SignJWT({ eat_profile: PROFILE, "ear.verifier-id": result.verifier, submods })
    .setProtectedHeader({ alg: algorithm, typ: TOKEN_TYPE })
    .setIssuedAt(result.issuedAt)
    .setExpirationTime(result.expiresAt)
    .setAudience(result.audience)
    .setSubject(result.subject)
    .sign(privateKey);
}

/** The Verifier whose results count, who is asking, and when. A result for another audience is refused. */
export interface ResultTrust {
  readonly publicKey: CryptoKey | KeyObject;
  /** The one algorithm of that key: what the token's header says only has to agree. */
  readonly algorithm: ResultAlgorithm;
  readonly audience: string;
  readonly now: Date;
}

/** Verifies signature, profile, audience and time of a result. Keys, key ids and URLs in the token's header are never looked at. */
export async function verifyAttestationResult(token: string, trust: ResultTrust): Promise<AttestationResultToken> {
  millisecondsOf(trust.now);
  if (token.length > TOKEN_MAX_CHARACTERS) throw malformed(`${token.length} characters, at most ${TOKEN_MAX_CHARACTERS} allowed`);
  if (!token.split(".").every(isCanonical)) throw malformed("not base64url in its one spelling");
  return readResultPayload(await verifiedPayload(token, trust), trust.audience);
}

/** The last character may carry bits that belong to no byte: JOSE libraries skip them, whatever they are. */
function isCanonical(part: string): boolean {
  if (/[\s=]/.test(part)) return false;
  try {
    const padded = part.padEnd(Math.ceil(part.length / 4) * 4, "=");
    Uint8Array.fromBase64(padded, { alphabet: "base64url", lastChunkHandling: "strict" });
    return true;
  } catch {
    return false; // not base64url, or bits that are not zero
  }
}

/** Reads the claims of a token whose signature, audience and time hold. Throws RESULT_MALFORMED. */
export function readResultPayload(payload: Readonly<Record<string, unknown>>, audience: string): AttestationResultToken {
  if (payload["eat_profile"] !== PROFILE) throw malformed("eat_profile is not that of EAR");
  const { sub, submods } = payload;
  const verifier = payload["ear.verifier-id"];
  if (typeof sub !== "string") throw malformed("sub is missing");
  if (!isObject(verifier) || typeof verifier["developer"] !== "string" || typeof verifier["build"] !== "string")
    throw malformed("ear.verifier-id is not developer and build");
  if (!isObject(submods) || Object.keys(submods).length === 0) throw malformed("submods is not an object with members");
  return {
    verifier: { developer: verifier["developer"], build: verifier["build"] },
    audience,
    subject: sub,
    issuedAt: readTime(payload, "iat"),
    expiresAt: readTime(payload, "exp"),
    submodules: new Map(Object.entries(submods).map(([name, value]) => [name, decodeSubmodule(value)])),
  };
}

function readTime(payload: Readonly<Record<string, unknown>>, claim: "iat" | "exp"): Date {
  const seconds = payload[claim];
  if (isIntegerWithin(seconds, 0, TIME_MAX_SECONDS)) return new Date(seconds * 1000);
  throw malformed(`${claim} is not a count of seconds`);
}

async function verifiedPayload(token: string, { publicKey, algorithm, audience, now }: ResultTrust): Promise<Record<string, unknown>> {
  try {
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: [algorithm],
      audience,
      currentDate: now,
      typ: TOKEN_TYPE,
      requiredClaims: ["iat", "exp", "aud", "sub"],
    });
    return payload;
  } catch (cause) {
    const { code, claim }: Record<string, unknown> = isObject(cause) ? cause : {};
    if (code === "ERR_JWT_EXPIRED") throw new AttestationResultError("RESULT_STALE", "attestation result: expired", { cause });
    if (code === "ERR_JWT_CLAIM_VALIDATION_FAILED") {
      if (claim === "aud") throw new AttestationResultError("RESULT_AUDIENCE", "attestation result: made for another audience", { cause });
      throw new AttestationResultError("RESULT_MALFORMED", `attestation result: claim ${String(claim)} is not as it has to be`, { cause });
    }
    if (code === "ERR_JWS_INVALID" || code === "ERR_JWT_INVALID")
      throw new AttestationResultError("RESULT_MALFORMED", "attestation result: not a JWT", { cause });
    throw new AttestationResultError("RESULT_SIGNATURE", `attestation result: not signed with ${algorithm} by the verifier's key`, {
      cause,
    });
  }
}

function encodeSubmodule({ status, trustworthiness, appraisalPolicyId, evidence }: EarSubmodule): Record<string, unknown> {
  return {
    "ear.status": status,
    "ear.trustworthiness-vector": trustworthiness,
    "ear.appraisal-policy-id": appraisalPolicyId,
    "ear.veraison.annotated-evidence": evidence,
  };
}

function decodeSubmodule(value: unknown): EarSubmodule {
  if (!isObject(value)) throw malformed("a submodule is not an object");
  const {
    "ear.status": status,
    "ear.trustworthiness-vector": vector,
    "ear.appraisal-policy-id": policy,
    "ear.veraison.annotated-evidence": evidence,
  } = value;
  if (!STATUSES.has(status)) throw malformed("ear.status is not none, affirming, warning or contraindicated");
  if (!isObject(vector) || !Object.values(vector).every((tier) => isIntegerWithin(tier, -128, 127))) {
    throw malformed("ear.trustworthiness-vector has values that are not integers of 8 bits");
  }
  if (typeof policy !== "string") throw malformed("ear.appraisal-policy-id is missing");
  return {
    status: status as EarStatus, // one of STATUSES
    trustworthiness: vector as EarSubmodule["trustworthiness"], // integers by name; names outside the vocabulary are kept, nobody asks for them
    appraisalPolicyId: policy,
    evidence: (isObject(evidence) ? evidence : {}) as EarSubmodule["evidence"], // for display only, signed by the verifier itself
  };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const malformed = (detail: string) => new AttestationResultError("RESULT_MALFORMED", `attestation result: ${detail}`);
