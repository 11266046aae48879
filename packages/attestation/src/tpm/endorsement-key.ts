import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import { hash } from "../crypto/current-provider.ts";
import { type Certificate, publicKeyOf } from "../x509/certificate.ts";
import { findCertificationPath } from "../x509/find-certification-path.ts";
import { isSameKey } from "../x509/public-key.ts";
import { parseTpmPublic, type TpmPublic } from "./tpm-public.ts";

/** Whose endorsement keys are believed to be inside a TPM. */
export interface EndorsementTrust {
  /** Roots (and issuers below them) of TPM makers. */
  readonly anchors: readonly Certificate[];
  /** Keys that the Relying Party knows itself, by `endorsementKeyId`: for TPMs without a certificate. */
  readonly keyIds: ReadonlySet<string>;
  readonly now: Date;
}

/** A key that a TPM's maker certified, or that the Relying Party knows: ready for `makeCredential`. */
export interface VerifiedEndorsementKey {
  readonly key: TpmPublic;
  /** What policies list as `TPM_EK:`. */
  readonly id: string;
}

/** SHA-256 of the key's DER SubjectPublicKeyInfo, hex. */
export const endorsementKeyId = ({ key }: Pick<TpmPublic, "key">): string => hash("sha256", key.spki).toHex();

/**
 * That `publicArea` (TPMT_PUBLIC) is an endorsement key that a TPM maker certified, or one known by its id. `certificates`: its own first, then
 * intermediates; none where it has none. It proves nothing yet about who talks: that is what a credential made for it does (RFC 9334 §8: the
 * maker's certificate is the Endorsement, the answer to the credential the proof of possession).
 * Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifyEndorsementKey(
  publicArea: Uint8Array,
  certificates: readonly Certificate[],
  { anchors, keyIds, now }: EndorsementTrust,
): VerifiedEndorsementKey {
  const key = parseTpmPublic(publicArea);
  const { fixedTpm, fixedParent, restricted, decrypt, sign } = key.attributes;
  // A credential for any other key would be opened for whoever loaded it.
  if (!(fixedTpm && fixedParent && restricted && decrypt && !sign) || key.symmetricBits === undefined)
    throw refuse("not an endorsement key: it has to be fixed to its TPM, restricted, and for decryption only", "policy");
  const id = endorsementKeyId(key);
  if (keyIds.has(id)) return { key, id };
  const [leaf, ...intermediates] = certificates;
  if (leaf === undefined) {
    throw refuse(
      `the TPM brings no certificate of its maker for the endorsement key ${id}`,
      "collateral-missing",
      `Enrol the endorsement key ${id} at the CAS, if you know that it is the one of this machine.`,
    );
  }
  if (!isSameKey(publicKeyOf(leaf), key.key)) throw refuse("the certificate is that of another key", "bad-chain");
  if (anchors.length === 0) {
    throw refuse(
      "no root of a TPM maker is trusted here",
      "untrusted-root",
      "Give the roots of the TPM makers to the CAS: endorsement_roots in section [tpm] of the owner configuration.",
    );
  }
  findCertificationPath(leaf, intermediates, { anchors, now });
  return { key, id };
}

const refuse = (detail: string, reason: EvidenceReason, remedy?: string) =>
  new EvidenceError("EVIDENCE_SIGNATURE", `TPM endorsement key: ${detail}`, { reason, ...(remedy === undefined ? {} : { remedy }) });
