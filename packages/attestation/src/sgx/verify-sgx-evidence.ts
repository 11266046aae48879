import { withCache } from "../collateral/verification-cache.ts";
import { type Claims, codeIdentity } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { intelPlatform } from "../platform/describe-platform.ts";
import { withShortfalls } from "../platform/judge-platform.ts";
import { type AppraisedTcb, appraiseLevels, assertUsable, reachesSgxLevel, UNKNOWN_TCB } from "./platform-tcb.ts";
import { isDebugEnclave } from "./sgx-report.ts";
import { type VerifiedQuote, verifyQuoteCollateral, verifyQuoteSignatures } from "./verify-quote.ts";

/** Endorsement with the PCK certificate chain (PEM) for quotes that do not carry it. */
export const PCK_CHAIN = "pck-chain.pem";

/** Verifies a quote of an SGX enclave (versions 3 to 5). Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE. */
export function verifySgxEvidence({ bytes, endorsements }: Evidence, given: VerificationContext): Claims {
  const context = withCache(given);
  const anchors = context.trustAnchors.sgx ?? [];
  const signed = verifyQuoteSignatures(bytes, anchors, context, endorsements?.get(PCK_CHAIN));
  const { body, tee } = signed.quote;
  if (body.kind !== "SgxEnclave") {
    throw new EvidenceError("EVIDENCE_MALFORMED", `quote: of a ${tee} guest, not of an SGX enclave`, {
      ...{ reason: "unsupported-tee", field: "TEE type", expected: "sgx", found: tee },
      remedy: `Verify it as evidence of kind ${tee}.`,
    });
  }
  const verified = verifyQuoteCollateral(signed, anchors, findCollateral(signed, context), context);
  const { report } = body;
  const platform = intelPlatform(signed);
  const { tcb, partStatuses } = appraiseTcb(verified);
  const hex = (value: Uint8Array) => value.toHex();
  return {
    kind: "sgx",
    userData: report.reportData,
    codeIdentity: codeIdentity("sgx", report.mrEnclave),
    launchMeasurement: report.mrEnclave,
    signer: { mrSigner: hex(report.mrSigner), isvProdId: report.isvProdId, isvSvn: report.isvSvn },
    debug: isDebugEnclave(report),
    platformId: platform.id,
    platform,
    tcb: withShortfalls(tcb, platform, verified.intel?.collateral),
    details: {
      mrEnclave: hex(report.mrEnclave),
      attributes: hex(report.attributes),
      miscSelect: hex(report.miscSelect),
      cpuSvn: hex(report.cpuSvn),
      configId: hex(report.configId),
      configSvn: report.configSvn,
      isvExtProdId: hex(report.isvExtProdId),
      isvFamilyId: hex(report.isvFamilyId),
      fmspc: hex(verified.pck.fmspc),
      ...partStatuses,
    },
  };
}

/** Asks for the collateral of the platform that the verified PCK certificate names. */
export function findCollateral({ quote, pck }: Pick<VerifiedQuote, "quote" | "pck">, { collateral }: VerificationContext) {
  return collateral.intel?.({ tee: quote.tee, fmspc: pck.fmspc.toHex(), authority: pck.authority });
}

function appraiseTcb({ intel, pck }: VerifiedQuote): AppraisedTcb {
  if (intel === undefined) return UNKNOWN_TCB;
  const level = intel.collateral.tcbInfo.levels.find((candidate) => reachesSgxLevel(pck, candidate));
  return appraiseLevels(assertUsable(level, "platform"), undefined, intel.qeLevel);
}
