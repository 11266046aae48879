/** PKCS#12 files with an empty password (RFC 7292): AES-256-CBC and PBKDF2 for the key, HMAC-SHA-256 for the whole. */
import { createCipheriv, createHash, createHmac, type KeyObject, pbkdf2Sync } from "node:crypto";
import * as der from "./der.ts";
import type { Randomness } from "./randomness.ts";

export interface Pkcs12Content {
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
}

/** The password is empty, so iterations protect nothing: as many as tools insist on. */
const ITERATIONS = 2048;

const OID = {
  data: "1.2.840.113549.1.7.1",
  keyBag: "1.2.840.113549.1.12.10.1.2",
  certBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  localKeyId: "1.2.840.113549.1.9.21",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
  sha256: "2.16.840.1.101.3.4.2.1",
} as const;

const oid = der.objectIdentifier;

/** Certificate, key and chain, DER. Salts and initialisation vector come from `random`. */
export function encodePkcs12({ certificate, chain, privateKey }: Pkcs12Content, random: Randomness): Uint8Array {
  const keyId = createHash("sha1").update(certificate).digest();
  const localKeyId = der.setOf(der.sequence(oid(OID.localKeyId), der.setOf(der.octetString(keyId))));
  const certificateBag = (value: Uint8Array, ...attributes: Uint8Array[]) =>
    der.sequence(
      oid(OID.certBag),
      der.explicit(0, der.sequence(oid(OID.x509Certificate), der.explicit(0, der.octetString(value)))),
      ...attributes,
    );
  const certificates = der.sequence(certificateBag(certificate, localKeyId), ...chain.map((value) => certificateBag(value)));
  const keys = der.sequence(der.sequence(oid(OID.keyBag), der.explicit(0, encryptedKey(privateKey, random)), localKeyId));
  const contentInfo = (content: Uint8Array) => der.sequence(oid(OID.data), der.explicit(0, der.octetString(content)));
  const authenticatedSafe = der.sequence(contentInfo(certificates), contentInfo(keys));
  return der.sequence(der.smallInteger(3), contentInfo(authenticatedSafe), macData(authenticatedSafe, random));
}

function encryptedKey(privateKey: KeyObject, { bytes }: Randomness): Uint8Array {
  const salt = bytes(16);
  const iv = bytes(16);
  const cipher = createCipheriv("aes-256-cbc", pbkdf2Sync("", salt, ITERATIONS, 32, "sha256"), iv);
  const encrypted = Buffer.concat([cipher.update(privateKey.export({ type: "pkcs8", format: "der" })), cipher.final()]);
  const derivation = der.sequence(
    oid(OID.pbkdf2),
    der.sequence(der.octetString(salt), der.smallInteger(ITERATIONS), der.sequence(oid(OID.hmacSha256), der.nullValue)),
  );
  const scheme = der.sequence(oid(OID.aes256Cbc), der.octetString(iv));
  return der.sequence(der.sequence(oid(OID.pbes2), der.sequence(derivation, scheme)), der.octetString(encrypted));
}

function macData(content: Uint8Array, { bytes }: Randomness): Uint8Array {
  const salt = bytes(16);
  const digest = createHmac("sha256", macKey(salt)).update(content).digest();
  const algorithm = der.sequence(oid(OID.sha256), der.nullValue);
  return der.sequence(der.sequence(algorithm, der.octetString(digest)), der.octetString(salt), der.smallInteger(ITERATIONS));
}

const BLOCK = 64;
const MAC_KEY_ID = 3;

/** Key derivation of RFC 7292 appendix B for one SHA-256 block; the empty password is its terminating zero character, two bytes. */
function macKey(salt: Uint8Array): Uint8Array {
  const repeat = (bytes: Uint8Array) =>
    Uint8Array.from({ length: BLOCK * Math.ceil(bytes.length / BLOCK) }, (_, index) => bytes[index % bytes.length] ?? 0);
  let key: Uint8Array = Buffer.concat([new Uint8Array(BLOCK).fill(MAC_KEY_ID), repeat(salt), repeat(new Uint8Array(2))]);
  for (let round = 0; round < ITERATIONS; round += 1) key = createHash("sha256").update(key).digest();
  return key;
}
