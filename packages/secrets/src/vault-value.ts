/** What lies in an external vault, as a value of a session (SL-151 to SL-153). */
import { createDecipheriv, createPrivateKey, X509Certificate } from "node:crypto";
import { encodePem, type JsonValue, keyTypeOf, parsePem, readPrivateKey, readPublicKey, type SecretKind } from "@vouchsafe/policy";
import type { StoredSecret } from "./stored-secret.ts";

/** A secret as a vault answers it. */
export interface VaultEntry {
  readonly value: string;
  /** Stored type, for instance `binary`, `PKCS#1`, `application/x-pem-file`; empty where the vault says none. */
  readonly contentType: string;
}

export type VaultValue =
  | { readonly kind: "ok"; readonly value: StoredSecret }
  /** Says what was found, never a part of it (SL-5). */
  | { readonly kind: "unusable"; readonly problem: string };

const HEADER = Uint8Array.of(0x00, 0xa1, 0x00, 0x02);
const LENGTH_BYTES = 2;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const MAX_CERTIFICATES = 32;

const unusable = (problem: string): VaultValue => ({ kind: "unusable", problem });

/**
 * Reads an entry. `decryptionKey` has 32 bytes where the session names one (SL-152). `kind` is what the session says that the value is: without it, PEM
 * certificates become `x509`, bytes `binary`, and anything else text.
 */
export function vaultValue(entry: VaultEntry, decryptionKey: Uint8Array | undefined, kind: SecretKind | undefined): VaultValue {
  if (decryptionKey === undefined) return readText(entry.value, kind);
  if (decryptionKey.length !== KEY_BYTES) return unusable(`the decryption key has ${decryptionKey.length} bytes; expected ${KEY_BYTES}`);
  const plain = decrypt(entry.value, decryptionKey);
  if (typeof plain === "string") return unusable(plain);
  if (entry.contentType === "binary") return fitting({ kind: "binary", hex: plain.toHex() }, kind);
  if (entry.contentType === "PKCS#1") return readRsaKey(plain, kind);
  try {
    return readText(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain), kind);
  } catch {
    return unusable(`the decrypted value is no UTF-8, and its stored type is neither binary nor PKCS#1`); // bytes are not shown
  }
}

/** SL-152. A text says what is wrong. */
function decrypt(value: string, key: Uint8Array): Uint8Array | string {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(value.trim(), { lastChunkHandling: "strict" });
  } catch {
    return "the encrypted value is no base64"; // the value is not shown
  }
  const bodyAt = HEADER.length + LENGTH_BYTES + IV_BYTES;
  if (bytes.length < bodyAt + TAG_BYTES) return `the encrypted value has ${bytes.length} bytes, which is too short`;
  if (bytes.subarray(0, HEADER.length).toHex() !== HEADER.toHex()) return "the encrypted value does not begin with 00a1 0002";
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint16(HEADER.length);
  if (bytes.length !== bodyAt + length + TAG_BYTES)
    return `the encrypted value states a payload of ${length} bytes and has ${bytes.length - bodyAt - TAG_BYTES}`;
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(bodyAt - IV_BYTES, bodyAt), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(bodyAt + length));
  try {
    return Uint8Array.from(Buffer.concat([decipher.update(bytes.subarray(bodyAt, bodyAt + length)), decipher.final()]));
  } catch {
    return "the encrypted value cannot be decrypted with this key: another key, or a changed value";
  }
}

/** A PKCS#1 private key, kept as PKCS#8 like every other key. */
function readRsaKey(der: Uint8Array, kind: SecretKind | undefined): VaultValue {
  try {
    const key = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs1" });
    const type = keyTypeOf(key);
    if (type === undefined) return unusable("the PKCS#1 key is of a size that the language does not admit (2048 to 4096 bits)");
    const pem = encodePem("PRIVATE KEY", key.export({ type: "pkcs8", format: "der" }));
    return fitting({ kind: "private-key", keyType: type.keyType, pem }, kind);
  } catch {
    return unusable("the decrypted value is no PKCS#1 private key"); // the library's message could hold key bytes
  }
}

function readText(text: string, kind: SecretKind | undefined): VaultValue {
  if (text.includes("\0")) return unusable("the value contains U+0000");
  switch (kind) {
    case "ascii":
      return { kind: "ok", value: { kind, text } };
    case "config-fragment":
      return readFragment(text);
    case "private-key": {
      const reading = readPrivateKey(text);
      if (reading.kind === "problem") return unusable(`${reading.message}; expected unencrypted PKCS#8`);
      return { kind: "ok", value: { kind, keyType: reading.keyType, pem: reading.pem } };
    }
    case "public-key": {
      const pem = readPublicKey(text);
      return pem === undefined ? unusable("no PEM public key") : { kind: "ok", value: { kind, pem } };
    }
    case "x509":
    case "x509-ca":
      return readCertificates(text, kind) ?? unusable("no PEM certificate");
    default: {
      const found = readCertificates(text, "x509") ?? { kind: "ok", value: { kind: "ascii", text } };
      return found.kind === "ok" ? fitting(found.value, kind) : found;
    }
  }
}

function readFragment(text: string): VaultValue {
  try {
    const value: JsonValue = JSON.parse(text);
    return value === null ? unusable("null is no config-fragment") : { kind: "ok", value: { kind: "config-fragment", value } };
  } catch {
    return unusable("the value is no JSON, which a config-fragment from a vault has to be"); // the parser's message quotes the value
  }
}

/** Certificate, chain and, where the text has one, the private key (SL-153). Undefined where the text is no PEM with a certificate. */
function readCertificates(text: string, kind: "x509" | "x509-ca"): VaultValue | undefined {
  const blocks = text.includes("-----BEGIN CERTIFICATE-----") ? parsePem(text) : undefined;
  if (blocks === undefined) return undefined;
  const chain = blocks.filter(({ label }) => label === "CERTIFICATE").map(({ der }) => encodePem("CERTIFICATE", der));
  const keys = blocks.filter(({ label }) => label !== "CERTIFICATE");
  const [pem, ...issuers] = chain;
  const [key] = keys;
  if (pem === undefined || chain.length > MAX_CERTIFICATES)
    return unusable(`${chain.length} certificates; expected 1 to ${MAX_CERTIFICATES}`);
  if (keys.length > 1 || (key !== undefined && key.label !== "PRIVATE KEY"))
    return unusable("what stands beside the certificates is not one PKCS#8 private key");
  try {
    const certificate = new X509Certificate(pem);
    for (const issuer of issuers) new X509Certificate(issuer);
    if (kind === "x509-ca" && !certificate.ca) return unusable("the certificate is none of a CA");
    const reading = key === undefined ? undefined : readPrivateKey(encodePem(key.label, key.der));
    if (reading?.kind === "problem") return unusable(reading.message);
    if (reading !== undefined && !certificate.checkPrivateKey(createPrivateKey(reading.pem)))
      return unusable("the private key is not that of the certificate");
    const notAfter = new Date(certificate.validTo).toISOString();
    return { kind: "ok", value: { kind, certificate: pem, chain: issuers, privateKey: reading?.pem, renewAfter: undefined, notAfter } };
  } catch {
    return unusable("a PEM certificate that is damaged"); // the library's message helps nobody
  }
}

function fitting(value: StoredSecret, kind: SecretKind | undefined): VaultValue {
  return kind === undefined || kind === value.kind
    ? { kind: "ok", value }
    : unusable(`the value is ${value.kind}; the session says ${kind}`);
}
