import { constants, createPrivateKey, type SignKeyObjectInput, sign } from "node:crypto";
import type { JwtSecret } from "@vouchsafe/policy";
import { SecretError } from "./secret-error.ts";
import type { StoredSecret } from "./stored-secret.ts";

const DIGEST = { ES384: "sha384", ES256: "sha256", EdDSA: null, PS256: "sha256" } as const;

export interface JwtOptions {
  readonly now: Date;
  /** Value of a payload entry that is exactly one placeholder, `self::…` included (SL-111); the text is given as written. */
  readonly replace: (placeholder: string) => string;
}

/**
 * A compact token as of `now` (SL-110): `iat` = `nbf` = now, `exp` = now + validity. Made at each delivery, never stored.
 * Throws `SecretError` TOKEN_KEY when the signer's value is no private key.
 */
export function signJsonWebToken(definition: JwtSecret, signer: StoredSecret | undefined, { now, replace }: JwtOptions): string {
  if (signer?.kind !== "private-key") {
    throw new SecretError("TOKEN_KEY", definition.name, `token ${definition.name} needs the private key ${definition.signer}`, {
      rule: "SL-110",
    });
  }
  const issuedAt = Math.floor(now.getTime() / 1000);
  const claims = definition.payload.map(
    ({ name, value }) => [name, /^\$\$SCONE::[^$]+\$\$$/.test(value) ? replace(value) : value] as const,
  );
  const payload = { ...Object.fromEntries(claims), iat: issuedAt, nbf: issuedAt, exp: issuedAt + definition.validForSeconds };
  const signed = `${segment({ alg: definition.algorithm, typ: "JWT" })}.${segment(payload)}`;
  const signature = sign(DIGEST[definition.algorithm], Buffer.from(signed), signingInput(definition, signer.pem));
  return `${signed}.${signature.toString("base64url")}`;
}

function segment(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function signingInput({ algorithm }: JwtSecret, pem: string): SignKeyObjectInput {
  const key = createPrivateKey(pem);
  if (algorithm === "PS256") return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return algorithm === "EdDSA" ? { key } : { key, dsaEncoding: "ieee-p1363" };
}
