import { checkPrimeSync, createDecipheriv, createHmac, hkdfSync, pbkdf2Sync, timingSafeEqual, webcrypto } from "node:crypto";
import { digestNamed } from "./digests.ts";
import { NotAvailable } from "./refusals.ts";
import { bytesOf, type Primitive } from "./wycheproof-test.ts";

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

export const isAuthentic: Primitive = async ({ algorithm, group, test }) => {
  const tagBits = Number(group["tagSize"]);
  if (algorithm.startsWith("KMAC"))
    return isKmacAuthentic(algorithm, tagBits, bytesOf(test, "key"), bytesOf(test, "msg"), bytesOf(test, "tag"));
  if (!algorithm.startsWith("HMAC")) throw new NotAvailable(`node:crypto has no ${algorithm}`);
  const digest = digestNamed(algorithm.replace(/^HMAC/, ""));
  const mac = createHmac(digest, bytesOf(test, "key")).update(bytesOf(test, "msg")).digest();
  return isSame(mac.subarray(0, tagBits / 8), bytesOf(test, "tag"));
};

async function isKmacAuthentic(algorithm: string, tagBits: number, secret: Buffer, message: Buffer, tag: Buffer): Promise<boolean> {
  const key = await webcrypto.subtle.importKey("raw-secret", Uint8Array.from(secret), { name: algorithm }, false, ["sign"]);
  const parameters = { name: algorithm, outputLength: tagBits };
  return isSame(new Uint8Array(await webcrypto.subtle.sign(parameters, key, Uint8Array.from(message))), tag);
}

export const derivesByHkdf: Primitive = ({ algorithm, test }) => {
  const [ikm, salt, info] = [bytesOf(test, "ikm"), bytesOf(test, "salt"), bytesOf(test, "info")];
  const derived = hkdfSync(digestNamed(algorithm.replace("HKDF-", "")), ikm, salt, info, Number(test["size"]));
  return isSame(new Uint8Array(derived), bytesOf(test, "okm"));
};

export const derivesByPbkdf2: Primitive = ({ algorithm, test }) => {
  const digest = digestNamed(algorithm.replace("PBKDF2-HMAC", ""));
  const [password, salt] = [bytesOf(test, "password"), bytesOf(test, "salt")];
  return isSame(pbkdf2Sync(password, salt, Number(test["iterationCount"]), Number(test["dkLen"]), digest), bytesOf(test, "dk"));
};

/** PBES2 (RFC 8018 §6.2): a key by PBKDF2, then AES in CBC mode. */
export const decryptsByPassword: Primitive = ({ algorithm, test }) => {
  const [, digest, bits] = /^PbeWithHmac(Sha\d+)AndAes_(\d+)$/.exec(algorithm) ?? [];
  if (digest === undefined || bits === undefined) throw new NotAvailable(`node:crypto has no ${algorithm}`);
  const [password, salt] = [bytesOf(test, "password"), bytesOf(test, "salt")];
  const key = pbkdf2Sync(password, salt, Number(test["iterationCount"]), Number(bits) / 8, digestNamed(digest));
  const decipher = createDecipheriv(`aes-${bits}-cbc`, key, bytesOf(test, "iv"));
  return isSame(Buffer.concat([decipher.update(bytesOf(test, "ct")), decipher.final()]), bytesOf(test, "msg"));
};

/** Values are two's complement; a negative number is no prime here. */
export const isPrime: Primitive = ({ test }) => {
  const value = bytesOf(test, "value");
  return (value[0] ?? 0) < 0x80 && checkPrimeSync(Uint8Array.from(value).buffer);
};
