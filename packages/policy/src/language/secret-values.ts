import { encodePem, parsePem } from "../pem.ts";
import { readPrivateKey, readPublicKey } from "../private-key.ts";
import { type Context, isNullNode, type Place, quote, type Reader, stringNode } from "../reader.ts";
import { type JsonValue, SECRET_KINDS, type SecretKind } from "../session.ts";
import type { YamlNode } from "../yaml-document.ts";
import { yamlToJson } from "../yaml-json.ts";
import { readCertificate } from "./access.ts";

/** A `value` as it stands in the document, by kind (§12.1). */
export type ExplicitValue =
  | { readonly form: "text"; readonly text: string }
  | { readonly form: "key"; readonly pem: string; readonly keyName: string }
  | { readonly form: "certificates"; readonly pem: readonly string[] }
  | { readonly form: "json"; readonly json: JsonValue }
  /** The kind is unknown or admits no value; reported elsewhere. */
  | { readonly form: "unread" };

const NO_VALUE: readonly SecretKind[] = ["jwt", "aad-token", "pgp-key"];

function siblingKind(place: Place): string | undefined {
  const parent: YamlNode | undefined = place.parent?.node;
  const kind = parent?.kind === "map" ? parent.entries.get("kind")?.value : undefined;
  return kind?.kind === "scalar" ? kind.text : undefined;
}

/** The value's form depends on the `kind` beside it. */
export const explicitValue: Reader<ExplicitValue> = {
  read(place, context) {
    const kind = SECRET_KINDS.find((known) => known === siblingKind(place));
    if (kind === undefined || NO_VALUE.includes(kind)) return { form: "unread" };
    if (kind === "config-fragment") return readFragment(place, context);
    const node = stringNode(place, context, "SL-14", "a string");
    if (node === undefined) return undefined;
    const { text } = node;
    if (kind === "ascii") return readAscii(text, place, context);
    if (kind === "binary") return readBinary(text, place, context);
    if (kind === "private-key") return readKey(text, place, context);
    if (kind === "public-key") {
      const pem = readPublicKey(text);
      return pem === undefined
        ? hidden(place, context, "SL-109", "no PEM public key", "a PEM SubjectPublicKeyInfo")
        : { form: "key", pem, keyName: "" };
    }
    return readCertificates(text, place, context);
  },
  schema: () => ({ description: "The value itself: text, hexadecimal digits, PEM, or any YAML for a config-fragment." }),
};

function hidden(place: Place, context: Context, rule: string, message: string, expected: string): undefined {
  return context.error(place, { rule, message, expected });
}

function readAscii(text: string, place: Place, context: Context): ExplicitValue {
  if (/[^\u0001-\u007f]/.test(text)) {
    const message = "a value with characters outside ASCII; it is kept as UTF-8";
    context.error(place, { severity: "warning", rule: "SL-103", message, expected: "ASCII" });
  }
  return { form: "text", text };
}

function readBinary(text: string, place: Place, context: Context): ExplicitValue | undefined {
  const expected = "an even number of hexadecimal digits";
  const length = [...text].length;
  if (/[^0-9a-fA-F]/.test(text)) return hidden(place, context, "SL-17", `${length} characters, not all hexadecimal`, expected);
  if (length === 0 || length % 2 !== 0) return hidden(place, context, "SL-17", `${length} digits`, expected);
  return { form: "text", text: text.toLowerCase() };
}

function readKey(text: string, place: Place, context: Context): ExplicitValue | undefined {
  const reading = readPrivateKey(text);
  if (reading.kind === "ok") return { form: "key", pem: reading.pem, keyName: reading.name };
  const expected = "unencrypted PKCS#8: `openssl pkcs8 -topk8 -nocrypt -in k.pem`";
  return hidden(place, context, "SL-107", reading.message, expected);
}

function readCertificates(text: string, place: Place, context: Context): ExplicitValue | undefined {
  const blocks = parsePem(text) ?? [];
  const pem: string[] = [];
  for (const { label, der } of blocks) {
    const certificate = label === "CERTIFICATE" ? readCertificate(encodePem(label, der)) : undefined;
    if (certificate === undefined)
      return hidden(place, context, "SL-127", `a PEM ${label.toLowerCase()} that is no certificate`, "PEM certificates");
    pem.push(certificate.pem);
  }
  if (pem.length === 0) return hidden(place, context, "SL-127", "not PEM", "PEM: the certificate, then its chain");
  return { form: "certificates", pem };
}

function readFragment(place: Place, context: Context): ExplicitValue | undefined {
  if (isNullNode(place.node)) return hidden(place, context, "SL-21", "null", "any value but null");
  return { form: "json", json: yamlToJson(place.node) };
}

/** Kind of a secret (SL-102). */
export function readKind(text: string, place: Place, context: Context): SecretKind | undefined {
  const kind = SECRET_KINDS.find((known) => known === text);
  if (kind !== undefined) return kind;
  const expected = SECRET_KINDS.map((known) => `\`${known}\``).join(", ");
  if (text === "session-ca") {
    return context.error(place, { rule: "SL-102", message: "`session-ca` is not a kind since 0.3", expected, hint: "define an `x509-ca`" });
  }
  return context.error(place, { rule: "SL-102", message: `${quote(text)} is not a kind`, expected });
}
