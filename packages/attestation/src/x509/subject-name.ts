import { isSameBytes } from "../core/bytes.ts";
import type { Certificate } from "./certificate.ts";

/** What the Relying Party calls its peer. */
export type SubjectName =
  | { readonly kind: "dns" | "email"; readonly text: string }
  /** 4 or 16 bytes. */
  | { readonly kind: "ip"; readonly bytes: Uint8Array };

const DNS_NAME_MAX = 253;
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** A host name in the preferred syntax of RFC 1034 §3.5, as RFC 5280 §4.2.1.6 demands: no underscore, no trailing dot, no wildcard. */
export function isDnsName(text: string): boolean {
  return text.length <= DNS_NAME_MAX && text.split(".").every((label) => LABEL.test(label));
}

export const isAddress = (bytes: Uint8Array): boolean => bytes.length === 4 || bytes.length === 16;

/** A dNSName that may stand in a certificate: a host name, or one whose whole first label is `*` above at least two others (RFC 6125 §6.4.3). */
export function isCertificateDnsName(text: string): boolean {
  if (!text.startsWith("*.")) return isDnsName(text);
  return isDnsName(text.slice(2)) && text.slice(2).includes(".");
}

/** Whether a subject alternative name of the certificate is this name. The common name is never looked at (RFC 9525 §6.3). */
export function isNamed({ subjectAltNames = [] }: Certificate, wanted: SubjectName): boolean {
  return subjectAltNames.some((name) => {
    if (wanted.kind === "ip") return name.kind === "ip" && isAddress(name.bytes) && isSameBytes(name.bytes, wanted.bytes);
    if (name.kind !== wanted.kind) return false;
    return wanted.kind === "dns" ? isHostCovered(wanted.text, name.text) : wanted.text === name.text;
  });
}

function isHostCovered(host: string, pattern: string): boolean {
  if (!isCertificateDnsName(pattern) || !isDnsName(host)) return false;
  const [name, presented] = [host.toLowerCase(), pattern.toLowerCase()];
  if (!presented.startsWith("*.")) return name === presented;
  return name.slice(name.indexOf(".") + 1) === presented.slice(2);
}
