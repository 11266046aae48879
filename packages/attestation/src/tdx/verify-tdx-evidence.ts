import { hash } from "node:crypto";
import type { TcbInfo, TcbLevel, TdxModuleIdentity } from "../collateral/tcb-info.ts";
import { withCache } from "../collateral/verification-cache.ts";
import { type Claims, codeIdentity, type TcbClaim } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { assertWorkloadMeasured, parseWorkload } from "../core/workload.ts";
import type { PckIdentity } from "../sgx/pck-certificate.ts";
import { assertUsable, converge, isAtLeast, reachesSgxLevel } from "../sgx/platform-tcb.ts";
import { fitsMasked } from "../sgx/qe-appraisal.ts";
import { type VerifiedQuote, verifyQuoteCollateral, verifyQuoteSignatures } from "../sgx/verify-quote.ts";
import { findCollateral, PCK_CHAIN } from "../sgx/verify-sgx-evidence.ts";
import { hasSeptVeDisabled, isDebugTd, type TdReport } from "./td-report.ts";

/**
 * Verifies a quote of a TDX guest (versions 4 and 5). The launch measurement is MRTD and RTMR 0 to 2 side by side: firmware, its configuration,
 * kernel. RTMR 3 belongs to the workload. Endorsement `workload`: its SHA-384 must be MRCONFIGID. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifyTdxEvidence({ bytes, endorsements }: Evidence, given: VerificationContext): Claims {
  const context = withCache(given);
  const anchors = context.trustAnchors.tdx ?? [];
  const signed = verifyQuoteSignatures(bytes, anchors, context, endorsements?.get(PCK_CHAIN));
  const { body, userData } = signed.quote;
  if (body.kind === "SgxEnclave") {
    throw new EvidenceError("EVIDENCE_MALFORMED", "quote: of an SGX enclave, not of a TDX guest", { reason: "unsupported-tee" });
  }
  const verified = verifyQuoteCollateral(signed, anchors, findCollateral(signed, context), context);
  const { report } = body;
  const tcb = appraiseTcb(verified, report);
  const launchMeasurement = Buffer.concat([report.mrTd, ...report.rtmrs.slice(0, 3)]);
  const descriptor = endorsements?.get("workload");
  if (descriptor !== undefined) assertWorkloadMeasured("MRCONFIGID", report.mrConfigId, hash("sha384", descriptor, "buffer"));
  const workload = descriptor === undefined ? undefined : parseWorkload(descriptor);
  return {
    kind: "tdx",
    userData: report.reportData,
    codeIdentity: codeIdentity("tdx", launchMeasurement, workload),
    launchMeasurement,
    debug: isDebugTd(report),
    platformId: `TDX_QE_ID:${Buffer.from(userData.subarray(0, 16)).toString("hex")}`,
    tcb,
    ...(workload === undefined ? {} : { workload }),
    details: { ...detailsOf(report), ...relaunchOf(verified, report, tcb), fmspc: Buffer.from(verified.pck.fmspc).toString("hex") },
  };
}

function detailsOf(report: TdReport): Claims["details"] {
  const hex = (value: Uint8Array) => Buffer.from(value).toString("hex");
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
    septVeDisabled: hasSeptVeDisabled(report),
    ...(report.teeTcbSvn2 === undefined ? {} : { teeTcbSvn2: hex(report.teeTcbSvn2) }),
    ...(report.mrServiceTd === undefined ? {} : { mrServiceTd: hex(report.mrServiceTd) }),
  };
}

/** For a TD of TDX 1.5 that is out of date: whether the module that runs now, after an update, would no longer be. */
function relaunchOf(verified: VerifiedQuote, report: TdReport, { status }: TcbClaim): Claims["details"] {
  if (report.teeTcbSvn2 === undefined) return {};
  if (!status.startsWith("OutOfDate")) return { relaunchAdvised: false };
  try {
    const relaunched = appraiseTcb(verified, { ...report, teeTcbSvn: report.teeTcbSvn2 });
    return { relaunchAdvised: !relaunched.status.startsWith("OutOfDate") };
  } catch (error) {
    if (error instanceof EvidenceError) return { relaunchAdvised: false }; // no level fits the module that runs now
    throw error;
  }
}

function appraiseTcb({ collateral, qeLevel, pck }: VerifiedQuote, report: TdReport): Claims["tcb"] {
  if (collateral === undefined || qeLevel === undefined) return { status: "Unknown", advisories: [] };
  const moduleLevel = findModuleLevel(collateral.tcbInfo, report);
  const platform = assertUsable(findPlatformLevel(collateral.tcbInfo, pck, report), "platform");
  return converge(platform, moduleLevel === undefined ? [qeLevel] : [moduleLevel, qeLevel]);
}

/** A module with a version of its own (second SVN byte) has its own levels, so its two bytes do not count among the platform's. */
function findPlatformLevel({ levels }: TcbInfo, pck: PckIdentity, { teeTcbSvn }: TdReport) {
  const first = teeTcbSvn[1] === 0 ? 0 : 2;
  const found = [...teeTcbSvn].slice(first);
  return levels.find((level) => reachesSgxLevel(pck, level) && isAtLeast(found, level.tdxComponents.slice(first)));
}

/** The TCB level of the TDX module; undefined for one without a version of its own, which the platform's levels cover. */
function findModuleLevel(info: TcbInfo, report: TdReport): TcbLevel | undefined {
  const [svn = 0, version = 0] = report.teeTcbSvn;
  if (version === 0) {
    if (info.tdxModule === undefined) throw mismatch("the TCB Info describes no TDX module");
    assertModule(report, info.tdxModule);
    return undefined;
  }
  const id = `TDX_${version.toString(16).toUpperCase().padStart(2, "0")}`;
  const identity = info.tdxModuleIdentities.find((candidate) => candidate.id === id);
  if (identity === undefined) throw mismatch(`the TCB Info describes no TDX module ${id}`);
  assertModule(report, identity);
  return assertUsable(
    identity.levels.find(({ isvSvn }) => isvSvn <= svn),
    `TDX module ${id} with SVN ${svn}`,
  );
}

function assertModule({ mrSignerSeam, seamAttributes }: TdReport, { mrSigner, attributes, attributesMask }: TdxModuleIdentity): void {
  if (Buffer.compare(mrSignerSeam, mrSigner) !== 0) throw mismatch("MRSIGNERSEAM does not fit the TCB Info");
  if (!fitsMasked(seamAttributes, attributes, attributesMask)) throw mismatch("SEAMATTRIBUTES do not fit the TCB Info");
}

const mismatch = (message: string) => new EvidenceError("EVIDENCE_SIGNATURE", message, { reason: "tdx-module-mismatch" });
