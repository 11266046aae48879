import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import { millisecondsOf } from "../core/time.ts";
import type { IntelFreshness, VerificationContext } from "../core/trust.ts";
import { type Certificate, parseCertificate, parsePemCertificates } from "../x509/certificate.ts";
import { assertNotRevoked, assertWithinDates, type VerifiedPath, verifyCertificationPath } from "../x509/certification-path.ts";
import { findCommonName } from "../x509/distinguished-name.ts";
import { parseRevocationList, type VerifiedRevocationList, verifyRevocationList } from "../x509/revocation-list.ts";
import type { IntelCollateral } from "./intel-documents.ts";
import { type QeIdentity, readQeIdentity } from "./qe-identity.ts";
import { assertDocumentSigned, splitSignedJson } from "./signed-json.ts";
import { readTcbInfo, type TcbInfo } from "./tcb-info.ts";
import { cached, type VerificationCache } from "./verification-cache.ts";

/** TCB Info and QE Identity that Intel signed and that are current. */
export interface VerifiedIntelCollateral {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
  readonly signers: readonly VerifiedPath[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const TCB_SIGNING = "Intel SGX TCB Signing";

/** Verifies both documents: their signer's path, their signatures, their dates. Throws EVIDENCE_SIGNATURE, EVIDENCE_STALE, EVIDENCE_MALFORMED. */
export function verifyIntelCollateral(
  { tcbInfo, qeIdentity, tcbSigningChain, qeIdentitySigningChain }: IntelCollateral,
  anchors: readonly Uint8Array[],
  { now, cache, intelFreshness = {} }: VerificationContext,
): VerifiedIntelCollateral {
  if (tcbInfo === undefined) throw missing("TCB Info");
  if (qeIdentity === undefined) throw missing("QE Identity");
  if (tcbSigningChain === undefined) throw missing("TCB signing chain");
  const info = verifyTcbInfo(tcbInfo, tcbSigningChain, anchors, { now, cache });
  const identity = verifyQeIdentity(qeIdentity, qeIdentitySigningChain ?? tcbSigningChain, anchors, { now, cache });
  assertCurrent("TCB Info", info.value, now, intelFreshness);
  assertCurrent("QE Identity", identity.value, now, intelFreshness);
  return { tcbInfo: info.value, qeIdentity: identity.value, signers: [info.signer, identity.signer] };
}

/** A document of Intel's whose signature and signer hold; its own dates are not looked at. */
export interface VerifiedIntelDocument<T> {
  readonly value: T;
  readonly signer: VerifiedPath;
}

/** Verifies signer and signature of a TCB Info; the caller looks at its dates. `chain` is PEM. Throws EVIDENCE_SIGNATURE, EVIDENCE_STALE, EVIDENCE_MALFORMED. */
export function verifyTcbInfo(
  bytes: Uint8Array,
  chain: Uint8Array,
  anchors: readonly Uint8Array[],
  context: CacheAndTime,
): VerifiedIntelDocument<TcbInfo> {
  return verifyDocument("tcbInfo", bytes, chain, anchors, context, readTcbInfo);
}

/** The same for the identity of a quoting enclave. */
export function verifyQeIdentity(
  bytes: Uint8Array,
  chain: Uint8Array,
  anchors: readonly Uint8Array[],
  context: CacheAndTime,
): VerifiedIntelDocument<QeIdentity> {
  return verifyDocument("enclaveIdentity", bytes, chain, anchors, context, readQeIdentity);
}

function verifyDocument<T>(
  name: string,
  bytes: Uint8Array,
  chain: Uint8Array,
  anchors: readonly Uint8Array[],
  { now, cache }: CacheAndTime,
  read: (value: unknown) => T,
): VerifiedIntelDocument<T> {
  const verified = cached(cache, name, [bytes, chain, ...anchors], () => {
    const signer = cached(cache, "tcb-signing", [chain, ...anchors], () => verifySigningChain(chain, anchors, { now, cache }));
    const document = splitSignedJson(bytes, name);
    assertDocumentSigned(document, signer, name);
    return { signer, value: read(document.value) };
  });
  assertWithinDates(verified.signer, now);
  return verified;
}

/**
 * Verifies the lists of the root and of the PCK CA and that none of the certificates in use is on them: PCK certificate, PCK CA, TCB signers.
 * Throws EVIDENCE_SIGNATURE (`collateral-missing`, `crl-mismatch`, `crl-bad-signature`, `cert-revoked`), EVIDENCE_STALE (`crl-expired`).
 */
export function assertNothingRevoked(
  { pckCrl, rootCaCrl }: IntelCollateral,
  pckPath: VerifiedPath,
  signers: readonly VerifiedPath[],
  { now, cache }: VerificationContext,
): void {
  if (rootCaCrl === undefined) throw missing("CRL of the root CA");
  if (pckCrl === undefined) throw missing("CRL of the PCK CA");
  const [, pckCa] = pckPath.certificates;
  if (pckCa === undefined) throw new EvidenceError("EVIDENCE_SIGNATURE", "PCK chain: the PCK CA is missing", { reason: "bad-chain" });
  const rootList = verifyList(rootCaCrl, pckPath.anchor, cache);
  assertNotRevoked(pckPath, [rootList, verifyList(pckCrl, pckCa, cache)], now);
  for (const signer of signers) assertNotRevoked(signer, [rootList], now);
}

function verifyList(der: Uint8Array, issuer: Certificate, cache: VerificationCache | undefined): VerifiedRevocationList {
  return cached(cache, "crl", [der, issuer.der], () => verifyRevocationList(parseRevocationList(der), issuer));
}

export interface CacheAndTime {
  readonly now: Date;
  readonly cache?: VerificationCache | undefined;
}

/** Trust anchors as certificates, each parsed and its key imported once. */
export function parseAnchors(anchors: readonly Uint8Array[], cache: VerificationCache | undefined): readonly Certificate[] {
  return anchors.map((der) => cached(cache, "certificate", [der], () => parseCertificate(der)));
}

/** The signer is issued by the root itself: a CA of platforms may not speak about the TCB. */
function verifySigningChain(pem: Uint8Array, anchors: readonly Uint8Array[], { now, cache }: CacheAndTime): VerifiedPath {
  const unfit = (detail: string, cause?: unknown) =>
    new EvidenceError("EVIDENCE_SIGNATURE", `TCB signing chain: ${detail}`, { reason: "collateral-bad-chain", cause });
  const chain = parsePemCertificates(pem);
  const path = orElse(
    () => verifyCertificationPath(chain, { anchors: parseAnchors(anchors, cache), now }),
    (error) => (error.reason === "bad-chain" ? unfit(error.message, error) : error),
  );
  if (path.certificates.length !== 1 || path.leaf.basicConstraints?.isCa === true || findCommonName(path.leaf.subject) !== TCB_SIGNING) {
    throw unfit(`not a certificate for ${TCB_SIGNING} issued by the root`);
  }
  return path;
}

/** Runs, and throws what `translate` makes of an EvidenceError. */
function orElse<T>(run: () => T, translate: (error: EvidenceError) => EvidenceError): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof EvidenceError ? translate(error) : error;
  }
}

