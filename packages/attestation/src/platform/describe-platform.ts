import type { SignedQuote } from "../sgx/verify-quote.ts";
import type { VerifiedSnpReport } from "../snp/verify-snp-report.ts";
import type { IntelPlatform, SnpPlatform } from "./platform.ts";

/** The platform of a quote whose signatures hold. */
export function intelPlatform({ quote, pck, pckPath }: SignedQuote): IntelPlatform {
  const hex = (bytes: Uint8Array) => bytes.toHex();
  const qeId = hex(quote.userData.subarray(0, 16));
  const { body } = quote;
  return {
    kind: quote.tee,
    id: `${quote.tee === "sgx" ? "INTEL_QE_ID" : "TDX_QE_ID"}:${qeId}`,
    fmspc: hex(pck.fmspc),
    pceId: hex(pck.pceId),
    authority: pck.authority,
    sgxComponents: pck.sgxComponents,
    pceSvn: pck.pceSvn,
    qeIsvSvn: quote.qeReport.isvSvn,
    ...(body.kind === "SgxEnclave"
      ? {}
      : {
          tdx: {
            teeTcbSvn: [...body.report.teeTcbSvn],
            mrSignerSeam: hex(body.report.mrSignerSeam),
            seamAttributes: hex(body.report.seamAttributes),
          },
        }),
    certifiedUntil: new Date(pckPath.leaf.notAfter).toISOString(),
  };
}

/** The platform of a verified report. */
export function snpPlatform({ report, endorsementKey, reportedTcb, certifiedUntil }: VerifiedSnpReport): SnpPlatform {
  return {
    kind: "snp",
    id: endorsementKey.kind === "VCEK" ? `SNP_CHIP_ID:${report.chipId.toHex()}` : "SNP_VLEK",
    product: endorsementKey.product,
    signingKey: endorsementKey.kind,
    reportedTcb,
    certifiedUntil: certifiedUntil.toISOString(),
  };
}
