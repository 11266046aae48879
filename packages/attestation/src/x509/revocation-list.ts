import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { type Certificate, publicKeyOf, serialNumberHex } from "./certificate.ts";
import { DER, DerReader } from "./der-reader.ts";
import { type DistinguishedName, describeName, isSameName, readDistinguishedName } from "./distinguished-name.ts";
import { EXTENSION, type Extension, readAuthorityKeyIdentifier, readExtension, readExtensions } from "./extensions.ts";
import { type AlgorithmIdentifier, readSignatureAlgorithm } from "./signature-scheme.ts";

/** A complete CRL taken apart (RFC 5280 §5.1): nothing is verified. */
export interface RevocationList {
  readonly der: Uint8Array;
  readonly signedBytes: Uint8Array;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Uint8Array;
  readonly issuer: DistinguishedName;
  /** Milliseconds since 1970. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly authorityKeyIdentifier: Uint8Array | undefined;
  /** Serial numbers, hex without leading zeros. */
  readonly revoked: ReadonlySet<string>;
}

const REVOCATION_LIST_MAX_BYTES = 8 * 1024 * 1024;

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `CRL: ${detail}`, { reason: "parse-error" });

/** Takes a DER CRL apart. Delta CRLs, partitioned and indirect CRLs are refused: no vendor of Evidence issues them. Throws EVIDENCE_MALFORMED. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  if (der.length > REVOCATION_LIST_MAX_BYTES) throw malformed(`${der.length} bytes, at most ${REVOCATION_LIST_MAX_BYTES} allowed`);
  const document = new DerReader(der, "CRL", malformed);
  const outer = document.open(DER.sequence, "CRL");
  document.finish();
  const tbs = outer.value(DER.sequence, "tbsCertList");
  const signatureAlgorithm = readSignatureAlgorithm(outer, "signatureAlgorithm");
  const signature = outer.byteString("signature");
  outer.finish();

  const body = outer.within(tbs.content, "tbsCertList");
  const isVersion2 = body.nextTag === DER.integer;
  if (isVersion2 && body.smallInteger("version") !== 1) throw malformed("the version is not 2");
  const innerAlgorithm = readSignatureAlgorithm(body, "signature algorithm");
  if (!isSameBytes(innerAlgorithm.bytes, signatureAlgorithm.bytes)) throw malformed("signed and outer signature algorithm differ");
  const issuer = readDistinguishedName(body, "issuer");
  const thisUpdate = body.time("thisUpdate");
  const nextUpdate = body.nextTag === DER.utcTime || body.nextTag === DER.generalizedTime ? body.time("nextUpdate") : undefined;
  const revoked = new Set<string>();
  const entries = body.openOptional(DER.sequence, "revokedCertificates");
  while (entries !== undefined && !entries.isDone) revoked.add(readRevoked(entries));
  const wrapped = isVersion2 ? body.openOptional(0xa0, "crlExtensions") : undefined;
  const extensions = wrapped === undefined ? new Map<string, Extension>() : readExtensions(wrapped);
  wrapped?.finish();
  body.finish();
  for (const { oid, isCritical } of extensions.values()) if (isCritical) throw malformed(`critical extension ${oid} is not supported`);
  readExtension(extensions.get(EXTENSION.crlNumber), malformed, (reader) => reader.integer("cRLNumber"));
  const authority = readExtension(extensions.get(EXTENSION.authorityKeyIdentifier), malformed, readAuthorityKeyIdentifier);
  return {
    der,
    signedBytes: tbs.bytes,
    signatureAlgorithm,
    signature,
    issuer,
    thisUpdate,
    nextUpdate,
    extensions,
    authorityKeyIdentifier: authority?.keyIdentifier,
    revoked,
  };
}

function readRevoked(entries: DerReader): string {
  const entry = entries.open(DER.sequence, "revoked certificate");
  const serial = serialNumberHex(entry.integer("serial number"));
  entry.time("revocationDate");
  if (!entry.isDone) {
    for (const { oid, isCritical } of readExtensions(entry).values()) {
      if (isCritical) throw malformed(`critical entry extension ${oid} is not supported`);
    }
  }
  entry.finish();
  return serial;
}

/** Which duty of its issuer a list neglects (RFC 5280 §5.2.1, §5.2.3); undefined when none. */
export function findListFault({ extensions, authorityKeyIdentifier }: RevocationList): string | undefined {
  if (authorityKeyIdentifier === undefined) return "the authority key identifier is missing";
  return extensions.has(EXTENSION.crlNumber) ? undefined : "the CRL number is missing";
}

