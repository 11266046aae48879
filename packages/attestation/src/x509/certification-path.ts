import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import { millisecondsOf } from "../core/time.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { type Certificate, isSelfIssued, publicKeyOf, serialNumberHex } from "./certificate.ts";
import { type CertificateProfile, type CertificateRole, findProfileFault } from "./certificate-profile.ts";
import { describeName, isSameName } from "./distinguished-name.ts";
import { EXTENSION, type KeyUsage } from "./extensions.ts";
import { ConstrainedNames, findConstraintFault } from "./name-constraints.ts";
import { PolicyLevels } from "./policy-levels.ts";
import {
  assertRevocationListCurrent,
  findListFault,
  isRevokedBy,
  type RevocationList,
  type VerifiedRevocationList,
  verifyRevocationList,
} from "./revocation-list.ts";
import { isNamed, type SubjectName } from "./subject-name.ts";

/** What a path has to satisfy, besides being one. */
export interface PathOptions {
  /** Roots that the Relying Party trusts. An empty list trusts nobody. */
  readonly anchors: readonly Certificate[];
  readonly now: Date;
  /** `vendor` unless told. */
  readonly profile?: CertificateProfile;
  /** Lists of the issuers in the path, and whether a certificate whose issuer has none is accepted. Left out: revocation is not checked. */
  readonly revocation?: { readonly lists: readonly RevocationList[]; readonly missing: "refuse" | "accept" };
  /** A key purpose (oid) that the leaf and every CA with such a list must allow. */
  readonly extKeyUsage?: string;
  readonly keyUsage?: readonly KeyUsage[];
  readonly subject?: SubjectName;
  /** CAs between anchor and leaf, self-issued ones not counted; 8 unless told. */
  readonly maxIntermediates?: number;
}

/** A path that holds from `validFrom` to `validUntil` (milliseconds, inclusive): leaf first, without the anchor. */
export interface VerifiedPath {
  readonly leaf: Certificate;
  readonly certificates: readonly Certificate[];
  readonly anchor: Certificate;
  readonly validFrom: number;
  readonly validUntil: number;
}

const CHAIN_MAX = 32;
const INTERMEDIATES_MAX = 8;
const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";
const PROCESSED: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.nameConstraints,
  EXTENSION.certificatePolicies,
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
]);

/**
 * Validates one certification path (RFC 5280 §6.1): leaf first, each certificate issued by the next, the last one an anchor or issued by one.
 * Throws EVIDENCE_SIGNATURE with reason `bad-chain`, `untrusted-root`, `cert-revoked`, `crl-mismatch`, `crl-bad-signature`,
 * `collateral-missing`, or EVIDENCE_STALE with `cert-expired`, `cert-not-yet-valid`, `crl-expired`.
 */
export function verifyCertificationPath(chain: readonly Certificate[], options: PathOptions): VerifiedPath {
  if (chain.length > CHAIN_MAX) throw badChain(`a chain of ${chain.length} certificates, at most ${CHAIN_MAX} allowed`);
  const { path, anchor } = splitAtAnchor(chain, options.anchors);
  const [leaf] = path;
  if (leaf === undefined) throw badChain("the chain is the trust anchor alone");
  const issuers = [...path.slice(1), anchor];
  for (const [index, certificate] of path.entries()) verifyIssuedBy(certificate, issuers[index] ?? anchor);
  const verified = {
    leaf,
    certificates: path,
    anchor,
    validFrom: Math.max(...[...path, anchor].map(({ notBefore }) => notBefore)),
    validUntil: Math.min(...[...path, anchor].map(({ notAfter }) => notAfter)),
  };
  assertWithinDates(verified, options.now);
  processPath(path, anchor, options);
  assertLeafFits(leaf, options);
  if (options.revocation !== undefined) {
    const lists = findRevocationLists(verified, options.revocation, options.profile ?? "vendor");
    assertNotRevoked(verified, lists, options.now);
  }
  return verified;
}

/** Throws EVIDENCE_STALE unless every certificate, the anchor too, is valid at `now`. Fractions of a second do not count: certificates have none. */
export function assertWithinDates({ certificates, anchor }: VerifiedPath, now: Date): void {
  const second = Math.floor(millisecondsOf(now) / 1000) * 1000;
  for (const certificate of [...certificates, anchor]) {
    const named = () => `the certificate of ${describeName(certificate.subject)}`;
    const { notBefore, notAfter } = certificate;
    if (second < notBefore) {
      const [found, expected] = [iso(notBefore), `not after ${now.toISOString()}`];
      throw stale("cert-not-yet-valid", `${named()} is valid from ${found}`, { field: `notBefore of ${named()}`, expected, found });
    }
    if (second > notAfter) {
      const [found, expected] = [iso(notAfter), `not before ${now.toISOString()}`];
      throw stale("cert-expired", `${named()} ended on ${found}`, { field: `notAfter of ${named()}`, expected, found });
    }
  }
}

