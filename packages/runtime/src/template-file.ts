import { RuntimeError } from "./runtime-error.ts";

const PLACEHOLDER = /\$\$SCONE::((?:self::)?[A-Za-z0-9_.~-]+(?::[a-z0-9:-]+)?)(\|escape\(json\))?\$\$/g;

/**
 * Fills the placeholders of a template file of the image (MF-45). `values`: by `NAME[:FORMAT]`, base64. One pass: replaced text is not read again.
 * Throws R-VIEW for a placeholder that the policy does not provide.
 */
export function fillTemplate(path: string, template: Uint8Array, values: Readonly<Record<string, string>>): Uint8Array {
  const text = Buffer.from(template).toString("latin1"); // one character a byte: what is no placeholder stays as it is
  const filled = text.replace(PLACEHOLDER, (_, name: string, encoding: string | undefined) => {
    const value = values[name];
    if (value === undefined) {
      throw new RuntimeError("R-VIEW", `template ${path} asks for ${name}, which the policy does not provide`, {
        remedy: "Define or import the secret in the service's manifest, or remove the placeholder.",
      });
    }
    const bytes = Buffer.from(value, "base64");
    if (encoding === undefined) return bytes.toString("latin1");
    const escaped = JSON.stringify(new TextDecoder("utf-8", { fatal: true }).decode(bytes)).slice(1, -1);
    return Buffer.from(escaped, "utf8").toString("latin1");
  });
  return Buffer.from(filled, "latin1");
}
