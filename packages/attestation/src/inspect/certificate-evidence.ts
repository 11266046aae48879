import { EvidenceError } from "../core/errors.ts";
import { decodeStrictCbor, TaggedCbor } from "../core/strict-cbor.ts";
import type { Certificate } from "../x509/certificate.ts";
import { DerReader } from "../x509/der-reader.ts";
import type { GeneralName } from "../x509/general-name.ts";

/** Intel's extension for a bare quote, as Gramine and other RA-TLS libraries use it. */
const INTEL_QUOTE = "1.2.840.113741.1337.6";
/** tcg-dice-TaggedEvidence: CBOR, a tag around a list of quote and claims (interoperable RA-TLS). */
const TAGGED_EVIDENCE = "2.23.133.5.4.9";
const TAGS = Array.from({ length: 10 }, (_, index) => 60_000 + index);
const EVIDENCE_MAX_BYTES = 256 * 1024;
/** First label of a DNS name with a Nitro document in hexadecimal, longer than any label that the DNS knows. */
const DOCUMENT_LABEL = /^(8444a1013822[0-9a-f]{100,})\./;

const malformed = (detail: string) =>
  new EvidenceError("EVIDENCE_MALFORMED", `evidence in a certificate: ${detail}`, { reason: "parse-error" });

/**
 * Finds the quote that an attested TLS certificate carries in an extension, or the Nitro document in one of its DNS names; undefined when there is
 * none. That its report data name the certificate's key is for the caller to check: without it the quote says nothing about who presents the
 * certificate. Throws EVIDENCE_MALFORMED.
 */
export function findCertificateEvidence({ extensions, subjectAltNames = [] }: Certificate): Uint8Array | undefined {
  const quote = extensions.get(INTEL_QUOTE);
  if (quote !== undefined) return unwrap(quote.value);
  const tagged = extensions.get(TAGGED_EVIDENCE);
  if (tagged === undefined) return findNamedDocument(subjectAltNames);
  const { value, rest } = decodeStrictCbor(unwrap(tagged.value), { maxBytes: EVIDENCE_MAX_BYTES, tags: TAGS }, malformed);
  const [evidence] = value instanceof TaggedCbor && Array.isArray(value.value) ? (value.value as readonly unknown[]) : [];
  if (!(evidence instanceof Uint8Array) || rest.length > 0) throw malformed("the tagged evidence is not a list that begins with a quote");
  return evidence;
}

function findNamedDocument(names: readonly GeneralName[]): Uint8Array | undefined {
  const [, label] =
    names.flatMap((name) => (name.kind === "dns" ? [DOCUMENT_LABEL.exec(name.text)] : [])).find((found) => found !== null) ?? [];
  return label === undefined || label.length % 2 !== 0 ? undefined : Uint8Array.fromHex(label);
}

/** Some libraries wrap the bytes in an OCTET STRING of their own. One that is empty wraps nothing: a bare quote of version 4 begins with the same bytes. */
function unwrap(value: Uint8Array): Uint8Array {
  if (value[0] !== 0x04 || value[1] === 0) return value;
  const reader = new DerReader(value, "extension", malformed);
  const inner = reader.octetString("evidence");
  reader.finish();
  return inner;
}
