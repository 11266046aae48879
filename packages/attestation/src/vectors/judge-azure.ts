import { type HclReport, parseHclReport, readRuntimeData } from "../azure-vtpm/hcl-report.ts";
import { type AzureVtpmInput, verifyAzureSnpVtpm, verifyAzureTdxVtpm } from "../azure-vtpm/verify-azure-vtpm.ts";
import { parseSnpReport } from "../snp/snp-report.ts";
import { parsePcrBanks } from "../tpm/pcr-banks.ts";
import { parseTpmQuote } from "../tpm/tpm-quote.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { type Answer, answerOf, type Fields, fieldsOf, judgeAnswer } from "./answer.ts";
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
    fieldsOf(() => caseFields(vectorCase, parseHclReport(fileOf(vectorCase, "hcl-report.bin")))),
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
  verifyAzureSnpVtpm(input, {
    endorsementKey: certificateOf(vectorCase, "vcek.pem"),
    signer: certificateOf(vectorCase, "ask.pem"),
    anchors: parsePemCertificates(fileOf(vectorCase, "ark.pem")),
    now: timeOf(vectorCase),
  });
  return { outcome: "ok" };
}

/** The quote's signatures only: the collection has no collateral for these. */
function verifyTdxCase(vectorCase: VectorCase, input: AzureVtpmInput): Answer {
  verifyAzureTdxVtpm(input, verifyTdxSignatures(vectorCase, "td-quote.bin").userData);
  return { outcome: "ok" };
}

function caseFields(vectorCase: VectorCase, hcl: HclReport): Fields {
  const hardware =
    hcl.hardware === "snp" ? { snp: snpFields(parseSnpReport(hcl.hardwareReport)) } : { tdx: tdxFields(vectorCase, "td-quote.bin") };
  return {
    ...hardware,
    tpm: quoteFields(parseTpmQuote(fileOf(vectorCase, "tpm-quote.msg"))),
    pcrs: pcrFields(parsePcrBanks(fileOf(vectorCase, "pcrs.json"))),
    hcl: { version: hcl.version, reportType: hcl.reportType, hashType: hcl.hashType, varDataSize: hcl.runtimeData.length },
    userData: readRuntimeData(hcl).userData?.toHex(),
    varDataSha256: hcl.runtimeDataHash.toHex(),
  };
}
