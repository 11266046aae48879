import { createPrivateKey, createPublicKey, decapsulate, encapsulate, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";
import { integer, objectIdentifier, octetString, sequence } from "../../x509/der-writer.ts";
import { NotAvailable, StricterRule } from "./refusals.ts";
import { bytesOf, type Primitive, type PrimitiveTest, textOf } from "./wycheproof-test.ts";

/** FIPS 203 and FIPS 204: name in node:crypto, algorithm, bytes of an expanded private key. */
const PARAMETER_SETS = new Map([
  ["ML-KEM-512", { keyType: "ml-kem-512", oid: "2.16.840.1.101.3.4.4.1", privateBytes: 1632 }],
  ["ML-KEM-768", { keyType: "ml-kem-768", oid: "2.16.840.1.101.3.4.4.2", privateBytes: 2400 }],
  ["ML-KEM-1024", { keyType: "ml-kem-1024", oid: "2.16.840.1.101.3.4.4.3", privateBytes: 3168 }],
  ["ML-DSA-44", { keyType: "ml-dsa-44", oid: "2.16.840.1.101.3.4.3.17", privateBytes: 2560 }],
  ["ML-DSA-65", { keyType: "ml-dsa-65", oid: "2.16.840.1.101.3.4.3.18", privateBytes: 4032 }],
  ["ML-DSA-87", { keyType: "ml-dsa-87", oid: "2.16.840.1.101.3.4.3.19", privateBytes: 4896 }],
] as const);

type ParameterSet = typeof PARAMETER_SETS extends Map<unknown, infer T> ? T : never;

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/** ML-KEM names the set in each group, ML-DSA for the whole file. */
function parametersOf({ algorithm, group }: PrimitiveTest): ParameterSet {
  const name = textOf(group, "parameterSet") || algorithm;
  const parameters = PARAMETER_SETS.get(name as "ML-KEM-512"); // any other name is not found
  if (parameters === undefined) throw new NotAvailable(`node:crypto has no ${name}`);
  return parameters;
}

const publicKey = (given: PrimitiveTest, key: Buffer): KeyObject =>
  createPublicKey({ key, format: "raw-public", asymmetricKeyType: parametersOf(given).keyType });
const privateKeyOfSeed = (given: PrimitiveTest, key: Buffer): KeyObject =>
  createPrivateKey({ key, format: "raw-seed", asymmetricKeyType: parametersOf(given).keyType });

/** PKCS #8 with the expanded key alone (RFC 9881 §6, RFC 9935 §6). */
function expandedPrivateKey(given: PrimitiveTest, expanded: Buffer): KeyObject {
  const { oid, privateBytes } = parametersOf(given);
  if (expanded.length !== privateBytes) throw new RangeError(`a private key of ${expanded.length} bytes`);
  const key = sequence(integer(0), sequence(objectIdentifier(oid)), octetString(octetString(expanded)));
  return createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" });
}

/** Expands the private key from its seed, checks that it belongs to the public key, decapsulates. */
export const decapsulatesFromSeed: Primitive = (given) => {
  const { test } = given;
  const privateKey = privateKeyOfSeed(given, bytesOf(test, "seed"));
  if (test["ek"] !== undefined && !createPublicKey(privateKey).equals(publicKey(given, bytesOf(test, "ek")))) return false;
  return isSame(decapsulate(privateKey, bytesOf(test, "c")), bytesOf(test, "K"));
};

export const decapsulatesExpanded: Primitive = (given) => {
  const { test } = given;
  return isSame(decapsulate(expandedPrivateKey(given, bytesOf(test, "dk")), bytesOf(test, "c")), bytesOf(test, "K"));
};

/**
 * Seed to key pair. node:crypto does not hand out the expanded private key, so it is compared by what it does: it has the same public key, and
 * decapsulates as the seed's does, also where a ciphertext is not one and its secret value z decides.
 */
export const generatesKeyPair: Primitive = (given) => {
  const { test } = given;
  const fromSeed = privateKeyOfSeed(given, bytesOf(test, "seed"));
  const expanded = expandedPrivateKey(given, bytesOf(test, "dk"));
  const expected = publicKey(given, bytesOf(test, "ek"));
  if (![fromSeed, expanded].every((key) => createPublicKey(key).equals(expected))) return false;
  const { ciphertext, sharedKey } = encapsulate(expected);
  const other = ciphertext.map((octet) => octet ^ 0xff);
  return (
    [fromSeed, expanded].every((key) => isSame(decapsulate(key, ciphertext), sharedKey)) &&
    isSame(decapsulate(fromSeed, other), decapsulate(expanded, other))
  );
};

/** The random value of a test cannot be given to node:crypto: what is checked is the key. */
export const encapsulates: Primitive = (given) => encapsulate(publicKey(given, bytesOf(given.test, "ek"))).sharedKey.length === 32;

export const isMlDsaSigned: Primitive = (given) => {
  const { group, test } = given;
  return isSignedUnder(publicKey(given, bytesOf(group, "publicKey")), given, bytesOf(test, "sig"));
};

/**
 * node:crypto signs with randomness of its own, so a signature cannot be made again: what is checked is that the private key belongs to the
 * public one, that it signs the message in its context, and that the test's signature holds.
 */
export const signsMlDsa: Primitive = (given) => {
  const { group, test } = given;
  assertMessage(test);
  const seed = group["privateSeed"];
  const key =
    seed === undefined ? expandedPrivateKey(given, bytesOf(group, "privateKey")) : privateKeyOfSeed(given, bytesOf(group, "privateSeed"));
  const own = createPublicKey(key);
  if (group["publicKey"] !== undefined && !own.equals(publicKey(given, bytesOf(group, "publicKey")))) return false;
  const made = sign(null, bytesOf(test, "msg"), { key, context: bytesOf(test, "ctx") });
  return isSignedUnder(own, given, made) && isSignedUnder(own, given, bytesOf(test, "sig"));
};

function isSignedUnder(key: KeyObject, { test }: PrimitiveTest, signature: Buffer): boolean {
  assertMessage(test);
  return verify(null, bytesOf(test, "msg"), { key, context: bytesOf(test, "ctx") }, signature);
}

/** Tests without message are for interfaces that take its representative instead, which FIPS 204 §6 leaves optional. */
function assertMessage(test: PrimitiveTest["test"]): void {
  if (test["msg"] === undefined)
    throw new StricterRule("representative (mu) in place of a message, for which node:crypto has no interface");
}
