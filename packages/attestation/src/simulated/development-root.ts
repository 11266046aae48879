import { createPublicKey, type KeyObject } from "node:crypto";
import { issueCertificate } from "../x509/issue-certificate.ts";

/** Stands in the subject of every certificate of the software platform, so that whoever looks at one sees what it is. */
export const DEVELOPMENT_ORGANIZATION = "Vouchsafe development: proves nothing";
export const ROOT_NAME = "Vouchsafe development root";
const DAY_MS = 86_400_000;
const LIFE_DAYS = 365;

/** Certificate (DER) of a development root over its P-256 key: the trust anchor for kind `simulated`, for a year. Whoever holds the key makes any evidence. */
export function createDevelopmentRoot(privateKey: KeyObject, now: Date): Uint8Array {
  return issueCertificate({
    ...{ subject: ROOT_NAME, issuer: ROOT_NAME, organization: DEVELOPMENT_ORGANIZATION },
    ...{ publicKey: createPublicKey(privateKey), issuerKey: privateKey, serial: 1n, isCa: true },
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + LIFE_DAYS * DAY_MS),
  });
}
