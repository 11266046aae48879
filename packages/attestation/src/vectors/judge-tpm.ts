import { decodeAscii } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { assertDataMeasured, assertLogExplainsPcrs } from "../eventlog/compare.ts";
import { parseEventLog } from "../eventlog/event-log.ts";
import { verifyAttestationKeyCertificate } from "../tpm/attestation-key-certificate.ts";
import { parsePcrBanks } from "../tpm/pcr-banks.ts";
import { parseTpmQuote, parseTpmSignature, type TpmQuote } from "../tpm/tpm-quote.ts";
import { type PcrBanks, verifyTpmQuote } from "../tpm/verify-tpm-quote.ts";
import { isSameKey, readPublicKey } from "../x509/public-key.ts";
import { type Answer, answerOf, type Fields, fieldsOf, judgeAnswer } from "./answer.ts";
import { certificateOf, fileOf, nonceOf, timeOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `tpm-quote`: message, TPMT_SIGNATURE, AK, PCRs, perhaps event log and the AK's certificate. */
export function judgeTpmCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => verifyCase(vectorCase)),
    fieldsOf(() => caseFields(vectorCase)),
  );
}

function caseFields(vectorCase: VectorCase): Fields {
  const { scheme, hash } = parseTpmSignature(fileOf(vectorCase, "quote.sig"));
  const quote = parseTpmQuote(fileOf(vectorCase, "quote.msg"));
  return { tpm: quoteFields(quote), pcrs: pcrFields(parsePcrBanks(fileOf(vectorCase, "pcrs.json"))), signature: { scheme, hash } };
}

function verifyCase(vectorCase: VectorCase): Answer {
  const nonce = nonceOf(vectorCase);
  const attestationKey = readKey(fileOf(vectorCase, "ak-pub.pem"));
  const signature = fileOf(vectorCase, "quote.sig");
  const message = fileOf(vectorCase, "quote.msg");
  const banks = parsePcrBanks(fileOf(vectorCase, "pcrs.json"));
  const { pcrs } = verifyTpmQuote({ message, signature, attestationKey, pcrs: banks, ...(nonce === undefined ? {} : { nonce }) });
  const isCertified = vectorCase.files.has("ak-cert.der");
  if (isCertified) verifyKeyCertificate(vectorCase, attestationKey);
  const eventLog = vectorCase.files.get("eventlog.bin");
  if (eventLog !== undefined) {
    const log = parseEventLog(eventLog);
    for (const [bank, quoted] of pcrs) if (log.algorithms.includes(bank)) assertLogExplainsPcrs(log, bank, quoted);
    assertDataMeasured(log);
  }
  return { outcome: "ok", facts: isCertified ? { akCertificateChain: "ok" } : {} };
}

const PEM = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/;

function readKey(pem: Uint8Array): PublicKey {
  const [, body] = PEM.exec(decodeAscii(pem)) ?? [];
  if (body !== undefined) return readPublicKey(Uint8Array.fromBase64(body));
  throw new EvidenceError("EVIDENCE_MALFORMED", "TPM quote: the attestation key is not a public key in PEM", { reason: "parse-error" });
}

function verifyKeyCertificate(vectorCase: VectorCase, attestationKey: PublicKey): void {
  const intermediates = vectorCase.files.has("ak-intermediate.der") ? [certificateOf(vectorCase, "ak-intermediate.der")] : [];
  const anchors = [certificateOf(vectorCase, "ak-root.der")];
  const certified = verifyAttestationKeyCertificate(certificateOf(vectorCase, "ak-cert.der"), intermediates, {
    anchors,
    now: timeOf(vectorCase),
  });
  if (isSameKey(certified, attestationKey)) return;
  throw new EvidenceError("EVIDENCE_SIGNATURE", "TPM quote: the certificate is that of another attestation key", { reason: "bad-chain" });
}

/** A quote's fields in the spelling of the collection. */
export function quoteFields(quote: TpmQuote): Fields {
  return {
    magic: quote.magic.toString(16),
    type: quote.type.toString(16),
    qualifiedSigner: quote.qualifiedSigner.toHex(),
    extraData: quote.extraData.toHex(),
    clock: Number(quote.clock),
    resetCount: quote.resetCount,
    restartCount: quote.restartCount,
    safe: quote.safe,
    firmwareVersion: quote.firmwareVersion.toString(16).padStart(16, "0"),
    pcrSelect: quote.pcrSelect,
    pcrDigest: quote.pcrDigest.toHex(),
    trailing: 0,
  };
}

export const pcrFields = (banks: PcrBanks): Fields =>
  Object.fromEntries(
    [...banks].map(([bank, values]) => [bank, Object.fromEntries([...values].map(([index, value]) => [String(index), value.toHex()]))]),
  );
