import { explicitValue } from "./language/secret-values.ts";
import { Context } from "./reader.ts";
import { Reporter } from "./reporter.ts";
import type { SuppliedSecret } from "./session.ts";
import { SourceText } from "./source-text.ts";
import { jsonToYaml } from "./yaml-json.ts";

/** A value in the form in which a document would write it (§12.1): text, hexadecimal digits, PEM. */
export type SuppliedValue =
  | { readonly kind: "ascii" | "binary"; readonly text: string }
  | { readonly kind: "private-key"; readonly pem: string; readonly keyType: string }
  | { readonly kind: "x509" | "x509-ca"; readonly certificates: readonly string[] };

export type SuppliedReading =
  | { readonly kind: "ok"; readonly value: SuppliedValue }
  /** Says what was found and what is expected, never a part of the value (SL-5). */
  | { readonly kind: "refused"; readonly rule: string; readonly message: string; readonly expected: string };

const MAX_VALUE_BYTES = 65_536;

/** Reads the value of a secret that is supplied later, by the same rules as a `value` in the document. */
export function readSuppliedValue({ kind }: Pick<SuppliedSecret, "kind">, text: string): SuppliedReading {
  const refuse = (rule: string, message: string, expected: string) => ({ kind: "refused", rule, message, expected }) as const;
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_VALUE_BYTES * 2) return refuse("SL-15", `a value of ${bytes} bytes`, `at most ${MAX_VALUE_BYTES} bytes`);
  if (text.includes("\0")) return refuse("SL-19", "a value with U+0000", "text without it");
  if (text === "") return refuse("SL-103", "an empty value", "a value");
  const root = jsonToYaml({ kind, value: text }, { start: 0, end: 0 });
  const node = root.kind === "map" ? root.entries.get("value")?.value : undefined;
  if (node === undefined) throw new TypeError("a mapping lost its value");
  const reporter = new Reporter(new SourceText("", "<value>"));
  const place = { node, parent: { node: root, parent: undefined, key: undefined }, key: "value" };
  const read = explicitValue.read(place, new Context(reporter));
  if (read !== undefined && reporter.errorCount === 0) {
    if (read.form === "key") return { kind: "ok", value: { kind: "private-key", pem: read.pem, keyType: read.keyName } };
    if (read.form === "text" && (kind === "ascii" || kind === "binary")) return { kind: "ok", value: { kind, text: read.text } };
    if (read.form === "certificates" && (kind === "x509" || kind === "x509-ca"))
      return { kind: "ok", value: { kind, certificates: read.pem } };
  }
  const [first] = reporter.diagnostics(true).filter(({ severity }) => severity === "error");
  return refuse(first?.rule ?? "SL-103", first?.message ?? "a value of another kind", first?.expected ?? `a value of kind ${kind}`);
}
