import { withCache } from "../collateral/verification-cache.ts";
import { concat } from "../core/bytes.ts";
import { type Claims, codeIdentity, type TcbClaim } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { assertWorkloadMeasured, parseWorkload } from "../core/workload.ts";
import { hash } from "../crypto/current-provider.ts";
import { intelPlatform } from "../platform/describe-platform.ts";
import { withShortfalls } from "../platform/judge-platform.ts";
import { type AppraisedTcb, appraiseLevels, assertUsable, UNKNOWN_TCB } from "../sgx/platform-tcb.ts";
import { type VerifiedQuote, verifyQuoteCollateral, verifyQuoteSignatures } from "../sgx/verify-quote.ts";
import { findCollateral, PCK_CHAIN } from "../sgx/verify-sgx-evidence.ts";
import { findTdWeaknesses, hasSeptVeDisabled, isDebugTd, type TdExtension, type TdReport } from "./td-report.ts";
import { findTdxModuleLevel, findTdxPlatformLevel } from "./tdx-tcb.ts";

/**
 * Verifies a quote of a TDX guest (versions 4 and 5). The launch measurement is MRTD and RTMR 0 to 2 side by side: firmware, its configuration,
 * kernel. RTMR 3 belongs to the workload. Endorsement `workload`: its SHA-384 must be MRCONFIGID. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifyTdxEvidence({ bytes, endorsements }: Evidence, given: VerificationContext): Claims {
  const context = withCache(given);
  const anchors = context.trustAnchors.tdx ?? [];
  const signed = verifyQuoteSignatures(bytes, anchors, context, endorsements?.get(PCK_CHAIN));
  const { body } = signed.quote;
  if (body.kind === "SgxEnclave") {
    throw new EvidenceError("EVIDENCE_MALFORMED", "quote: of an SGX enclave, not of a TDX guest", {
      ...{ reason: "unsupported-tee", field: "TEE type", expected: "tdx", found: "sgx" },
      remedy: "Verify it as evidence of kind sgx.",
    });
  }
  const verified = verifyQuoteCollateral(signed, anchors, findCollateral(signed, context), context);
  const { report } = body;
  const platform = intelPlatform(signed);
  const { tcb, partStatuses } = appraiseTcb(verified, report);
  const launchMeasurement = concat(report.mrTd, ...report.rtmrs.slice(0, 3));
  const descriptor = endorsements?.get("workload");
  if (descriptor !== undefined) assertWorkloadMeasured("MRCONFIGID", report.mrConfigId, hash("sha384", descriptor));
  const workload = descriptor === undefined ? undefined : parseWorkload(descriptor);
  return {
    kind: "tdx",
    userData: report.reportData,
    codeIdentity: codeIdentity("tdx", launchMeasurement, workload),
    launchMeasurement,
    debug: isDebugTd(report),
    weaknesses: findTdWeaknesses(report),
    platformId: platform.id,
    platform,
    tcb: withShortfalls(tcb, platform, verified.intel?.collateral),
    ...(workload === undefined ? {} : { workload }),
    details: { ...detailsOf(report), ...relaunchOf(verified, report, tcb), fmspc: verified.pck.fmspc.toHex(), ...partStatuses },
  };
}

function detailsOf(report: TdReport): Claims["details"] {
  const hex = (value: Uint8Array) => value.toHex();
  return {
    mrTd: hex(report.mrTd),
    ...Object.fromEntries(report.rtmrs.map((register, index) => [`rtmr${index}`, hex(register)])),
    mrConfigId: hex(report.mrConfigId),
    mrOwner: hex(report.mrOwner),
    mrOwnerConfig: hex(report.mrOwnerConfig),
    mrSeam: hex(report.mrSeam),
    mrSignerSeam: hex(report.mrSignerSeam),
    seamAttributes: hex(report.seamAttributes),
    tdAttributes: hex(report.tdAttributes),
    xfam: hex(report.xfam),
    teeTcbSvn: hex(report.teeTcbSvn),
    ...teeTcbOf(report),
    septVeDisabled: hasSeptVeDisabled(report),
    ...(report.teeTcbSvn2 === undefined ? {} : { teeTcbSvn2: hex(report.teeTcbSvn2) }),
    ...(report.mrServiceTd === undefined ? {} : { mrServiceTd: hex(report.mrServiceTd) }),
    ...(report.extension === undefined ? {} : extensionOf(report.extension)),
  };
}

/** TEE_TCB_SVN as numbers that a minimum can be asked of: version and security version of the TDX module, and the microcode with it. */
function teeTcbOf({ teeTcbSvn: [svn = 0, version = 0, microcode = 0] }: TdReport): Claims["details"] {
  return { "teeTcb.moduleVersion": version, "teeTcb.moduleSvn": svn, "teeTcb.microcode": microcode };
}

function extensionOf({ vmId, ...values }: TdExtension): Claims["details"] {
  return { vmId, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.toHex()])) };
}

/**
 * What a TD of TDX 1.5 says about the module that runs now, after an update that the TD lived through. It must be one that Intel's documents
 * know and have not revoked, as for the module at launch. For a TD that is out of date: whether, launched again, it would no longer be.
 */
function relaunchOf(verified: VerifiedQuote, report: TdReport, { status }: TcbClaim): Claims["details"] {
  if (report.teeTcbSvn2 === undefined) return {};
  const { tcb: now } = appraiseTcb(verified, { ...report, teeTcbSvn: report.teeTcbSvn2 });
  return { relaunchAdvised: status.startsWith("OutOfDate") && !now.status.startsWith("OutOfDate") };
}

function appraiseTcb({ intel, pck }: VerifiedQuote, report: TdReport): AppraisedTcb {
  if (intel === undefined) return UNKNOWN_TCB;
  const { collateral, qeLevel } = intel;
  const moduleLevel = findTdxModuleLevel(collateral.tcbInfo, report);
  const platform = assertUsable(findTdxPlatformLevel(collateral.tcbInfo, pck, report), "platform");
  return appraiseLevels(platform, moduleLevel, qeLevel);
}