/** A CRL that its issuer signed. Its dates and entries are looked at for each use. */
export interface VerifiedRevocationList {
  readonly list: RevocationList;
  readonly issuer: Certificate;
}

/** Verifies that `issuer` signed the list and may do so. Throws EVIDENCE_SIGNATURE: `crl-mismatch`, `crl-bad-signature`. */
export function verifyRevocationList(list: RevocationList, issuer: Certificate): VerifiedRevocationList {
  const named = () => `the CRL of ${describeName(list.issuer)}`;
  if (!isSameName(list.issuer, issuer.subject))
    throw refused("crl-mismatch", `${named()} is not issued by ${describeName(issuer.subject)}`);
  const { authorityKeyIdentifier: keyIdentifier } = list;
  const isOtherKey =
    keyIdentifier !== undefined && issuer.subjectKeyIdentifier !== undefined && !isSameBytes(keyIdentifier, issuer.subjectKeyIdentifier);
  if (isOtherKey) throw refused("crl-bad-signature", `${named()} names another key than that of its issuer`);
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.has("cRLSign")) {
    throw refused("crl-bad-signature", `${describeName(issuer.subject)} may not sign CRLs`);
  }
  const { scheme } = list.signatureAlgorithm;
  if (scheme === undefined)
    throw refused("crl-bad-signature", `${named()} is signed with the unsupported algorithm ${list.signatureAlgorithm.oid}`);
  if (!isSignedBy(scheme, publicKeyOf(issuer), list.signedBytes, list.signature)) {
    throw refused("crl-bad-signature", `${named()} is not signed by its issuer's key`);
  }
  return { list, issuer };
}

/** Throws EVIDENCE_STALE `crl-expired` unless `now` (milliseconds) lies within the list's dates. A list without nextUpdate is refused. */
export function assertRevocationListCurrent({ list }: VerifiedRevocationList, now: number): void {
  const named = () => `the CRL of ${describeName(list.issuer)}`;
  const dated = (field: string, order: string, found: string): Mismatch => ({ field, expected: `${order} ${iso(now)}`, found });
  const { thisUpdate, nextUpdate } = list;
  if (now < thisUpdate)
    throw stale(`${named()} starts on ${iso(thisUpdate)}`, dated("thisUpdate of the CRL", "not after", iso(thisUpdate)));
  if (nextUpdate === undefined)
    throw stale(`${named()} does not say when the next one comes`, dated("nextUpdate of the CRL", "not before", "none"));
  if (now > nextUpdate)
    throw stale(`${named()} ended on ${iso(nextUpdate)}`, dated("nextUpdate of the CRL", "not before", iso(nextUpdate)));
}

/** Whether the list, which must be of the certificate's issuer, names the certificate. */
export const isRevokedBy = ({ list }: VerifiedRevocationList, certificate: Certificate): boolean =>
  list.revoked.has(serialNumberHex(certificate.serialNumber));
const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();
const refused = (reason: EvidenceReason, message: string) => new EvidenceError("EVIDENCE_SIGNATURE", message, { reason });
const stale = (message: string, mismatch: Mismatch) =>
  new EvidenceError("EVIDENCE_STALE", message, { reason: "crl-expired", ...mismatch, remedy: "Fetch a fresh CRL from its issuer." });
