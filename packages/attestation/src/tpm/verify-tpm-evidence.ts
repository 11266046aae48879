import { type Claims, codeIdentity } from "../core/claims.ts";
import { findEndorsement, getEndorsement } from "../core/endorsement.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { assertWorkloadMeasured, parseWorkload } from "../core/workload.ts";
import { hash } from "../crypto/current-provider.ts";
import { assertLogExplainsPcrs } from "../eventlog/compare.ts";
import { parseEventLog } from "../eventlog/event-log.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { type Certificate, parseCertificate, parsePemCertificates } from "../x509/certificate.ts";
import { findCommonName } from "../x509/distinguished-name.ts";
import { isSameKey } from "../x509/public-key.ts";
import { verifyAttestationKeyCertificate } from "./attestation-key-certificate.ts";
import { bootMeasurement } from "./boot-measurement.ts";
import { parsePcrBanks } from "./pcr-banks.ts";
import { assertAttestationKey, parseTpmPublic, type TpmPublic } from "./tpm-public.ts";
import { type VerifiedTpmQuote, verifyTpmQuote } from "./verify-tpm-quote.ts";

const WORKLOAD_PCR = 15;
const ENDORSEMENT_KEY = /^TPM_EK:[0-9a-f]{64}$/;

/**
 * Kind `tpm`: bytes are the quote's TPMS_ATTEST, whose extraData is the channel binding. Endorsements: `signature` (TPMT_SIGNATURE),
 * `attestation-key` (TPMT_PUBLIC), `attestation-key-certificate` (DER), `pcrs` (JSON), optionally `intermediates` (PEM), `event-log`
 * and `workload`, whose SHA-256 must be all that PCR 15 was extended with. Trust anchors are roots of TPM makers and clouds, or the
 * authority that certifies attestation keys after credential activation; it names the endorsement key as subject, `TPM_EK:‹hex›`.
 */
export function verifyTpmEvidence(evidence: Evidence, context: VerificationContext): Claims {
  const key = parseTpmPublic(getEndorsement(evidence, context, "attestation-key"));
  assertAttestationKey(key);
  const certificate = parseCertificate(getEndorsement(evidence, context, "attestation-key-certificate"));
  assertCertified(key, certificate, evidence, context);
  const quote = verifyTpmQuote({
    message: evidence.bytes,
    signature: getEndorsement(evidence, context, "signature"),
    attestationKey: key.key,
    pcrs: parsePcrBanks(getEndorsement(evidence, context, "pcrs")),
  });
  return claimsOf(quote, certificate, key, evidence.endorsements);
}

function assertCertified(key: TpmPublic, certificate: Certificate, evidence: Evidence, context: VerificationContext): void {
  const pem = findEndorsement(evidence, context, "intermediates");
  const intermediates = pem === undefined ? [] : parsePemCertificates(pem);
  const anchors = (context.trustAnchors.tpm ?? []).map(parseCertificate);
  const certified = verifyAttestationKeyCertificate(certificate, intermediates, { anchors, now: context.now });
  if (isSameKey(certified, key.key)) return;
  throw new EvidenceError("EVIDENCE_SIGNATURE", "TPM evidence: the certificate is that of another key", { reason: "bad-chain" });
}

function claimsOf(
  { quote, signatureHash, pcrs }: VerifiedTpmQuote,
  certificate: Certificate,
  key: TpmPublic,
  endorsements: Evidence["endorsements"],
): Claims {
  const bank = pcrs.get("sha256");
  if (signatureHash === "sha1" || bank === undefined) {
    const message = "TPM evidence: signature or PCRs use SHA-1 only; quote the sha256 bank and sign with SHA-256";
    throw new EvidenceError("EVIDENCE_SIGNATURE", message, { reason: "weak-algorithm" });
  }
  const eventLog = endorsements?.get("event-log");
  if (eventLog !== undefined) assertLogExplainsPcrs(parseEventLog(eventLog), "sha256", bank);
  const descriptor = endorsements?.get("workload");
  if (descriptor !== undefined) {
    const extended = extendRegister("sha256", zeroRegister("sha256"), hash("sha256", descriptor));
    assertWorkloadMeasured(`PCR ${WORKLOAD_PCR}`, bank.get(WORKLOAD_PCR), extended);
  }
  const workload = descriptor === undefined ? undefined : parseWorkload(descriptor);
  const launchMeasurement = bootMeasurement(bank);
  const subject = findCommonName(certificate.subject) ?? "";
  return {
    kind: "tpm",
    userData: quote.extraData,
    codeIdentity: codeIdentity("tpm", launchMeasurement, workload),
    launchMeasurement,
    debug: false,
    platformId: ENDORSEMENT_KEY.test(subject) ? subject : `TPM_AK:${key.name.subarray(2).toHex()}`,
    tcb: { status: "UpToDate", advisories: [] },
    ...(workload === undefined ? {} : { workload }),
    details: {
      resetCount: quote.resetCount,
      restartCount: quote.restartCount,
      clockSafe: quote.safe,
      firmwareVersion: quote.firmwareVersion.toString(16).padStart(16, "0"),
      ...Object.fromEntries([...bank].map(([index, value]) => [`pcr${index}`, value.toHex()])),
    },
  };
}