/** Whether the lists, which must belong to the issuers of this path, are current and name none of its certificates. */
export function assertNotRevoked({ certificates }: VerifiedPath, lists: readonly VerifiedRevocationList[], now: Date): void {
  for (const list of lists) assertRevocationListCurrent(list, millisecondsOf(now));
  for (const certificate of certificates) {
    const revoking = lists.find((list) => isSameName(list.list.issuer, certificate.issuer) && isRevokedBy(list, certificate));
    if (revoking !== undefined) {
      throw new EvidenceError("EVIDENCE_SIGNATURE", `the certificate of ${describeName(certificate.subject)} is revoked by its issuer`, {
        reason: "cert-revoked",
        field: "serial number",
        expected: `not on the CRL of ${describeName(certificate.issuer)}`,
        found: serialNumberHex(certificate.serialNumber),
      });
    }
  }
}

function findRevocationLists(
  path: VerifiedPath,
  { lists, missing }: NonNullable<PathOptions["revocation"]>,
  profile: CertificateProfile,
): readonly VerifiedRevocationList[] {
  const issuers = [...path.certificates.slice(1), path.anchor];
  return path.certificates.flatMap((certificate, index) => {
    const issued = lists.filter(({ issuer }) => isSameName(issuer, certificate.issuer));
    if (issued.length === 0 && missing === "refuse") {
      const message = `no CRL of ${describeName(certificate.issuer)} is at hand`;
      throw new EvidenceError("EVIDENCE_SIGNATURE", message, {
        reason: "collateral-missing",
        remedy: "Provide the CRL of every issuer in the chain.",
      });
    }
    return issued.map((list) => {
      const fault = profile === "vendor" ? undefined : findListFault(list);
      if (fault !== undefined) throw badChain(`the CRL of ${describeName(list.issuer)}: ${fault}`);
      return verifyRevocationList(list, issuers[index] ?? path.anchor);
    });
  });
}

/** Names link, and the end is an anchor or issued by one. Signatures come later: this costs next to nothing. */
function splitAtAnchor(chain: readonly Certificate[], anchors: readonly Certificate[]) {
  const last = lastOfNames(chain);
  // Another certificate for an anchor's name and key ends the path too, if that key signed it.
  const itself = anchors.find(
    (anchor) => isSameKeyAndName(anchor, last) && (isSameBytes(anchor.der, last.der) || isIssuedBy(last, anchor)),
  );
  if (itself !== undefined) return { path: chain.slice(0, -1), anchor: itself };
  const named = anchors.filter((anchor) => isSameName(anchor.subject, last.issuer));
  const anchor = named.find((candidate) => isIssuedBy(last, candidate));
  if (anchor !== undefined) return { path: chain, anchor };
  if (named.length === 0 && !isSelfIssued(last)) throw badChain(`the certificate of the issuer ${describeName(last.issuer)} is missing`);
  const detail =
    named.length > 0 ? `the trust anchor ${describeName(last.issuer)} has another key` : `${describeName(last.subject)} is no trust anchor`;
  throw new EvidenceError("EVIDENCE_SIGNATURE", `certification path: ${detail}`, {
    reason: "untrusted-root",
    remedy: "Add the root to the trust anchors if you trust whoever holds its key.",
  });
}

/** The last certificate of a chain in which each is followed by its issuer, by name. */
function lastOfNames([leaf, ...issuers]: readonly Certificate[]): Certificate {
  if (leaf === undefined) throw badChain("the chain is empty");
  let last = leaf;
  for (const issuer of issuers) {
    if (!isSameName(last.issuer, issuer.subject)) {
      throw badChain(
        `${describeName(last.subject)} is followed by ${describeName(issuer.subject)}, its issuer is ${describeName(last.issuer)}`,
      );
    }
    last = issuer;
  }
  return last;
}

export const isSameKeyAndName = (a: Certificate, b: Certificate): boolean =>
  isSameBytes(a.publicKeyInfo, b.publicKeyInfo) && isSameName(a.subject, b.subject);

function verifyIssuedBy(certificate: Certificate, issuer: Certificate): void {
  const { scheme, oid } = certificate.signatureAlgorithm;
  if (scheme === undefined) throw badChain(`${describeName(certificate.subject)} is signed with the unsupported algorithm ${oid}`);
  publicKeyOf(certificate); // the leaf's key, too, must be one that may prove anything
  if (!isSignedBy(scheme, publicKeyOf(issuer), certificate.signedBytes, certificate.signature)) {
    throw badChain(`${describeName(certificate.subject)} is not signed by ${describeName(issuer.subject)}`);
  }
}

