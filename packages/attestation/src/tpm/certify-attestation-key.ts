import { createPublicKey, type KeyObject } from "node:crypto";
import { issueCertificate } from "../x509/issue-certificate.ts";
import type { TpmPublic } from "./tpm-public.ts";

const AUTHORITY_NAME = "Vouchsafe attestation key authority";
const DAY_MS = 86_400_000;

/** Root certificate (DER) of an authority that certifies attestation keys after credential activation, for as long as its process may live. */
export function createAttestationKeyAuthority(privateKey: KeyObject, now: Date, lifeDays: number): Uint8Array {
  return issueCertificate({
    ...{
      subject: AUTHORITY_NAME,
      issuer: AUTHORITY_NAME,
      publicKey: createPublicKey(privateKey),
      issuerKey: privateKey,
      serial: 1n,
      isCa: true,
    },
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + lifeDays * DAY_MS),
  });
}

/**
 * Certifies `key` as an attestation key of the TPM with this endorsement key, for one day; DER. Only for a key whose TPM has just answered a
 * credential: then it has the attributes that its public area states.
 */
export function certifyAttestationKey(
  key: TpmPublic,
  endorsementKeyId: string,
  { privateKey, serial, now }: { readonly privateKey: KeyObject; readonly serial: bigint; readonly now: Date },
): Uint8Array {
  const publicKey = createPublicKey({ key: Buffer.from(key.key.spki), format: "der", type: "spki" });
  return issueCertificate({
    ...{ subject: `TPM_EK:${endorsementKeyId}`, issuer: AUTHORITY_NAME, publicKey, issuerKey: privateKey, serial, isCa: false },
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + DAY_MS),
  });
}
