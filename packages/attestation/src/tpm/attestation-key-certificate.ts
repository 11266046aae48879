import type { PublicKey } from "../crypto/crypto-provider.ts";
import { type Certificate, publicKeyOf } from "../x509/certificate.ts";
import { verifyCertificationPath } from "../x509/certification-path.ts";

/** Verifies that a TPM maker or cloud certified an attestation key and returns it. `intermediates` lead from the certificate to an anchor, in order. */
export function verifyAttestationKeyCertificate(
  certificate: Certificate,
  intermediates: readonly Certificate[],
  { anchors, now }: { readonly anchors: readonly Certificate[]; readonly now: Date },
): PublicKey {
  verifyCertificationPath([certificate, ...intermediates], { anchors, now });
  return publicKeyOf(certificate);
}
