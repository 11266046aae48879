import type { Findings } from "./diagnostic.ts";
import { type PlacedText, shortText } from "./manifest-reader.ts";
import { orList } from "./nearest.ts";

/** `$$SCONE::name:format|encoding$$` (MF-28 to MF-33). */
export interface SecretReference {
  readonly name: string;
  /** As written, with its first `:` or `.`; empty for none. */
  readonly format: string;
  readonly text: string;
}

export const SECRET_KINDS = [
  "ascii",
  "binary",
  "private-key",
  "public-key",
  "x509",
  "x509-ca",
  "pgp-key",
  "jwt",
  "aad-token",
  "config-fragment",
] as const;
export type SecretKind = (typeof SECRET_KINDS)[number];

const KEY_FORMATS = ["", ":pem", ":pkcs8:pem", ":der", ":pkcs8:der"];
const CERTIFICATE_FORMATS = [
  "",
  ":crt",
  ":crt:pem",
  ":crt:der",
  ":privatekey",
  ":privatekey:pem",
  ":privatekey:pkcs8:pem",
  ":privatekey:der",
  ":privatekey:pkcs8:der",
  ":chain",
  ":pkcs12-with-private-key",
  ".crt",
  ".key",
  ".chain",
];
const PGP_FORMATS = [":privatekey", ":publickey"].flatMap((part) => [part, `${part}:asciiarmored`, `${part}:binary`, `${part}:base64`]);
const FORMATS: Readonly<Record<SecretKind, readonly string[]>> = {
  ascii: [""],
  binary: ["", ":bin", ":hex", ":base64", ":base64url", ":base32", ":base32nopad", ".hex"],
  "private-key": KEY_FORMATS,
  "public-key": ["", ":spki:pem", ":spki:der"],
  x509: CERTIFICATE_FORMATS,
  "x509-ca": CERTIFICATE_FORMATS,
  "pgp-key": PGP_FORMATS,
  jwt: [""],
  "aad-token": [""],
  "config-fragment": [],
};
/** Formats whose value is bytes, not text. */
const RAW = new Set(["binary", "binary:bin"]);
const isRaw = (kind: SecretKind, format: string): boolean =>
  RAW.has(kind + format) || format.endsWith(":der") || format.endsWith(":binary") || format.includes("pkcs12");

const PREFIX = "$$SCONE::";

/** All references of a text. Findings: `E-SECRET-REF` for a missing end or an unknown encoding. */
export function findSecretReferences(text: PlacedText, findings: Findings): SecretReference[] {
  const references: SecretReference[] = [];
  for (let at = text.text.indexOf(PREFIX); at !== -1; at = text.text.indexOf(PREFIX, at + PREFIX.length)) {
    const end = text.text.indexOf("$$", at + PREFIX.length);
    const inside = end === -1 ? undefined : text.text.slice(at + PREFIX.length, end);
    const match = inside === undefined ? null : /^([A-Za-z_][A-Za-z0-9_-]*)((?:[.:][A-Za-z0-9-]+)*)(?:\|([^$|]*))?$/.exec(inside);
    if (match === null) {
      findings.add(text.at, "E-SECRET-REF", `a secret reference in ${text.at.path} has no closing $$`, {
        expected: "$$SCONE::name$$, optionally with a format",
      });
      continue;
    }
    const [, name = "", format = "", encoding] = match;
    if (encoding !== undefined && encoding !== "escape(json)") {
      findings.add(text.at, "E-SECRET-REF", `the encoding ${shortText(encoding)} is unknown`, { expected: "escape(json)" });
      continue;
    }
    references.push({ name, format, text: `${PREFIX}${inside}$$` });
  }
  return references;
}

/** Checks a reference against the kind of its secret. `rawAllowed`: the whole content of a file may be bytes (MF-48). */
export function checkSecretFormat(
  reference: SecretReference,
  kind: SecretKind,
  rawAllowed: boolean,
  text: PlacedText,
  findings: Findings,
): void {
  const formats = FORMATS[kind];
  const shown = (format: string): string => (format === "" ? "no format" : format);
  if (!formats.includes(reference.format)) {
    findings.add(
      text.at,
      "E-SECRET-FORMAT",
      `the secret ${reference.name} is of kind ${kind}, which has no format ${shown(reference.format)}`,
      {
        expected: formats.length === 0 ? "no use in programs" : `one of the formats of ${kind}: ${orList(formats.map(shown))}`,
      },
    );
  } else if (isRaw(kind, reference.format) && !rawAllowed) {
    findings.add(text.at, "E-SECRET-FORMAT", `the secret ${reference.name} would be raw bytes in a text`, {
      expected: "a text format, e.g. :hex or :base64",
    });
  }
}

/** Whether the reference needs the private key of a certificate (MF-33). */
export const needsPrivateKey = (reference: SecretReference): boolean =>
  reference.format === ".key" || reference.format.startsWith(":privatekey") || reference.format.startsWith(":pkcs12");