/** Whether name and signature say so; keys that are refused sign nothing. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  const { scheme } = certificate.signatureAlgorithm;
  if (scheme === undefined || !isSameName(certificate.issuer, issuer.subject)) return false;
  try {
    return isSignedBy(scheme, publicKeyOf(issuer), certificate.signedBytes, certificate.signature);
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

/** RFC 5280 §6.1.3 to §6.1.5, from the anchor to the leaf. The anchor's own constraints count. */
function processPath(path: readonly Certificate[], anchor: Certificate, options: PathOptions): void {
  const names = new ConstrainedNames();
  const policies = new PolicyLevels(path.length);
  const profile = options.profile ?? "vendor";
  let left = options.maxIntermediates ?? INTERMEDIATES_MAX;
  assertFits(anchor, "anchor", profile);
  left = Math.min(left, anchor.basicConstraints?.pathLength ?? left);
  if (anchor.nameConstraints !== undefined) names.add(anchor.nameConstraints);
  for (const [index, certificate] of path.entries().toArray().reverse()) {
    const isLeaf = index === 0;
    const selfIssued = isSelfIssued(certificate);
    const refuse = (detail: string | undefined) => {
      if (detail !== undefined) throw badChain(`${describeName(certificate.subject)}: ${detail}`);
    };
    if (isLeaf || !selfIssued) refuse(names.findFault(certificate));
    assertFits(certificate, isLeaf ? "leaf" : "intermediate", profile);
    refuse(policies.descend(certificate, isLeaf));
    if (isLeaf) break;
    if (!selfIssued) {
      if (left === 0) refuse("the path is longer than its CAs allow");
      left -= 1;
    }
    left = Math.min(left, certificate.basicConstraints?.pathLength ?? left);
    if (certificate.nameConstraints !== undefined) names.add(certificate.nameConstraints);
    assertAllowsPurpose(certificate, options);
  }
}

function assertFits(certificate: Certificate, role: CertificateRole, profile: CertificateProfile): void {
  const fault =
    (role === "leaf" ? undefined : findAuthorityFault(certificate)) ??
    findUnknownCritical(certificate) ??
    (certificate.nameConstraints && findConstraintFault(certificate.nameConstraints)) ??
    findProfileFault(certificate, role, profile);
  if (fault !== undefined) throw badChain(`${describeName(certificate.subject)}: ${fault}`);
}

/** §6.1.4 k to n; only certificates of version 3 have extensions. */
function findAuthorityFault({ basicConstraints, keyUsage }: Certificate): string | undefined {
  if (basicConstraints?.isCa !== true) return "it is no CA";
  if (keyUsage !== undefined && !keyUsage.has("keyCertSign")) return "it may not sign certificates";
  return undefined;
}

function findUnknownCritical({ extensions }: Certificate): string | undefined {
  const unknown = extensions.values().find(({ oid, isCritical }) => isCritical && !PROCESSED.has(oid));
  return unknown && `critical extension ${unknown.oid} is unknown`;
}

function assertLeafFits(leaf: Certificate, options: PathOptions): void {
  assertAllowsPurpose(leaf, options);
  const missing = options.keyUsage?.find((usage) => leaf.keyUsage !== undefined && !leaf.keyUsage.has(usage));
  if (missing !== undefined) throw badChain(`${describeName(leaf.subject)}: its key may not be used for ${missing}`);
  if (options.subject !== undefined && !isNamed(leaf, options.subject)) {
    throw badChain(`${describeName(leaf.subject)}: the name that was asked for is not among its alternative names`);
  }
}

function assertAllowsPurpose(certificate: Certificate, { extKeyUsage, profile }: PathOptions): void {
  const allowed = certificate.extKeyUsage;
  if (extKeyUsage === undefined || allowed === undefined || allowed.has(extKeyUsage)) return;
  if (allowed.has(ANY_EXTENDED_KEY_USAGE) && profile !== "webpki") return;
  throw badChain(`${describeName(certificate.subject)}: its key purposes do not include ${extKeyUsage}`);
}

const badChain = (detail: string) => new EvidenceError("EVIDENCE_SIGNATURE", `certification path: ${detail}`, { reason: "bad-chain" });
const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();
const stale = (reason: EvidenceReason, message: string, mismatch: Mismatch) =>
  new EvidenceError("EVIDENCE_STALE", message, { reason, ...mismatch });
