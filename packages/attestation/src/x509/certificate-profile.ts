import { isSameBytes } from "../core/bytes.ts";
import { type Certificate, isSelfIssued } from "./certificate.ts";
import { commonNames, isEmptyName } from "./distinguished-name.ts";
import { EXTENSION } from "./extensions.ts";
import type { GeneralName } from "./general-name.ts";
import { isAddress, isCertificateDnsName, isDnsName } from "./subject-name.ts";

/**
 * How strictly certificates must be made, besides forming a valid path.
 * `vendor`: hardware vendors' own PKIs, which neglect some duties of an issuer (serial number 0, missing key identifiers): path validation only.
 * `rfc5280`: everything RFC 5280 §4 demands of a conforming CA. `webpki`: also the CA/Browser Forum's rules for TLS servers.
 */
export type CertificateProfile = "vendor" | "rfc5280" | "webpki";

export type CertificateRole = "anchor" | "intermediate" | "leaf";

const SERIAL_MAX_BYTES = 20;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";
const NEVER_CRITICAL: readonly string[] = [
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.authorityInfoAccess,
  EXTENSION.subjectInfoAccess,
];
const ALWAYS_CRITICAL_RFC5280: readonly string[] = [EXTENSION.nameConstraints, EXTENSION.policyConstraints, EXTENSION.inhibitAnyPolicy];
/** CA/Browser Forum BR 7.1.2.5.2 lets name constraints be non-critical. */
const ALWAYS_CRITICAL_WEBPKI: readonly string[] = [EXTENSION.policyConstraints, EXTENSION.inhibitAnyPolicy];

/** Which duty of its issuer a certificate neglects; undefined when none. */
export function findProfileFault(certificate: Certificate, role: CertificateRole, profile: CertificateProfile): string | undefined {
  if (profile === "vendor") return undefined;
  const fault =
    findGeneralFault(certificate, role, profile) ?? findAltNameFault(certificate) ?? findAuthorityFault(certificate, role, profile);
  return fault ?? (profile === "webpki" ? findWebFault(certificate, role) : undefined);
}

/** RFC 5280 §4.1.2 and the criticality of §4.2. */
function findGeneralFault(certificate: Certificate, role: CertificateRole, profile: CertificateProfile): string | undefined {
  const { serialNumber, extensions, subject, issuer } = certificate;
  const isPositive = (serialNumber[0] ?? 0) < 0x80 && serialNumber.some((octet) => octet !== 0);
  // An anchor is a name and a key (§6.1.1 d), and old roots in every store have the serial number 0.
  if (!isPositive && role !== "anchor") return "the serial number is not positive";
  if (serialNumber.length > SERIAL_MAX_BYTES) return `the serial number has more than ${SERIAL_MAX_BYTES} bytes`;
  if (isEmptyName(issuer)) return "the issuer is empty";
  const isCritical = (oid: string) => extensions.get(oid)?.isCritical;
  const wronglyCritical = NEVER_CRITICAL.find((oid) => isCritical(oid) === true);
  if (wronglyCritical !== undefined) return `extension ${wronglyCritical} is critical`;
  const mustBeCritical = profile === "webpki" ? ALWAYS_CRITICAL_WEBPKI : ALWAYS_CRITICAL_RFC5280;
  const notCritical = mustBeCritical.find((oid) => isCritical(oid) === false);
  if (notCritical !== undefined) return `extension ${notCritical} is not critical`;
  if (isEmptyName(subject)) {
    if (role !== "leaf") return "the subject of a CA is empty";
    if (isCritical(EXTENSION.subjectAltName) !== true) return "the subject is empty and its alternative names are not critical";
  }
  return undefined;
}

function findAltNameFault({ subjectAltNames = [] }: Certificate): string | undefined {
  for (const name of subjectAltNames) {
    if (name.kind === "dns" && !isCertificateDnsName(name.text))
      return `the alternative name ${JSON.stringify(name.text.slice(0, 80))} is not a host name`;
    if (name.kind === "ip" && !isAddress(name.bytes)) return `an address of ${name.bytes.length} bytes`;
    if ("text" in name && name.text === "") return "an empty alternative name";
  }
  return undefined;
}

