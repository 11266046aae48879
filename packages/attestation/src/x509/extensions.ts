import { DER, DerReader, type Malformed, readList, readNamedBits } from "./der-reader.ts";
import { type GeneralName, readGeneralName, readGeneralNames } from "./general-name.ts";

export interface Extension {
  readonly oid: string;
  readonly isCritical: boolean;
  /** Content of extnValue. */
  readonly value: Uint8Array;
}

export const EXTENSION = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  issuerAltName: "2.5.29.18",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  deltaCrlIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  nameConstraints: "2.5.29.30",
  crlDistributionPoints: "2.5.29.31",
  certificatePolicies: "2.5.29.32",
  policyMappings: "2.5.29.33",
  authorityKeyIdentifier: "2.5.29.35",
  policyConstraints: "2.5.29.36",
  extKeyUsage: "2.5.29.37",
  inhibitAnyPolicy: "2.5.29.54",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
  subjectInfoAccess: "1.3.6.1.5.5.7.1.11",
} as const;

/** Bits of KeyUsage in the order of RFC 5280 §4.2.1.3. */
const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export interface BasicConstraints {
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export interface AuthorityKeyIdentifier {
  readonly keyIdentifier: Uint8Array | undefined;
  readonly hasIssuerAndSerial: boolean;
}

export interface PolicyConstraints {
  readonly requireExplicitPolicy: number | undefined;
  readonly inhibitPolicyMapping: number | undefined;
}

export interface PolicyMapping {
  readonly issuerPolicy: string;
  readonly subjectPolicy: string;
}

const EXTENSIONS_MAX = 64;
const LIST_MAX = 256;
const SUBTREES_MAX = 4096;

/** Reads Extensions: at least one, each oid once (RFC 5280 §4.2). */
export function readExtensions(reader: DerReader): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  readList(reader.open(DER.sequence, "extensions"), EXTENSIONS_MAX, "extensions", (list) => {
    const extension = list.open(DER.sequence, "extension");
    const oid = extension.oid("extension id");
    const isCritical = extension.nextTag === DER.boolean && extension.boolean("critical");
    const value = extension.octetString(`extension ${oid}`);
    extension.finish();
    if (extensions.has(oid)) throw list.fail(`extension ${oid} occurs twice`);
    extensions.set(oid, { oid, isCritical, value });
  });
  return extensions;
}

/** Reads the value of one extension; the reader must be empty afterwards. */
export function readExtension<T>(extension: Extension | undefined, malformed: Malformed, read: (reader: DerReader) => T): T | undefined {
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value, `extension ${extension.oid}`, malformed);
  const value = read(reader);
  reader.finish();
  return value;
}

export function readBasicConstraints(outer: DerReader): BasicConstraints {
  const reader = outer.open(DER.sequence, "basicConstraints");
  const isCa = reader.nextTag === DER.boolean && reader.boolean("cA");
  const pathLength = reader.nextTag === DER.integer ? reader.smallInteger("pathLenConstraint") : undefined;
  reader.finish();
  return { isCa, pathLength };
}

export function readKeyUsage(reader: DerReader): ReadonlySet<KeyUsage> {
  const bits = readNamedBits(reader, "keyUsage");
  if (bits.length === 0 || bits.length > KEY_USAGES.length) throw reader.fail("keyUsage has no bit, or unknown bits");
  return new Set(KEY_USAGES.filter((_, index) => bits[index] === true));
}

export function readExtKeyUsage(outer: DerReader): ReadonlySet<string> {
  return new Set(readList(outer.open(DER.sequence, "extKeyUsage"), LIST_MAX, "key purposes", (list) => list.oid("key purpose")));
}

export const readAltNames = (outer: DerReader): readonly GeneralName[] =>
  readGeneralNames(outer.open(DER.sequence, "names"), "alternative names");

