import { findSnpWeaknesses, parseSnpReport, type SnpReport, splitSnpPolicy } from "../snp/snp-report.ts";
import { verifySnpReport } from "../snp/verify-snp-report.ts";
import { parsePemCertificates } from "../x509/certificate.ts";
import { parseRevocationList } from "../x509/revocation-list.ts";
import { type Answer, type Fields, fieldsOf, judgeBothWays } from "./answer.ts";
import { certificateOf, fileOf, hexInteger, inputOf, timeOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `sev-snp`: report, ARK, ASK or ASVK, VCEK or VLEK, perhaps a CRL. */
export function judgeSnpCase(vectorCase: VectorCase): CaseVerdict {
  const fields = fieldsOf(() => snpFields(parseSnpReport(fileOf(vectorCase, "report.bin"))));
  return judgeBothWays(vectorCase, fields, (isDebugRefused) => verifyCase(vectorCase, isDebugRefused));
}

function verifyCase(vectorCase: VectorCase, isDebugRefused: boolean): Answer {
  const { files } = vectorCase;
  const crl = files.get("crl.der");
  const { report, endorsementKey } = verifySnpReport({
    report: fileOf(vectorCase, "report.bin"),
    endorsementKey: certificateOf(vectorCase, files.has("vlek.der") ? "vlek.der" : "vcek.der"),
    signer: certificateOf(vectorCase, files.has("asvk.pem") ? "asvk.pem" : "ask.pem"),
    anchors: parsePemCertificates(fileOf(vectorCase, "ark.pem")),
    now: timeOf(vectorCase),
    ...(crl === undefined ? {} : { revocationList: parseRevocationList(crl) }),
  });
  if (isDebugRefused && splitSnpPolicy(report.policy).debugAllowed) return { outcome: "debug-enabled" };
  const vmpl = inputOf(vectorCase, "vmpl");
  if (vmpl !== undefined && report.vmpl !== vmpl) return { outcome: "policy", detail: `VMPL is ${report.vmpl}` };
  const reportData = inputOf(vectorCase, "reportData");
  if (reportData !== undefined && report.reportData.toHex() !== reportData) return { outcome: "report-data-mismatch" };
  const weaknesses = findSnpWeaknesses(report);
  if (weaknesses.length > 0) return { outcome: "policy", detail: weaknesses.join("; ") };
  const facts = { endorsementKey: endorsementKey.kind, tcbMatchesCertificate: true, chipIdMatchesCertificate: true };
  return { outcome: "ok", facts };
}

/** A report's fields in the spelling of the collection. */
export function snpFields(report: SnpReport): Fields {
  return {
    version: report.version,
    guestSvn: report.guestSvn,
    policy: hexInteger(report.policy),
    familyId: report.familyId.toHex(),
    imageId: report.imageId.toHex(),
    vmpl: report.vmpl,
    signatureAlgo: report.signatureAlgo,
    currentTcb: hexInteger(report.currentTcb),
    platformInfo: hexInteger(report.platformInfo),
    signerInfo: report.signerInfo,
    reportData: report.reportData.toHex(),
    measurement: report.measurement.toHex(),
    hostData: report.hostData.toHex(),
    idKeyDigest: report.idKeyDigest.toHex(),
    authorKeyDigest: report.authorKeyDigest.toHex(),
    reportId: report.reportId.toHex(),
    reportIdMa: report.reportIdMa.toHex(),
    reportedTcb: hexInteger(report.reportedTcb),
    cpuid1eaxFms: hexInteger(report.cpuid1Eax ?? 0),
    chipId: report.chipId.toHex(),
    committedTcb: hexInteger(report.committedTcb),
    currentBuild: report.currentFirmware.build,
    currentMinor: report.currentFirmware.minor,
    currentMajor: report.currentFirmware.major,
    launchTcb: hexInteger(report.launchTcb),
  };
}
