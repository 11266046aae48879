import { createDecipheriv, createHmac, type Decipheriv, getCiphers, timingSafeEqual } from "node:crypto";
import { NotAvailable, StricterRule } from "./refusals.ts";
import { bytesOf, type Primitive, type PrimitiveTest } from "./wycheproof-test.ts";

const AVAILABLE: ReadonlySet<string> = new Set(getCiphers());
const OPENSSL_NONCE_MAX = 128;
const TAG_BYTES = 16;
const CHACHA = "chacha20-poly1305";
const BLOCK_BYTES = 16;

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
const bitsOf = (key: Uint8Array): number => key.length * 8;

function available(cipher: string): string {
  if (!AVAILABLE.has(cipher)) throw new NotAvailable(`node:crypto has no cipher ${cipher}`);
  return cipher;
}

function finish(decipher: Decipheriv, test: PrimitiveTest["test"]): boolean {
  return isSame(Buffer.concat([decipher.update(bytesOf(test, "ct")), decipher.final()]), bytesOf(test, "msg"));
}

/**
 * Authenticated encryption with whole tags; OpenSSL itself would take shorter ones, and nonces that the standard forbids. CCM alone is defined
 * with tags of several lengths, which the key is agreed with.
 */
export const opensSealed: Primitive = ({ algorithm, group, test }) => {
  const cbc = /^A(\d{3})CBC-HS(\d{3})$/.exec(algorithm);
  if (cbc !== null) return opensCbcHmac(test, `sha${cbc[2]}`);
  const [key, iv, tag] = [bytesOf(test, "key"), bytesOf(test, "iv"), bytesOf(test, "tag")];
  const name = cipherNamed(algorithm, bitsOf(key));
  const isNonceRight = name === CHACHA || name.endsWith("gcm-siv") ? iv.length === 12 : iv.length > 0;
  const tagBytes = name.endsWith("-ccm") ? Number(group["tagSize"]) / 8 : TAG_BYTES;
  if (iv.length > OPENSSL_NONCE_MAX) throw new StricterRule(`nonce of more than ${OPENSSL_NONCE_MAX} bytes refused by OpenSSL`);
  if (tag.length !== tagBytes || Number(group["tagSize"]) !== tagBytes * 8 || !isNonceRight) return false;
  return /-\d+-siv$/.test(name) ? opensSiv(name, key, [bytesOf(test, "aad"), iv], tag, test) : opens(name, key, iv, tag, test);
};

function opens(name: string, key: Buffer, iv: Buffer, tag: Buffer, test: PrimitiveTest["test"]): boolean {
  const decipher = createDecipheriv(name as "aes-128-ccm", key, iv, { authTagLength: tag.length }); // one of OpenSSL's, all alike
  decipher.setAuthTag(tag);
  decipher.setAAD(bytesOf(test, "aad"), { plaintextLength: bytesOf(test, "ct").length });
  return finish(decipher, test);
}

/** RFC 5297: any number of associated strings, of which the nonce is the last. */
function opensSiv(name: string, key: Buffer, strings: readonly Buffer[], tag: Buffer, test: PrimitiveTest["test"]): boolean {
  const decipher = createDecipheriv(name as "aes-128-gcm", key, null as unknown as Buffer); // SIV has no nonce besides those strings
  decipher.setAuthTag(tag);
  for (const text of strings) decipher.setAAD(text);
  return finish(decipher, test);
}

/** RFC 5297 without nonce: the synthetic vector stands before the ciphertext. */
export const opensDeterministic: Primitive = ({ algorithm, test }) => {
  const key = bytesOf(test, "key");
  const sealed = bytesOf(test, "ct");
  const text = { ...test, ct: sealed.subarray(BLOCK_BYTES).toString("hex") };
  return opensSiv(cipherNamed(algorithm, bitsOf(key)), key, [bytesOf(test, "aad")], sealed.subarray(0, BLOCK_BYTES), text);
};

/** `AES-GCM` → `aes-256-gcm`. */
function cipherNamed(algorithm: string, bits: number): string {
  if (algorithm === "CHACHA20-POLY1305") return CHACHA;
  if (algorithm === "AES-SIV-CMAC" || algorithm === "AEAD-AES-SIV-CMAC") return available(`aes-${bits / 2}-siv`);
  const [, family, mode] = /^(AES|ARIA|CAMELLIA|SEED|SM4)-(.+)$/.exec(algorithm) ?? [];
  if (family === undefined || mode === undefined) throw new NotAvailable(`node:crypto has no ${algorithm}`);
  const size = family === "SM4" || family === "SEED" ? "" : `-${bits}`;
  return available(`${family}${size}-${mode}`.toLowerCase());
}

/** RFC 7518 §5.2: the first half of the key authenticates, the second encrypts. */
function opensCbcHmac(test: PrimitiveTest["test"], digest: string): boolean {
  const [key, iv, aad, ct] = [bytesOf(test, "key"), bytesOf(test, "iv"), bytesOf(test, "aad"), bytesOf(test, "ct")];
  const half = key.length / 2;
  const aadBits = Buffer.alloc(8);
  aadBits.writeBigUInt64BE(BigInt(aad.length * 8));
  const mac = createHmac(digest, key.subarray(0, half))
    .update(Buffer.concat([aad, iv, ct, aadBits]))
    .digest();
  if (!isSame(mac.subarray(0, half), bytesOf(test, "tag"))) return false;
  return finish(createDecipheriv(`aes-${half * 8}-cbc`, key.subarray(half), iv), test);
}

/** CBC with PKCS #7 padding, and XTS, whose sector number is written little-endian. */
export const decrypts: Primitive = ({ algorithm, test }) => {
  const key = bytesOf(test, "key");
  const mode = algorithm.replace(/-PKCS5$/, "");
  const name = cipherNamed(mode, mode === "AES-XTS" ? bitsOf(key) / 2 : bitsOf(key));
  const iv = bytesOf(test, "iv");
  return finish(
    createDecipheriv(name, key, mode === "AES-XTS" ? Buffer.concat([iv, Buffer.alloc(BLOCK_BYTES)]).subarray(0, BLOCK_BYTES) : iv),
    test,
  );
};

/** RFC 3394 and RFC 5649, with their own initial values. */
export const unwraps: Primitive = ({ algorithm, test }) => {
  if (!algorithm.startsWith("AES-")) throw new NotAvailable(`node:crypto has no ${algorithm}`);
  const key = bytesOf(test, "key");
  const isPadded = algorithm === "AES-KWP";
  if (bytesOf(test, "ct").length < BLOCK_BYTES) return false; // OpenSSL unwraps nothing to nothing
  const iv = Buffer.from(isPadded ? "a65959a6" : "a6a6a6a6a6a6a6a6", "hex");
  return finish(createDecipheriv(available(`aes-${bitsOf(key)}-wrap${isPadded ? "-pad" : ""}`), key, iv), test);
};

/** GMAC: GCM over nothing, with the message as associated data. */
export const isGmacAuthentic: Primitive = ({ algorithm, group, test }) => {
  if (algorithm !== "AES-GMAC") throw new NotAvailable(`node:crypto has no ${algorithm}`);
  const authenticated = { ...test, aad: test["msg"], msg: "", ct: "" };
  return opensSealed({ algorithm: "AES-GCM", group, test: authenticated });
};
