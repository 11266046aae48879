import { EvidenceError } from "../core/errors.ts";
import { type SnpReportInput, type VerifiedSnpReport, verifySnpReport } from "../snp/verify-snp-report.ts";
import type { TpmSignature } from "../tpm/tpm-quote.ts";
import { type PcrBanks, type VerifiedTpmQuote, verifyTpmQuote } from "../tpm/verify-tpm-quote.ts";
import { assertRuntimeDataCovered, type HclReport, type HclRuntimeData, parseHclReport, readRuntimeData } from "./hcl-report.ts";

/** What an Azure confidential VM collects: the HCL report from the vTPM's NV index, and a quote by the key that stands in it. */
export interface AzureVtpmInput {
  readonly hclReport: Uint8Array;
  readonly quoteMessage: Uint8Array;
  /** RSASSA with SHA-256, bare, as Azure's guest library hands it over. */
  readonly quoteSignature: Uint8Array;
  readonly pcrs: PcrBanks;
  readonly nonce?: Uint8Array;
}

/** A vTPM whose attestation key the hardware vouches for, and its quote. */
export interface VerifiedAzureVtpm {
  readonly hcl: HclReport;
  readonly runtimeData: HclRuntimeData;
  readonly quote: VerifiedTpmQuote;
}

/**
 * Verifies the chain hardware report → runtime data → attestation key → quote for a report of an SNP guest. `snp` says how to verify the
 * hardware report, which is taken out of the HCL report. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifyAzureSnpVtpm(
  input: AzureVtpmInput,
  snp: Omit<SnpReportInput, "report">,
): VerifiedAzureVtpm & { readonly snp: VerifiedSnpReport } {
  const hcl = parseHclReport(input.hclReport);
  if (hcl.hardware !== "snp")
    throw new EvidenceError("EVIDENCE_MALFORMED", "HCL report: holds no SNP report", { reason: "unsupported-tee" });
  const verified = verifySnpReport({ ...snp, report: hcl.hardwareReport });
  assertRuntimeDataCovered(hcl, verified.report.reportData);
  return { ...verifyVtpm(hcl, input), snp: verified };
}

/** The same for a TDX guest: `reportData` is that of its quote, which has been verified already. */
export function verifyAzureTdxVtpm(input: AzureVtpmInput, reportData: Uint8Array): VerifiedAzureVtpm {
  const hcl = parseHclReport(input.hclReport);
  if (hcl.hardware !== "tdx") throw new EvidenceError("EVIDENCE_MALFORMED", "HCL report: holds no TDREPORT", { reason: "unsupported-tee" });
  assertRuntimeDataCovered(hcl, reportData);
  return verifyVtpm(hcl, input);
}

function verifyVtpm(hcl: HclReport, { quoteMessage, quoteSignature, pcrs, nonce }: AzureVtpmInput): VerifiedAzureVtpm {
  const runtimeData = readRuntimeData(hcl);
  const signature: TpmSignature = { scheme: "rsassa", hash: "sha256", bytes: quoteSignature };
  const { attestationKey } = runtimeData;
  const quote = verifyTpmQuote({ message: quoteMessage, signature, attestationKey, pcrs, ...(nonce === undefined ? {} : { nonce }) });
  return { hcl, runtimeData, quote };
}
