import { encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { type Certificate, parsePemCertificates } from "../x509/certificate.ts";
import type { CertificateProfile } from "../x509/certificate-profile.ts";
import type { PathOptions } from "../x509/certification-path.ts";
import type { KeyUsage } from "../x509/extensions.ts";
import { findCertificationPath } from "../x509/find-certification-path.ts";
import { parseRevocationList } from "../x509/revocation-list.ts";
import type { SubjectName } from "../x509/subject-name.ts";

/** A test case of x509-limbo, as far as validation depends on it. */
export interface LimboTest {
  readonly id: string;
  readonly features: readonly string[];
  readonly validation_kind: "SERVER" | "CLIENT";
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly key_usage: readonly string[];
  readonly extended_key_usage: readonly string[];
  readonly expected_result: "SUCCESS" | "FAILURE";
  readonly expected_peer_name: { readonly kind: string; readonly value: string } | null;
  readonly max_chain_depth: number | null;
  readonly crls: readonly string[];
}

const PURPOSES = { SERVER: "1.3.6.1.5.5.7.3.1", CLIENT: "1.3.6.1.5.5.7.3.2" } as const;

/** Why the path of a test is refused; undefined when it is accepted. Throws what is no EvidenceError. */
export function findPathFault(test: LimboTest, now: Date): string | undefined {
  const read = (pem: string): Certificate => {
    const [certificate] = parsePemCertificates(encodeUtf8(pem));
    if (certificate === undefined) throw new TypeError(`${test.id} has an empty PEM`);
    return certificate;
  };
  try {
    const options: PathOptions = {
      anchors: test.trusted_certs.flatMap((pem) => readable(pem, read)),
      now: test.validation_time === null ? now : new Date(test.validation_time),
      profile: profileOf(test.id),
      extKeyUsage: PURPOSES[test.validation_kind],
      keyUsage: test.key_usage as readonly KeyUsage[], // limbo spells them as RFC 5280 does
      ...(test.expected_peer_name === null ? {} : { subject: subjectOf(test.expected_peer_name) }),
      ...(test.max_chain_depth === null ? {} : { maxIntermediates: test.max_chain_depth }),
      ...(test.crls.length === 0 ? {} : { revocation: { lists: test.crls.map(readList), missing: "accept" as const } }),
    };
    findCertificationPath(
      read(test.peer_certificate),
      test.untrusted_intermediates.flatMap((pem) => readable(pem, read)),
      options,
    );
    return undefined;
  } catch (error) {
    if (error instanceof EvidenceError) return `${error.reason}: ${error.message}`;
    throw error;
  }
}

/** The first part of a test's name says which rules it speaks about; those named after a CVE are made for the CA/Browser Forum's. */
const profileOf = (id: string): CertificateProfile => (/^(webpki|cve)::/.test(id) ? "webpki" : "rfc5280");

/** Other certificates than the leaf that nobody can read are as good as absent. */
function readable(pem: string, read: (pem: string) => Certificate): readonly Certificate[] {
  try {
    return [read(pem)];
  } catch (error) {
    if (error instanceof EvidenceError) return [];
    throw error;
  }
}

const readList = (pem: string) =>
  parseRevocationList(Uint8Array.fromBase64(pem.replace(/-----[A-Z0-9 ]+-----/g, ""), { lastChunkHandling: "strict" }));

function subjectOf({ kind, value }: { readonly kind: string; readonly value: string }): SubjectName {
  if (kind === "IP") return { kind: "ip", bytes: parseAddress(value) };
  return { kind: kind === "DNS" ? "dns" : "email", text: value };
}

function parseAddress(text: string): Uint8Array {
  if (!text.includes(":")) return Uint8Array.from(text.split(".").map(Number));
  const [head = "", tail] = text.split("::");
  const words = (part: string) => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)));
  const end = tail === undefined ? [] : words(tail);
  const start = words(head);
  const all = tail === undefined ? start : [...start, ...new Array<number>(8 - start.length - end.length).fill(0), ...end];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