type DatedDocument = Pick<TcbInfo, "issueDate" | "nextUpdate" | "tcbEvaluationDataNumber">;

function assertCurrent(
  name: string,
  document: DatedDocument,
  now: Date,
  { maxAgeDays = Number.POSITIVE_INFINITY, minEvaluationNumber = 0 }: IntelFreshness,
): void {
  const { issueDate, nextUpdate, tcbEvaluationDataNumber } = document;
  const stale = (reason: EvidenceReason, detail: string, mismatch: Mismatch) =>
    new EvidenceError("EVIDENCE_STALE", `${name}: ${detail}`, {
      reason,
      ...mismatch,
      field: `${name} ${mismatch.field ?? ""}`,
      remedy: "Fetch fresh collateral from Intel's provisioning service or a cache of it.",
    });
  const dated = (field: "issueDate" | "nextUpdate", order: string): Mismatch => ({
    field,
    expected: `${order} ${now.toISOString()}`,
    found: document[field].toISOString(),
  });
  const at = millisecondsOf(now);
  if (at < issueDate.getTime())
    throw stale("collateral-not-yet-valid", `issued on ${issueDate.toISOString()}, which is not yet`, dated("issueDate", "not after"));
  if (at > nextUpdate.getTime())
    throw stale("collateral-expired", `ended on ${nextUpdate.toISOString()}`, dated("nextUpdate", "not before"));
  // Limits that are no numbers are reached by nothing.
  if (!(at - issueDate.getTime() <= maxAgeDays * DAY_MS)) {
    const mismatch = dated("issueDate", `at most ${maxAgeDays} days before`);
    throw stale("collateral-expired", `issued on ${issueDate.toISOString()}, more than ${maxAgeDays} days ago`, mismatch);
  }
  if (!(tcbEvaluationDataNumber >= minEvaluationNumber)) {
    throw stale("collateral-expired", `evaluation ${tcbEvaluationDataNumber}, but ${minEvaluationNumber} has been seen`, {
      field: "tcbEvaluationDataNumber",
      expected: `at least ${minEvaluationNumber}`,
      found: String(tcbEvaluationDataNumber),
    });
  }
}

export function missing(document: string): EvidenceError {
  return new EvidenceError("EVIDENCE_SIGNATURE", `collateral: no ${document} is at hand`, {
    reason: "collateral-missing",
    remedy: "Fetch it from Intel's provisioning service, or import a bundle.",
  });
}
