import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { encodePem, parsePem } from "./pem.ts";
import type { KeyType } from "./session.ts";

const EC_TYPES = new Map<string, KeyType>([
  ["prime256v1", "P-256"],
  ["secp384r1", "P-384"],
]);
const OTHER_TYPES = new Map<string, KeyType>([
  ["ed25519", "Ed25519"],
  ["ml-dsa-44", "ML-DSA-44"],
  ["ml-dsa-65", "ML-DSA-65"],
  ["ml-dsa-87", "ML-DSA-87"],
]);

export type KeyReading =
  | {
      readonly kind: "ok";
      readonly pem: string /** Undefined for explicit types that are never generated. */;
      readonly keyType: KeyType | undefined;
      readonly name: string;
    }
  | { readonly kind: "problem"; readonly message: string };

/** The name users know a key's type by, and the type if it can be generated; undefined when the language does not admit it (SL-107). */
export function keyTypeOf(key: KeyObject): { readonly name: string; readonly keyType: KeyType | undefined } | undefined {
  const { asymmetricKeyType: type = "", asymmetricKeyDetails: details = {} } = key;
  if (type === "ec") {
    const keyType = EC_TYPES.get(details.namedCurve ?? "");
    if (keyType !== undefined) return { name: keyType, keyType };
    return details.namedCurve === "secp521r1" ? { name: "P-521", keyType: undefined } : undefined;
  }
  if (type === "rsa") {
    const bits = details.modulusLength ?? 0;
    if (bits < 2048 || bits > 4096) return undefined;
    return { name: `RSA-${bits}`, keyType: bits === 2048 ? "RSA-2048" : bits === 3072 ? "RSA-3072" : undefined };
  }
  const keyType = OTHER_TYPES.get(type);
  return keyType === undefined ? undefined : { name: keyType, keyType };
}

/** An unencrypted PKCS#8 private key (SL-107). The message names the type found, never a part of the key. */
export function readPrivateKey(text: string): KeyReading {
  const blocks = parsePem(text);
  const block = blocks?.[0];
  if (blocks?.length !== 1 || block === undefined) return { kind: "problem", message: "not one PEM block" };
  if (block.label === "RSA PRIVATE KEY") return { kind: "problem", message: "PKCS#1 key" };
  if (block.label === "EC PRIVATE KEY") return { kind: "problem", message: "SEC1 key" };
  if (block.label === "ENCRYPTED PRIVATE KEY") return { kind: "problem", message: "encrypted PKCS#8 key" };
  if (block.label !== "PRIVATE KEY") return { kind: "problem", message: `PEM ${block.label.toLowerCase()}` };
  try {
    const key = createPrivateKey({ key: Buffer.from(firstVersion(block.der)), format: "der", type: "pkcs8" });
    const type = keyTypeOf(key);
    if (type === undefined)
      return { kind: "problem", message: `key of type ${key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType}` };
    return { kind: "ok", pem: encodePem("PRIVATE KEY", key.export({ type: "pkcs8", format: "der" })), ...type };
  } catch {
    return { kind: "problem", message: "damaged PKCS#8 key" }; // the library's message could hold key bytes
  }
}

const ED25519_V1_PREFIX = Uint8Array.fromHex("302e020100300506032b657004220420");

/** Ed25519 keys of PKCS#8 version 2 carry the public key, which many tools refuse; both versions are accepted (SL-108). */
function firstVersion(der: Uint8Array): Uint8Array {
  const isVersion2 = der[0] === 0x30 && der[2] === 0x02 && der[3] === 0x01 && der[4] === 0x01;
  const seedHeader = Uint8Array.fromHex("300506032b657004220420").toHex();
  if (!isVersion2 || der.subarray(5, 16).toHex() !== seedHeader || der.length < 48) return der;
  return Uint8Array.of(...ED25519_V1_PREFIX, ...der.subarray(16, 48));
}

/** A public key as PEM SPKI (SL-109); undefined for anything else. */
export function readPublicKey(text: string): string | undefined {
  const blocks = parsePem(text);
  const block = blocks?.[0];
  if (blocks?.length !== 1 || block?.label !== "PUBLIC KEY") return undefined;
  try {
    const key = createPublicKey({ key: Buffer.from(block.der), format: "der", type: "spki" });
    return keyTypeOf(key) === undefined ? undefined : encodePem("PUBLIC KEY", key.export({ type: "spki", format: "der" }));
  } catch {
    return undefined; // not a key
  }
}
