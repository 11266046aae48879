import { constants, createPrivateKey, privateDecrypt, timingSafeEqual } from "node:crypto";
import { digestNamed } from "./digests.ts";
import { NotAvailable } from "./refusals.ts";
import { bytesOf, type Primitive, type PrimitiveTest, textOf } from "./wycheproof-test.ts";

const privateKeyOf = ({ group }: PrimitiveTest) =>
  createPrivateKey({ key: bytesOf(group, "privateKeyPkcs8"), format: "der", type: "pkcs8" });
const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

export const decryptsOaep: Primitive = (given) => {
  const { group, test } = given;
  const [digest, maskDigest] = [digestNamed(textOf(group, "sha")), digestNamed(textOf(group, "mgfSha"))];
  if (digest !== maskDigest) throw new NotAvailable(`node:crypto takes one digest for OAEP and its mask, not ${digest} and ${maskDigest}`);
  const key = { key: privateKeyOf(given), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: digest, oaepLabel: bytesOf(test, "label") };
  return isSame(privateDecrypt(key, bytesOf(test, "ct")), bytesOf(test, "msg"));
};

/** OpenSSL answers bad padding with random bytes, so that nobody learns of it: the tests of bad padding expect none of them. */
export const decryptsPkcs1: Primitive = (given) => {
  const key = { key: privateKeyOf(given), padding: constants.RSA_PKCS1_PADDING };
  const plain = privateDecrypt(key, bytesOf(given.test, "ct"));
  return given.test.result !== "invalid" || given.test["msg"] !== "" ? isSame(plain, bytesOf(given.test, "msg")) : false;
};
