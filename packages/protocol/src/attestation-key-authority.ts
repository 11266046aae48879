import { generateKeyPairSync, randomBytes, timingSafeEqual } from "node:crypto";
import {
  assertAttestationKey,
  certifyAttestationKey,
  createAttestationKeyAuthority,
  credentialEntropyBytes,
  EvidenceError,
  makeCredential,
  parseCertificate,
  parsePemCertificates,
  parseTpmPublic,
  verifyEndorsementKey,
} from "@vouchsafe/attestation";
import type { CertifyKeyRequest } from "./messages.ts";

/** Which TPMs are believed. */
export interface TpmTrust {
  /** PEM: certificates of makers. */
  readonly endorsementRoots: readonly string[];
  /** `TPM_EK:…`, of TPMs that are believed without a certificate. */
  readonly endorsementKeys: readonly string[];
}

/** A credential that was sent, and what follows when the TPM opened it. */
export interface PendingCertification {
  /** Base64 of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
  readonly credential: { readonly idObject: string; readonly encryptedSecret: string };
  /** Certificate of the attestation key (DER, base64). Throws EvidenceError when the secret is another. */
  finish(secret: Uint8Array): string;
}

const SECRET_BYTES = 32;
/** A process that runs longer is started again before. */
const ROOT_LIFE_DAYS = 3650;

/**
 * Certifies attestation keys of TPMs that are believed: of services, for a CAS; of a CAS, for its clients. Its key lives as long as the process: a
 * certificate is used in the conversation it was issued in, so nothing has to be stored, and an old one is worth nothing.
 */
export class AttestationKeyAuthority {
  /** DER: trusted for evidence of kind `tpm`. */
  readonly root: Uint8Array;
  readonly #key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  readonly #trust: () => TpmTrust;
  readonly #now: () => Date;

  constructor(trust: () => TpmTrust, now: () => Date) {
    this.#trust = trust;
    this.#now = now;
    this.root = createAttestationKeyAuthority(this.#key, now(), ROOT_LIFE_DAYS);
  }

  /** Verifies the endorsement key and makes a credential that its TPM opens only if it holds the attestation key as well. Throws EvidenceError. */
  begin({
    endorsementKey,
    endorsementCertificates,
    attestationKey,
  }: Pick<CertifyKeyRequest, "endorsementKey" | "endorsementCertificates" | "attestationKey">): PendingCertification {
    const { endorsementRoots, endorsementKeys } = this.#trust();
    const { key: storage, id } = verifyEndorsementKey(
      Buffer.from(endorsementKey, "base64"),
      endorsementCertificates.map((der) => parseCertificate(Buffer.from(der, "base64"))),
      {
        anchors: endorsementRoots.flatMap((pem) => parsePemCertificates(Buffer.from(pem))),
        keyIds: new Set(endorsementKeys),
        now: this.#now(),
      },
    );
    const key = parseTpmPublic(Buffer.from(attestationKey, "base64"));
    assertAttestationKey(key);
    const secret = randomBytes(SECRET_BYTES);
    const entropy = randomBytes(credentialEntropyBytes(storage));
    const { idObject, encryptedSecret } = makeCredential(storage, key.name, secret, entropy);
    return {
      credential: { idObject: idObject.toBase64(), encryptedSecret: encryptedSecret.toBase64() },
      finish: (found) => {
        if (found.length !== SECRET_BYTES || !timingSafeEqual(found, secret))
          throw new EvidenceError(
            "EVIDENCE_SIGNATURE",
            "the credential was not opened: endorsement key and attestation key are not in one TPM",
          );
        const serial = BigInt(`0x${randomBytes(16).toString("hex")}`) | 1n;
        return certifyAttestationKey(key, id, { privateKey: this.#key, serial, now: this.#now() }).toBase64();
      },
    };
  }
}
