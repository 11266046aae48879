/** Every output format of §12.2: a stored value and a format name give text or bytes. */
import { createPrivateKey } from "node:crypto";
import { encodeBase32, parsePem } from "@vouchsafe/policy";
import { armor } from "./pgp-key.ts";
import { encodePkcs12 } from "./pkcs12.ts";
import type { Randomness } from "./randomness.ts";
import { SecretError } from "./secret-error.ts";
import type { StoredCertificate, StoredSecret } from "./stored-secret.ts";

/** A secret as it goes to the program: text for arguments, variables and files, bytes for files only. */
export type Formatted = { readonly kind: "text"; readonly text: string } | { readonly kind: "bytes"; readonly bytes: Uint8Array };

const text = (value: string): Formatted => ({ kind: "text", text: value });
const bytes = (value: Uint8Array): Formatted => ({ kind: "bytes", bytes: value });

export interface FormatOptions {
  /** For messages. */
  readonly name: string;
  /** Needed by `pkcs12-with-private-key` only, for salt and initialisation vector. */
  readonly random: Randomness;
}

/**
 * Formats a stored secret. `format` is what follows the name, without the leading colon (`privatekey:pem`), or one of the deprecated suffixes `.crt`,
 * `.key`, `.chain`, `.hex`; undefined is the default of the kind. Throws `SecretError` FORMAT_UNKNOWN or PRIVATE_KEY_ABSENT.
 */
export function formatSecret(secret: StoredSecret, format: string | undefined, options: FormatOptions): Formatted {
  const result = formatByKind(secret, format, options);
  if (result !== undefined) return result;
  const asked = format === undefined ? "no default format" : `no format ${format.slice(0, 40)}`;
  throw new SecretError("FORMAT_UNKNOWN", options.name, `secret ${options.name} of kind ${secret.kind} has ${asked}`, { rule: "SL-115" });
}

function formatByKind(secret: StoredSecret, format: string | undefined, options: FormatOptions): Formatted | undefined {
  switch (secret.kind) {
    case "ascii":
      if (format === "previous") return text(secret.previous?.[0] ?? secret.text);
      return format === undefined ? text(secret.text) : undefined;
    case "binary":
      return formatBinary(secret, format);
    case "private-key":
      return formatPrivateKey(
        format === "previous" ? (secret.previous?.[0] ?? secret.pem) : secret.pem,
        format === "previous" ? undefined : format,
      );
    case "public-key":
      if (format === undefined || format === "spki:pem") return text(secret.pem);
      return format === "spki:der" ? bytes(derOf(secret.pem)) : undefined;
    case "x509":
    case "x509-ca":
      return formatCertificate(secret, format, options);
    case "pgp-key":
      return formatPgpKey(secret, format);
    case "config-fragment":
      return undefined;
    default:
      return secret satisfies never;
  }
}

function formatBinary(
  secret: { readonly hex: string; readonly previous?: readonly string[] | undefined },
  format: string | undefined,
): Formatted | undefined {
  const previous = format === "previous" || format?.startsWith("previous:") === true;
  const value = Uint8Array.fromHex(previous ? (secret.previous?.[0] ?? secret.hex) : secret.hex);
  switch (previous ? format?.slice("previous:".length) || undefined : format) {
    case undefined:
    case "bin":
      return bytes(value);
    case "hex":
    case ".hex":
      return text(value.toHex());
    case "base64":
      return text(value.toBase64());
    case "base64url":
      return text(value.toBase64({ alphabet: "base64url" }));
    case "base32":
      return text(encodeBase32(value));
    case "base32nopad":
      return text(encodeBase32(value, { padded: false }));
    default:
      return undefined;
  }
}

function derOf(pem: string): Uint8Array {
  const block = parsePem(pem)?.[0];
  if (block === undefined) throw new TypeError("a stored secret is no PEM");
  return block.der;
}

function formatPrivateKey(pem: string, format: string | undefined): Formatted | undefined {
  if (format === undefined || format === "pem" || format === "pkcs8:pem") return text(pem);
  return format === "der" || format === "pkcs8:der" ? bytes(derOf(pem)) : undefined;
}

function formatCertificate(secret: StoredCertificate, format: string | undefined, { name, random }: FormatOptions): Formatted | undefined {
  const { certificate, chain, privateKey } = secret;
  const key = () => {
    if (privateKey !== undefined) return privateKey;
    const message = `the private key of certificate ${name} is not available`;
    throw new SecretError("PRIVATE_KEY_ABSENT", name, message, {
      rule: "SL-122",
      remedy: "Let the exporting session export the private key too.",
    });
  };
  switch (format) {
    case undefined:
    case "crt":
    case "crt:pem":
    case ".crt":
      return text(certificate);
    case "crt:der":
      return bytes(derOf(certificate));
    case "privatekey":
    case "privatekey:pem":
    case "privatekey:pkcs8:pem":
    case ".key":
      return text(key());
    case "privatekey:der":
    case "privatekey:pkcs8:der":
      return bytes(derOf(key()));
    case "chain":
      return text(chain.join(""));
    case ".chain":
      return text([certificate, ...chain].toReversed().join(""));
    case "pkcs12-with-private-key":
      return bytes(encodePkcs12({ certificate: derOf(certificate), chain: chain.map(derOf), privateKey: createPrivateKey(key()) }, random));
    default:
      return undefined;
  }
}

function formatPgpKey(
  { privateKey, publicKey }: { readonly privateKey: string; readonly publicKey: string },
  format: string | undefined,
): Formatted | undefined {
  switch (format) {
    case "privatekey:asciiarmored":
      return text(armor("PRIVATE", privateKey));
    case "publickey:asciiarmored":
      return text(armor("PUBLIC", publicKey));
    case "privatekey:binary":
      return bytes(Uint8Array.fromBase64(privateKey));
    case "publickey:binary":
      return bytes(Uint8Array.fromBase64(publicKey));
    case "privatekey:base64":
      return text(privateKey);
    case "publickey:base64":
      return text(publicKey);
    default:
      return undefined;
  }
}
