import { cached } from "../collateral/verification-cache.ts";
import { type Claims, type ClaimValue, codeIdentity } from "../core/claims.ts";
import { findEndorsement, getEndorsement } from "../core/endorsement.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { assertWorkloadMeasured, parseWorkload } from "../core/workload.ts";
import { hash } from "../crypto/current-provider.ts";
import { snpPlatform } from "../platform/describe-platform.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parseRevocationList } from "../x509/revocation-list.ts";
import { findSnpWeaknesses, type SnpReport, splitSnpPlatformInfo, splitSnpPolicy, splitSnpTcb } from "./snp-report.ts";
import { type VerifiedSnpReport, verifySnpReport } from "./verify-snp-report.ts";

/**
 * Kind `snp`: bytes are the report. Endorsements, DER: `endorsement-key` (VCEK or VLEK), `signer` (ASK or ASVK), optionally `amd-crl` and
 * `workload`, whose SHA-256 the host must have put into HOST_DATA. Trust anchors are ARKs.
 */
export function verifySnpEvidence(evidence: Evidence, context: VerificationContext): Claims {
  const { cache } = context;
  const parse = (der: Uint8Array) => cached(cache, "certificate", [der], () => parseCertificate(der));
  // The Relying Party's own list comes first: a host would send the oldest that is still valid.
  const revocationList = context.collateral.documents?.get("amd-crl") ?? findEndorsement(evidence, context, "amd-crl");
  const verified = verifySnpReport({
    report: evidence.bytes,
    endorsementKey: parse(getEndorsement(evidence, context, "endorsement-key")),
    signer: parse(getEndorsement(evidence, context, "signer")),
    anchors: (context.trustAnchors.snp ?? []).map(parse),
    now: context.now,
    ...(cache === undefined ? {} : { cache }),
    ...(revocationList === undefined
      ? {}
      : { revocationList: cached(cache, "crl-parsed", [revocationList], () => parseRevocationList(revocationList)) }),
  });
  return claimsOf(verified, evidence.endorsements?.get("workload"));
}

function claimsOf(verified: VerifiedSnpReport, descriptor: Uint8Array | undefined): Claims {
  const { report, endorsementKey, reportedTcb } = verified;
  const platform = snpPlatform(verified);
  if (descriptor !== undefined) assertWorkloadMeasured("HOST_DATA", report.hostData, hash("sha256", descriptor));
  const workload = descriptor === undefined ? undefined : parseWorkload(descriptor);
  return {
    kind: "snp",
    userData: report.reportData,
    codeIdentity: codeIdentity("snp", report.measurement, workload),
    launchMeasurement: report.measurement,
    debug: splitSnpPolicy(report.policy).debugAllowed,
    weaknesses: findSnpWeaknesses(report),
    platformId: platform.id,
    platform,
    tcb: { status: "UpToDate", advisories: [] },
    ...(workload === undefined ? {} : { workload }),
    instanceId: report.reportId.toHex(),
    details: {
      ...reportDetails(report),
      product: endorsementKey.product,
      signingKey: endorsementKey.kind,
      ...prefixed("reportedTcb", reportedTcb),
      ...prefixed("committedTcb", splitSnpTcb(report.committedTcb, endorsementKey.product)),
      ...prefixed("currentTcb", splitSnpTcb(report.currentTcb, endorsementKey.product)),
      ...prefixed("launchTcb", splitSnpTcb(report.launchTcb, endorsementKey.product)),
    },
  };
}

function reportDetails(report: SnpReport): Record<string, ClaimValue> {
  return {
    version: report.version,
    vmpl: report.vmpl,
    guestSvn: report.guestSvn,
    hostData: report.hostData.toHex(),
    familyId: report.familyId.toHex(),
    imageId: report.imageId.toHex(),
    idKeyDigest: report.idKeyDigest.toHex(),
    authorKeyDigest: report.authorKeyDigest.toHex(),
    reportIdMa: report.reportIdMa.toHex(),
    platformInfo: `0x${report.platformInfo.toString(16)}`,
    ...prefixed("platformInfo", splitSnpPlatformInfo(report.platformInfo)),
    ...prefixed("policy", splitSnpPolicy(report.policy)),
  };
}

const prefixed = (prefix: string, values: object): Record<string, ClaimValue> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value as ClaimValue])); // numbers and booleans only