export function readNameConstraints(outer: DerReader): NameConstraints {
  const reader = outer.open(DER.sequence, "nameConstraints");
  const subtrees = (tag: number): readonly GeneralName[] => {
    const list = reader.openOptional(tag, "subtrees");
    if (list === undefined) return [];
    return readList(list, SUBTREES_MAX, "subtrees", (trees) => {
      const subtree = trees.open(DER.sequence, "subtree");
      const base = readGeneralName(subtree, "subtree");
      if (base.kind === "ip" && !isAddressWithMask(base.bytes)) throw subtree.fail("an IP range is not an address and a mask");
      subtree.finish(); // minimum is 0, its default, and maximum is absent (RFC 5280 §4.2.1.10)
      return base;
    });
  };
  const constraints = { permitted: subtrees(0xa0), excluded: subtrees(0xa1) };
  reader.finish();
  if (constraints.permitted.length + constraints.excluded.length === 0) throw outer.fail("name constraints are empty");
  return constraints;
}

/** Address and mask of IPv4 or IPv6, the mask a run of ones followed by zeros. */
function isAddressWithMask(bytes: Uint8Array): boolean {
  if (bytes.length !== 8 && bytes.length !== 32) return false;
  const mask = [...bytes.subarray(bytes.length / 2)].map((octet) => octet.toString(2).padStart(8, "0")).join("");
  return !mask.includes("01");
}

export function readAuthorityKeyIdentifier(outer: DerReader): AuthorityKeyIdentifier {
  const reader = outer.open(DER.sequence, "authorityKeyIdentifier");
  const keyIdentifier = reader.optional(0x80, "keyIdentifier")?.content;
  const issuer = reader.openOptional(0xa1, "authorityCertIssuer");
  if (issuer !== undefined) readGeneralNames(issuer, "authorityCertIssuer");
  const serial = reader.optional(0x82, "authorityCertSerialNumber");
  reader.finish();
  if ((issuer === undefined) !== (serial === undefined)) throw outer.fail("authorityCertIssuer and authorityCertSerialNumber go together");
  return { keyIdentifier, hasIssuerAndSerial: issuer !== undefined };
}

export function readCertificatePolicies(outer: DerReader): ReadonlySet<string> {
  const policies = readList(outer.open(DER.sequence, "certificatePolicies"), LIST_MAX, "policies", (list) => {
    const policy = list.open(DER.sequence, "policy");
    const id = policy.oid("policy id");
    if (!policy.isDone) policy.value(DER.sequence, "policy qualifiers");
    policy.finish();
    return id;
  });
  if (new Set(policies).size !== policies.length) throw outer.fail("a policy occurs twice");
  return new Set(policies);
}

export function readPolicyMappings(outer: DerReader): readonly PolicyMapping[] {
  return readList(outer.open(DER.sequence, "policyMappings"), LIST_MAX, "mappings", (list) => {
    const mapping = list.open(DER.sequence, "mapping");
    const pair = { issuerPolicy: mapping.oid("issuer policy"), subjectPolicy: mapping.oid("subject policy") };
    mapping.finish();
    return pair;
  });
}

export function readPolicyConstraints(outer: DerReader): PolicyConstraints {
  const reader = outer.open(DER.sequence, "policyConstraints");
  const count = (tag: number, field: string) => (reader.nextTag === tag ? reader.smallInteger(field, tag) : undefined);
  const requireExplicitPolicy = count(0x80, "requireExplicitPolicy");
  const inhibitPolicyMapping = count(0x81, "inhibitPolicyMapping");
  reader.finish();
  if (requireExplicitPolicy === undefined && inhibitPolicyMapping === undefined) throw outer.fail("policy constraints are empty");
  return { requireExplicitPolicy, inhibitPolicyMapping };
}

/** AuthorityInfoAccess and SubjectInfoAccess: checked for form only. */
export function readInfoAccess(outer: DerReader): void {
  readList(outer.open(DER.sequence, "infoAccess"), LIST_MAX, "descriptions", (list) => {
    const description = list.open(DER.sequence, "description");
    description.oid("access method");
    readGeneralName(description, "access location");
    description.finish();
  });
}
