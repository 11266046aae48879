import { formatIpAddress, parseIpAddress } from "../ip-address.ts";
import { mapping } from "../mapping.ts";
import { type Context, integer, list, literal, oneOf, type Place, quote, type Reader } from "../reader.ts";
import { INSTANCE_ID, INSTANCE_ID_CHARACTERS } from "../secret-scope.ts";
import type { CertificateControl, SubjectAltName } from "../session.ts";

const MAX_DNS = 253;

/** SL-129: LDH labels (underscore allowed), `*` only as the whole first label, no trailing dot. */
export function dnsProblem(name: string): string | undefined {
  if (name.length > MAX_DNS) return `a DNS name of ${name.length} characters`;
  const labels = name.split(".");
  if (labels[0] === "*" && labels.length > 1) labels.shift();
  if (labels.every((part) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(part))) return undefined;
  return `\`dns:${name.slice(0, 80)}\` is no host name`;
}

function readSan(text: string, place: Place, context: Context): SubjectAltName | undefined {
  const fail = (message: string) =>
    context.error(place, { rule: "SL-129", message, expected: `\`dns:…\` with a host name or \`ip:…\` with an address` });
  if (text.startsWith("dns:")) {
    const value = text.slice(4);
    const problem = dnsProblem(value);
    return problem === undefined ? { kind: "dns", value } : fail(problem);
  }
  if (text.startsWith("ip:")) {
    const bytes = parseIpAddress(text.slice(3));
    return bytes === undefined ? fail(`${quote(text)} is no address`) : { kind: "ip", value: formatIpAddress(bytes) };
  }
  if (text.startsWith("uri:")) {
    const value = text.slice(4);
    if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[\x21-\x7e]{1,2000}$/.test(value)) return { kind: "uri", value };
    return fail(`${quote(text)} is no absolute URI`);
  }
  return context.error(place, {
    rule: "SL-129",
    message: `${quote(text)} has no type`,
    expected: `\`dns:${text.slice(0, 80)}\` or \`ip:…\``,
  });
}

const plainSan = literal("SL-129", "a text such as `dns:a.example`", readSan);

/** Names of certificates that each instance gets for itself may hold its id (extension `scope`). */
function readSanOfInstance(text: string, place: Place, context: Context): SubjectAltName | undefined {
  const read = readSan(text.replaceAll(INSTANCE_ID, "0".repeat(INSTANCE_ID_CHARACTERS)), place, context);
  return read && { kind: read.kind, value: text.slice(text.indexOf(":") + 1) };
}

const sanItem: Reader<SubjectAltName> = {
  ...plainSan,
  read(place, context) {
    const { node } = place;
    if (node.kind === "scalar" && node.text.includes(INSTANCE_ID) && !node.text.replaceAll(INSTANCE_ID, "").includes("$$SCONE:"))
      return readSanOfInstance(node.text, place, context);
    if (node.kind !== "map") return plainSan.read(place, context);
    const [entry] = node.entries.values();
    const value = entry?.value.kind === "scalar" ? entry.value.text : "…";
    return context.errorMissing(place, {
      rule: "SL-129",
      message: "a mapping",
      expected: `a quoted string \`"${entry?.key.text ?? "dns"}:${value.slice(0, 80)}"\``,
    });
  },
};

const sanOptions = { rule: "SL-129", expected: "a text or a list of texts", single: true };

export const subjectAltNames: Reader<readonly SubjectAltName[]> = list(sanItem, {
  ...sanOptions,
  nonEmpty: { rule: "SL-129", expected: "at least one name" },
});

export const dnsNames: Reader<readonly SubjectAltName[]> = list(
  literal<SubjectAltName>("SL-129", "a host name", (text, place, context) => {
    const problem = dnsProblem(text);
    return problem === undefined
      ? { kind: "dns", value: text }
      : context.error(place, { rule: "SL-129", message: problem, expected: "a host name" });
  }),
  sanOptions,
);

export const commonName: Reader<string> = literal("SL-130", "1–64 characters", (text, place, context) => {
  const length = [...text].length;
  if (length >= 1 && length <= 64) return text;
  return context.error(place, { rule: "SL-130", message: `${length} characters`, expected: "1–64 characters" });
});

