import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import type { JwtSecret, Service } from "@vouchsafe/policy";
import type { SessionVersion } from "../sessions/session-records.ts";
import { fillText, type SecretSource, ValueError } from "./secret-source.ts";

/** What values may say about the service they are made for. */
export interface DeliveryClaims {
  readonly codeIdentity: string;
  readonly kind: string;
  readonly signer?: { readonly mrSigner: string };
}

export interface DeliveryTo {
  readonly version: SessionVersion;
  readonly service: Service;
  readonly instanceId: string;
  readonly claims: DeliveryClaims | undefined;
  /** Its `made` are the tokens of Azure AD. */
  readonly source: SecretSource;
  readonly now: Date;
}

type Algorithm = JwtSecret["algorithm"];

const DIGEST: Readonly<Record<Algorithm, string | null>> = { ES256: "sha256", ES384: "sha384", PS256: "sha256", EdDSA: null };
const PSS = { padding: 6 /* RSA_PKCS1_PSS_PADDING */, saltLength: 32 } as const;

/** A payload value is literal or exactly one placeholder (SL-110). */
const WHOLE_PLACEHOLDER = /^\$\$SCONE::[^$]+\$\$$/;

/** Values that exist for one delivery only: what the service is (SL-111), and its tokens (SL-110). By placeholder name. */
export function makeDeliveryValues(to: DeliveryTo): ReadonlyMap<string, string> {
  const made = new Map([...to.source.made, ...selfValues(to)]);
  for (const secret of to.version.session.secrets) {
    if (secret.origin === "generated" && secret.kind === "jwt") made.set(secret.name, signToken(secret, { ...to.source, made }, to.now));
  }
  return made;
}

function selfValues({ version, service, instanceId, claims }: DeliveryTo): [string, string][] {
  const always: [string, string][] = [
    ["self::session", version.name],
    ["self::session_hash", version.hash],
    ["self::service", service.name],
    ["self::instance_id", instanceId],
  ];
  if (claims === undefined) return always;
  always.push(["self::software_identity", claims.codeIdentity], ["self::evidence", claims.kind]);
  if (claims.signer !== undefined) always.push(["self::signer", claims.signer.mrSigner]);
  return always;
}

function signToken({ name, signer, algorithm, validForSeconds, payload }: JwtSecret, source: SecretSource, now: Date): string {
  const stored = source.values.get(signer);
  if (stored?.kind !== "private-key")
    throw new ValueError(`secret ${name}: its signer ${signer} is ${source.problems.get(signer) ?? "no private key"}`);
  const issuedAt = Math.floor(now.getTime() / 1000);
  const claims = Object.fromEntries(
    payload.map(({ name: claim, value }) => [claim, WHOLE_PLACEHOLDER.test(value) ? fillText(value, source, `payload of ${name}`) : value]),
  );
  const body = { ...claims, iat: issuedAt, nbf: issuedAt, exp: issuedAt + validForSeconds };
  const input = `${base64url({ alg: algorithm, typ: "JWT" })}.${base64url(body)}`;
  return `${input}.${signature(input, algorithm, createPrivateKey(stored.pem)).toString("base64url")}`;
}

function signature(input: string, algorithm: Algorithm, key: KeyObject): Buffer {
  const options = algorithm === "PS256" ? { key, ...PSS } : { key, dsaEncoding: "ieee-p1363" as const };
  return sign(DIGEST[algorithm], Buffer.from(input), options);
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
