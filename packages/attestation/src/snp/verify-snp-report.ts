import { cached, type VerificationCache } from "../collateral/verification-cache.ts";
import { concat, isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { type Certificate, publicKeyOf } from "../x509/certificate.ts";
import { assertNotRevoked, assertWithinDates, verifyCertificationPath } from "../x509/certification-path.ts";
import { isSameName } from "../x509/distinguished-name.ts";
import { type RevocationList, verifyRevocationList } from "../x509/revocation-list.ts";
import { readSnpEndorsementKey, type SnpEndorsementKey } from "./endorsement-key.ts";
import { parseSnpReport, type SnpReport, type SnpTcb, snpProduct, snpSigningKey, splitSnpTcb } from "./snp-report.ts";

/** A report with the certificates that lead from its key to AMD's root. */
export interface SnpReportInput {
  /** 1184 bytes. */
  readonly report: Uint8Array;
  /** VCEK or VLEK. */
  readonly endorsementKey: Certificate;
  /** ASK for a VCEK, ASVK for a VLEK. */
  readonly signer: Certificate;
  /** ARKs that the relying party trusts. */
  readonly anchors: readonly Certificate[];
  /** AMD's CRL; without one, revocation is not checked. */
  readonly revocationList?: RevocationList;
  readonly now: Date;
  /** Chains and lists that were verified before. */
  readonly cache?: VerificationCache;
}

/** A report made by genuine firmware on the chip and at the security versions that AMD certified. */
export interface VerifiedSnpReport {
  readonly report: SnpReport;
  readonly endorsementKey: SnpEndorsementKey;
  readonly reportedTcb: SnpTcb;
  /** When the endorsement key's certificate ends: a VLEK lives for a year. */
  readonly certifiedUntil: Date;
}

const ES384 = { kind: "ecdsa", digest: "sha384", encoding: "ieee-p1363" } as const;
const refused = (detail: string, reason: EvidenceReason, mismatch: Mismatch = {}) =>
  new EvidenceError("EVIDENCE_SIGNATURE", `SNP report: ${detail}`, { reason, ...mismatch });

/**
 * Verifies chain, signing key, security versions, chip and signature of a report. Says nothing about guest policy, debug included.
 * Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifySnpReport(input: SnpReportInput): VerifiedSnpReport {
  const report = parseSnpReport(input.report);
  verifyChain(input);
  const endorsementKey = readSnpEndorsementKey(input.endorsementKey);
  const key = publicKeyOf(input.endorsementKey);
  if (key.kind !== "ec" || key.curve !== "P-384") throw refused("the endorsement key is not on P-384", "unsupported-algorithm");
  if (!isSignedBy(ES384, key, report.signedBytes, report.signature)) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", `SNP report: not signed by the ${endorsementKey.kind}`, {
      reason: "bad-signature",
      remedy: `Give the ${endorsementKey.kind} certificate for the chip and the security versions that the report names; if this is it, attest again, for the report was changed.`,
    });
  }
  assertSameKey(report, endorsementKey);
  const reportedTcb = splitSnpTcb(report.reportedTcb, endorsementKey.product);
  assertCertifiedTcb(reportedTcb, endorsementKey.tcb);
  assertCertifiedChip(report, endorsementKey);
  return { report, endorsementKey, reportedTcb, certifiedUntil: new Date(input.endorsementKey.notAfter) };
}

function verifyChain({ endorsementKey, signer, anchors, revocationList, now, cache }: SnpReportInput): void {
  const inputs = [endorsementKey, signer, ...anchors].map(({ der }) => der);
  const path = cached(cache, "snp-chain", inputs, () => verifyCertificationPath([endorsementKey, signer], { anchors, now }));
  assertWithinDates(path, now);
  // A key that certifies endorsement keys is no root: AMD's lists of what is revoked are those of the ARK.
  if (path.certificates.length !== 2) throw refused("the signer is given as its own trust anchor", "untrusted-root");
  if (revocationList === undefined) return;
  const issuer = [path.anchor, signer].find(({ subject }) => isSameName(subject, revocationList.issuer));
  // AMD publishes one list, of the ARK. One of another issuer says nothing about this chain.
  if (issuer === undefined) throw refused("the CRL is not issued by ARK or ASK of the chain", "crl-mismatch");
  const list = cached(cache, "snp-crl", [revocationList.der, issuer.der], () => verifyRevocationList(revocationList, issuer));
  assertNotRevoked(path, [list], now);
}

function assertSameKey(report: SnpReport, { kind, product }: SnpEndorsementKey): void {
  const signingKey = snpSigningKey(report);
  if (signingKey !== kind) {
    const compared = { field: "SIGNING_KEY", expected: kind, found: signingKey };
    throw refused(`says that it is signed by ${signingKey}, but the certificate is that of a ${kind}`, "bad-chain", compared);
  }
  const reported = snpProduct(report);
  if (report.version >= 3 && reported !== product) {
    const found = reported ?? "processor that is not known";
    const compared = { field: "CPUID of the report", expected: product, found };
    throw refused(`comes from a ${found}, but the ${kind} is that of a ${product}`, "bad-chain", compared);
  }
}

/** The key is derived from the security versions: one certified for others did not sign this report, or the report lies about them. */
function assertCertifiedTcb(reported: SnpTcb, certified: SnpTcb): void {
  const parts = ["fmc", "bootLoader", "tee", "snp", "microcode"] as const;
  const part = parts.find((name) => reported[name] !== certified[name]);
  if (part === undefined) return;
  const [found, expected] = [String(reported[part]), String(certified[part])];
  const compared = { field: `${part} of REPORTED_TCB`, expected, found };
  throw refused(`REPORTED_TCB has ${part} ${found}, the endorsement key is certified for ${expected}`, "tcb-mismatch", compared);
}

function assertCertifiedChip(report: SnpReport, { hardwareId }: SnpEndorsementKey): void {
  if (hardwareId === undefined) return; // a VLEK is the provider's, not a chip's
  const expected = concat(hardwareId, new Uint8Array(report.chipId.length - hardwareId.length)); // Turin's 8 bytes, zero padded
  if (isSameBytes(expected, report.chipId)) return;
  throw refused("CHIP_ID is not the one the VCEK is certified for", "chip-id-mismatch", {
    field: "CHIP_ID",
    expected: expected.toHex(),
    found: report.chipId.toHex(),
  });
}