/** Duties of CAs (§4.2.1.1, §4.2.1.2, §4.2.1.9, §4.2.1.10), and what others must not claim. */
function findAuthorityFault(certificate: Certificate, role: CertificateRole, profile: CertificateProfile): string | undefined {
  const { basicConstraints, keyUsage, authorityKeyIdentifier, subjectKeyIdentifier, extensions } = certificate;
  const needsAuthority = role !== "anchor" || (profile === "rfc5280" && !isSelfIssued(certificate));
  if (authorityKeyIdentifier?.keyIdentifier === undefined && needsAuthority) return "the authority key identifier is missing";
  if (basicConstraints?.isCa === true) {
    if (extensions.get(EXTENSION.basicConstraints)?.isCritical !== true) return "basic constraints of a CA are not critical";
    if (subjectKeyIdentifier === undefined) return "the subject key identifier of a CA is missing";
    return undefined;
  }
  if (keyUsage?.has("keyCertSign") === true) return "keyCertSign is set, but it is no CA";
  if (certificate.nameConstraints !== undefined) return "name constraints outside a CA certificate";
  return undefined;
}

/** Without an authority key identifier, or naming its own key there. */
function isOwnAuthority({ authorityKeyIdentifier, subjectKeyIdentifier }: Certificate): boolean {
  if (authorityKeyIdentifier?.keyIdentifier === undefined) return true;
  return subjectKeyIdentifier !== undefined && isSameBytes(authorityKeyIdentifier.keyIdentifier, subjectKeyIdentifier);
}

/** CA/Browser Forum Baseline Requirements 7.1.2. */
function findWebFault(certificate: Certificate, role: CertificateRole): string | undefined {
  const { authorityKeyIdentifier, extKeyUsage, basicConstraints, subject, subjectAltNames, extensions } = certificate;
  if (role === "anchor") {
    if (extKeyUsage !== undefined) return "a root has extended key usages";
    if (authorityKeyIdentifier !== undefined && authorityKeyIdentifier.keyIdentifier === undefined)
      return "a root's authority key identifier lacks the key identifier";
    // BR 7.1.2.1.3; an anchor that is itself issued by another names that one
    if (isSelfIssued(certificate) && !isOwnAuthority(certificate)) return "a root's authority key identifier is not that of its own key";
  }
  if (authorityKeyIdentifier?.hasIssuerAndSerial === true) return "the authority key identifier names issuer or serial number";
  if (role !== "leaf") return undefined;
  if (basicConstraints?.isCa === true) return "a server's certificate is that of a CA";
  if (extKeyUsage?.has(SERVER_AUTH) !== true) return "serverAuth is missing";
  if (extKeyUsage.has(ANY_EXTENDED_KEY_USAGE)) return "any extended key usage is allowed";
  if (extensions.get(EXTENSION.extKeyUsage)?.isCritical === true) return "extended key usages are critical";
  if (subjectAltNames === undefined) return "there are no alternative names";
  const isCritical = extensions.get(EXTENSION.subjectAltName)?.isCritical;
  if (isCritical === true && !isEmptyName(subject)) return "alternative names are critical though there is a subject";
  const stranger = commonNames(subject).find((name) => !isAlternative(name, subjectAltNames));
  return stranger === undefined
    ? undefined
    : `the common name ${JSON.stringify(stranger.slice(0, 80))} is not one of the alternative names`;
}

/**
 * BR 7.1.4.3: a common name is a copy, letter by letter, of an alternative name; addresses are written as in RFC 5952. Two liberties, neither
 * of which lets a name in: a host name beside addresses alone, and the domain above a wildcard.
 */
function isAlternative(commonName: string, names: readonly GeneralName[]): boolean {
  const isHost = isDnsName(commonName) && /\.[A-Za-z][^.]*$/.test(commonName);
  const hosts = names.flatMap((name) => (name.kind === "dns" ? name.text : []));
  if (isHost && hosts.length === 0) return true;
  if (hosts.some((host) => host === commonName || host === `*.${commonName}`)) return true;
  return names.some((name) => name.kind === "ip" && formatAddress(name.bytes) === commonName);
}

/** 4 or 16 bytes: others were refused before. */
function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const words = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16));
  const runs = [...words.join(":").matchAll(/(?<![\da-f])0(?::0)+(?![\da-f])/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  if (longest === undefined) return words.join(":");
  const text = words.join(":");
  return `${text.slice(0, longest.index).replace(/:$/, "")}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}
