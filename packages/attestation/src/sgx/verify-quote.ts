import {
  assertNothingRevoked,
  missing,
  parseAnchors,
  type VerifiedIntelCollateral,
  verifyIntelCollateral,
} from "../collateral/intel-collateral.ts";
import type { IntelCollateral } from "../collateral/intel-documents.ts";
import type { IsvTcbLevel } from "../collateral/tcb-info.ts";
import { cached } from "../collateral/verification-cache.ts";
import { concat, isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import type { VerificationContext } from "../core/trust.ts";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { type Certificate, parsePemCertificates, publicKeyOf } from "../x509/certificate.ts";
import { assertWithinDates, type PathOptions, type VerifiedPath, verifyCertificationPath } from "../x509/certification-path.ts";
import { isSameName } from "../x509/distinguished-name.ts";
import { ecPublicKey } from "../x509/public-key.ts";
import { type PckIdentity, readPckIdentity } from "./pck-certificate.ts";
import { findQeLevel } from "./qe-appraisal.ts";
import { parseQuote, type Quote } from "./quote.ts";

/** A quote whose signatures hold from the report up to the trust anchor. What the platform is worth is not yet known. */
export interface SignedQuote {
  readonly quote: Quote;
  readonly pckPath: VerifiedPath;
  readonly pck: PckIdentity;
}

/** A signed quote together with what Intel says about its quoting enclave and its platform at this time. */
export interface VerifiedQuote extends SignedQuote {
  /** Undefined for callers that asked for signatures alone. */
  readonly intel: { readonly collateral: VerifiedIntelCollateral; readonly qeLevel: IsvTcbLevel } | undefined;
}

const PCK_CHAIN_PEM = 5;
const ES256 = { kind: "ecdsa", digest: "sha256", encoding: "ieee-p1363" } as const;

/**
 * Verifies the chain of signatures: root, PCK CA, PCK certificate, QE report, attestation key, quote.
 * `pckChain` (PEM, the PCK certificate first, its issuers in any order) stands in place of what the quote has: some quotes name their platform
 * only. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE.
 */
export function verifyQuoteSignatures(
  bytes: Uint8Array,
  anchors: readonly Uint8Array[],
  { now, cache }: VerificationContext,
  pckChain?: Uint8Array,
): SignedQuote {
  const quote = parseQuote(bytes);
  const { type, data } = quote.certificationData;
  const pem = pckChain ?? (type === PCK_CHAIN_PEM ? data : undefined);
  if (pem === undefined) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `quote: certification data of type ${type} does not hold the PCK certificate chain`, {
      reason: "unsupported-certification-data",
      remedy: "Let the quoting library use a PCK certificate from a provisioning cache.",
    });
  }
  const read = pckChain === undefined ? parsePemCertificates : (text: Uint8Array) => inOrderOfIssue(parsePemCertificates(text));
  const { path, pck } = cached(cache, pckChain === undefined ? "pck" : "pck-given", [pem, ...anchors], () =>
    verifyPckChain(read(pem), { anchors: parseAnchors(anchors, cache), now }),
  );
  assertWithinDates(path, now);
  assertQuoteSigned(quote, publicKeyOf(path.leaf));
  return { quote, pckPath: path, pck };
}

/**
 * Verifies everything that Intel's documents say about a signed quote: they are genuine, current and of this platform, nothing is revoked,
 * the quoting enclave is Intel's. `collateral` is undefined for callers that asked for signatures alone.
 */
export function verifyQuoteCollateral(
  signed: SignedQuote,
  anchors: readonly Uint8Array[],
  collateral: IntelCollateral | undefined,
  context: VerificationContext,
): VerifiedQuote {
  if (collateral === undefined) {
    if (context.insecure === "signature-chain-only") return { ...signed, intel: undefined };
    throw missing(`collateral for FMSPC ${signed.pck.fmspc.toHex()}`);
  }
  const verified = verifyIntelCollateral(collateral, anchors, context);
  if (context.insecure === undefined) assertNothingRevoked(collateral, signed.pckPath, verified.signers, context);
  assertFits(verified, signed);
  return { ...signed, intel: { collateral: verified, qeLevel: findQeLevel(signed.quote.qeReport, verified.qeIdentity) } };
}

function verifyPckChain(certificates: readonly Certificate[], options: PathOptions) {
  const path = verifyCertificationPath(certificates, options);
  return { path, pck: readPckIdentity(path.leaf) };
}

/** The first certificate, then issuer after issuer by name; what issued none of them comes last and is refused with the path. */
function inOrderOfIssue(certificates: readonly Certificate[]): readonly Certificate[] {
  const ordered = certificates.slice(0, 1);
  const left = certificates.slice(1);
  for (let last = ordered[0]; last !== undefined; ) {
    const { issuer }: Certificate = last;
    const index = left.findIndex(({ subject }) => isSameName(subject, issuer));
    last = index < 0 ? undefined : left.splice(index, 1)[0];
    if (last !== undefined) ordered.push(last);
  }
  return [...ordered, ...left];
}

function assertQuoteSigned(quote: Quote, pckKey: PublicKey): void {
  if (!isSignedBy(ES256, pckKey, quote.qeReportBytes, quote.qeReportSignature)) {
    throw refused("bad-qe-signature", "the QE report is not signed by the PCK certificate's key");
  }
  const bound = hash("sha256", quote.attestationKey, quote.qeAuthenticationData);
  if (!isSameBytes(concat(bound, new Uint8Array(32)), quote.qeReport.reportData)) {
    throw refused("qe-binding-mismatch", "the QE report does not name this attestation key and authentication data", {
      field: "REPORTDATA of the QE report",
      expected: `${bound.toHex()}, then zeros`,
      found: quote.qeReport.reportData.toHex(),
    });
  }
  const key = ecPublicKey("P-256", quote.attestationKey.subarray(0, 32), quote.attestationKey.subarray(32));
  if (key === undefined || !isSignedBy(ES256, key, quote.signedBytes, quote.signature)) {
    throw refused("bad-signature", "header and body are not signed by the attestation key");
  }
}

function assertFits({ tcbInfo, qeIdentity }: VerifiedIntelCollateral, { quote, pck }: SignedQuote): void {
  const mismatch = (document: string, found: string, expected: string) =>
    refused("collateral-mismatch", `${document} is for ${found}, the quote is of ${expected}`, { field: document, expected, found });
  if (tcbInfo.tee !== quote.tee) throw mismatch("TCB Info", tcbInfo.tee, quote.tee);
  if (qeIdentity.tee !== quote.tee) throw mismatch("QE Identity", qeIdentity.tee, quote.tee);
  if (!isSameBytes(tcbInfo.fmspc, pck.fmspc)) throw mismatch("TCB Info", `FMSPC ${tcbInfo.fmspc.toHex()}`, pck.fmspc.toHex());
  if (!isSameBytes(tcbInfo.pceId, pck.pceId)) throw mismatch("TCB Info", `PCE ${tcbInfo.pceId.toHex()}`, pck.pceId.toHex());
}

const refused = (reason: EvidenceReason, detail: string, mismatch: Mismatch = {}) =>
  new EvidenceError("EVIDENCE_SIGNATURE", `quote: ${detail}`, { reason, ...mismatch });