export const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
] as const;

export const EXTENDED_KEY_USAGES = ["serverAuth", "clientAuth", "codeSigning", "emailProtection", "timeStamping", "OCSPSigning"] as const;
export const SUBJECT_ATTRIBUTES = ["C", "ST", "L", "O", "OU"] as const;

const RULE = "SL-132";

const subjectText = literal(RULE, "1–64 characters", (text, place, context) => {
  const length = [...text].length;
  return length >= 1 && length <= 64
    ? text
    : context.error(place, { rule: RULE, message: `${length} characters`, expected: "1–64 characters" });
});

const country = literal(RULE, "two capital letters", (text, place, context) =>
  /^[A-Z]{2}$/.test(text) ? text : context.error(place, { rule: RULE, message: quote(text), expected: "two capital letters" }),
);

const subject = mapping(
  {
    C: { reader: country, doc: "Country." },
    ST: { reader: subjectText, doc: "State or province." },
    L: { reader: subjectText, doc: "Locality." },
    O: { reader: subjectText, doc: "Organisation." },
    OU: { reader: subjectText, doc: "Organisational unit." },
  } as const,
  { rule: RULE, expected: "a mapping with O, OU, …" },
  (raw) => SUBJECT_ATTRIBUTES.flatMap((attribute) => (raw[attribute] === undefined ? [] : [{ attribute, value: raw[attribute] }])),
);

const listOf = <T>(item: Reader<T>, what: string) =>
  list(item, { rule: RULE, expected: `a list of ${what}`, nonEmpty: { rule: RULE, expected: `at least one of ${what}` } });

const permittedDomain = literal(RULE, "a domain", (text, place, context) =>
  dnsProblem(text) === undefined && !text.startsWith("*")
    ? text
    : context.error(place, { rule: RULE, message: quote(text), expected: "a domain such as `example.org`" }),
);

const instant = literal(RULE, "an instant", (text, place, context) => {
  const isIso = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/.test(text);
  const time = isIso ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time) && new Date(time).toISOString() === `${text.slice(0, -1)}.000Z`) return text;
  return context.error(place, { rule: RULE, message: quote(text), expected: "e.g. `2030-01-01T00:00:00Z`" });
});

const uri = literal(RULE, "an absolute URI", (text, place, context) => {
  const san = readSan(`uri:${text}`, place, context);
  return san?.value;
});

/** Extension: full control over a certificate (§23). */
export const certificateControl: Reader<CertificateControl> = mapping(
  {
    subject: { reader: subject, doc: "Attributes of the subject beside the common name." },
    key_usage: { reader: listOf(oneOf(RULE, KEY_USAGES), "key usages"), doc: "Instead of the profile's key usage." },
    ext_key_usage: { reader: listOf(oneOf(RULE, EXTENDED_KEY_USAGES), "extended key usages"), doc: "Instead of what `endpoint` gives." },
    name_constraints: {
      reader: mapping(
        { permitted_dns: { reader: listOf(permittedDomain, "domains"), doc: "Domains below which names may be issued." } } as const,
        { rule: RULE, expected: "a mapping with `permitted_dns`" },
        (raw) => ({ permittedDns: raw.permitted_dns ?? [] }),
      ),
      doc: "Names a CA may issue.",
    },
    uris: { reader: listOf(uri, "URIs"), doc: "URI names, for instance SPIFFE identities." },
    not_after: { reader: instant, doc: "Fixed end of validity." },
    max_path_len: { reader: integer(RULE, 0, 16), doc: "Number of CAs that may follow below." },
  } as const,
  { rule: RULE, expected: "a mapping with subject, key_usage, …" },
  (raw) => ({
    subject: raw.subject ?? [],
    keyUsage: raw.key_usage,
    extKeyUsage: raw.ext_key_usage,
    permittedDns: raw.name_constraints?.permittedDns ?? [],
    uris: raw.uris ?? [],
    notAfter: raw.not_after,
    maxPathLength: raw.max_path_len,
  }),
);
