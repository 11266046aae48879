import { parseHclReport } from "../azure-vtpm/hcl-report.ts";
import { type AzureVtpmInput, type VerifiedAzureVtpm, verifyAzureSnpVtpm, verifyAzureTdxVtpm } from "../azure-vtpm/verify-azure-vtpm.ts";
import { parsePcrBanks } from "../tpm/pcr-banks.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { type Answer, answerOf, judgeAnswer } from "./answer.ts";
import { certificateOf, fileOf, nonceOf, timeOf } from "./case-input.ts";
import { snpFields } from "./judge-snp.ts";
import { pcrFields, quoteFields } from "./judge-tpm.ts";
import { tdxFields, verifyTdxSignatures } from "./tdx-signatures.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `azure-vtpm`: HCL report, vTPM quote, PCRs, and what proves the hardware report. */
export function judgeAzureCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => verifyCase(vectorCase)),
  );
}

function verifyCase(vectorCase: VectorCase): Answer {
  const nonce = nonceOf(vectorCase);
  const input: AzureVtpmInput = {
    hclReport: fileOf(vectorCase, "hcl-report.bin"),
    quoteMessage: fileOf(vectorCase, "tpm-quote.msg"),
    quoteSignature: fileOf(vectorCase, "tpm-quote.sig"),
    pcrs: parsePcrBanks(fileOf(vectorCase, "pcrs.json")),
    ...(nonce === undefined ? {} : { nonce }),
  };
  if (parseHclReport(input.hclReport).hardware === "tdx") return verifyTdxCase(vectorCase, input);
  const verified = verifyAzureSnpVtpm(input, {
    endorsementKey: certificateOf(vectorCase, "vcek.pem"),
    signer: certificateOf(vectorCase, "ask.pem"),
    anchors: parsePemCertificates(fileOf(vectorCase, "ark.pem")),
    now: timeOf(vectorCase),
  });
  return { outcome: "ok", fields: { ...vtpmFields(verified), snp: snpFields(verified.snp.report) } };
}

/** The quote's signatures only: the collection has no collateral for these. */
function verifyTdxCase(vectorCase: VectorCase, input: AzureVtpmInput): Answer {
  const claims = verifyTdxSignatures(vectorCase, "td-quote.bin");
  return { outcome: "ok", fields: { ...vtpmFields(verifyAzureTdxVtpm(input, claims.userData)), tdx: tdxFields(claims) } };
}

function vtpmFields({ hcl, runtimeData, quote }: VerifiedAzureVtpm): Record<string, unknown> {
  return {
    tpm: quoteFields(quote.quote),
    pcrs: pcrFields(quote.pcrs),
    hcl: { version: hcl.version, reportType: hcl.reportType, hashType: hcl.hashType, varDataSize: hcl.runtimeData.length },
    userData: runtimeData.userData?.toHex(),
    varDataSha256: hcl.runtimeDataHash.toHex(),
  };
}
