import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Certificate } from "./certificate.ts";
import { isIssuedBy, isSameKeyAndName, type PathOptions, type VerifiedPath, verifyCertificationPath } from "./certification-path.ts";
import { isSameName } from "./distinguished-name.ts";

/** Signature checks and validations that one search may spend, however many certificates an attacker sends. */
const WORK_MAX = 100;

/**
 * Searches a path from `leaf` to an anchor through any of `intermediates`, depth first, no key twice, and validates what it finds
 * (RFC 4158 describes the search, RFC 5280 §6.1 the validation). Throws like `verifyCertificationPath`: what refused the last path found.
 */
export function findCertificationPath(leaf: Certificate, intermediates: readonly Certificate[], options: PathOptions): VerifiedPath {
  let work = 0;
  let lastError = new EvidenceError("EVIDENCE_SIGNATURE", "certification path: no path to a trust anchor was found", {
    reason: "bad-chain",
  });
  const attempt = (chain: readonly Certificate[]): VerifiedPath | undefined => {
    try {
      return verifyCertificationPath(chain, options);
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      lastError = error;
      return undefined;
    }
  };
  const isAffordable = () => {
    work += 1;
    return work <= WORK_MAX;
  };
  const search = (chain: readonly Certificate[], last: Certificate): VerifiedPath | undefined => {
    for (const anchor of options.anchors) {
      if (!isSameName(anchor.subject, last.issuer) || !isAffordable() || !isIssuedBy(last, anchor)) continue;
      const verified = attempt([...chain, anchor]);
      if (verified !== undefined) return verified;
    }
    for (const next of candidates(last, intermediates)) {
      if (chain.some((earlier) => isSameKeyAndName(earlier, next)) || !isAffordable() || !isIssuedBy(last, next)) continue;
      const verified = search([...chain, next], next);
      if (verified !== undefined) return verified;
    }
    return undefined;
  };
  const verified = search([leaf], leaf);
  if (verified !== undefined) return verified;
  if (work > WORK_MAX)
    throw new EvidenceError("EVIDENCE_SIGNATURE", "certification path: the search was given up", { reason: "bad-chain" });
  throw lastError;
}

/** Certificates with the issuer's name, those whose key identifier fits first. */
function candidates(certificate: Certificate, intermediates: readonly Certificate[]): readonly Certificate[] {
  const wanted = certificate.authorityKeyIdentifier?.keyIdentifier;
  const rank = ({ subjectKeyIdentifier: found }: Certificate) => {
    if (wanted === undefined || found === undefined) return 1;
    return isSameBytes(wanted, found) ? 0 : 2;
  };
  return intermediates.filter(({ subject }) => isSameName(subject, certificate.issuer)).sort((a, b) => rank(a) - rank(b));
}
