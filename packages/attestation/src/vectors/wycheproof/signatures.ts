import { constants, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { EvidenceError } from "../../core/errors.ts";
import type { PublicKey, SignatureDigest, SignatureScheme } from "../../crypto/crypto-provider.ts";
import { isSignedBy } from "../../crypto/signature.ts";
import { integer, objectIdentifier, sequence, tlv } from "../../x509/der-writer.ts";
import { readPublicKey } from "../../x509/public-key.ts";
import { fixedDigestNamed } from "./digests.ts";
import { NotAvailable } from "./refusals.ts";
import { bytesOf, type Primitive, type PrimitiveTest, textOf } from "./wycheproof-test.ts";

type Encoding = "der" | "ieee-p1363";

const keyOf = ({ group }: PrimitiveTest): KeyObject =>
  createPublicKey({ key: bytesOf(group, "publicKeyDer"), format: "der", type: "spki" });
const isDigest = (digest: string): digest is SignatureDigest => ["sha1", "sha256", "sha384", "sha512"].includes(digest);

/** The library's own check, where it knows the digest and the kind of key; what it knows nothing about goes to node:crypto itself. */
function isSignedAs(schemeOf: (digest: SignatureDigest) => SignatureScheme, digest: string, given: PrimitiveTest): boolean | undefined {
  const key = isDigest(digest) ? findOwnKey(given) : undefined;
  if (key === undefined || !isDigest(digest)) return undefined;
  return isSignedBy(schemeOf(digest), key, bytesOf(given.test, "msg"), bytesOf(given.test, "sig"));
}

function findOwnKey({ group }: PrimitiveTest): PublicKey | undefined {
  try {
    return readPublicKey(bytesOf(group, "publicKeyDer"));
  } catch (error) {
    if (error instanceof EvidenceError && error.reason === "unsupported-algorithm") return undefined;
    throw error;
  }
}

const isSignedOverDigest =
  (encoding: Encoding, keyType: "ec" | "dsa"): Primitive =>
  (given) => {
    const digest = fixedDigestNamed(textOf(given.group, "sha"));
    const own = isSignedAs((known) => ({ kind: "ecdsa", digest: known, encoding }), digest, given);
    if (own !== undefined) return own;
    const key = keyOf(given);
    if (key.asymmetricKeyType !== keyType) return false;
    return verify(digest, bytesOf(given.test, "msg"), { key, dsaEncoding: encoding }, bytesOf(given.test, "sig"));
  };

export const isEcdsaSigned = isSignedOverDigest("der", "ec");
export const isEcdsaP1363Signed = isSignedOverDigest("ieee-p1363", "ec");
export const isDsaSigned = isSignedOverDigest("der", "dsa");
export const isDsaP1363Signed = isSignedOverDigest("ieee-p1363", "dsa");

export const isPkcs1Signed: Primitive = (given) => {
  const digest = fixedDigestNamed(textOf(given.group, "sha"));
  const own = isSignedAs((known) => ({ kind: "rsa-pkcs1", digest: known }), digest, given);
  if (own !== undefined) return own;
  const key = { key: keyOf(given), padding: constants.RSA_PKCS1_PADDING };
  return verify(digest, bytesOf(given.test, "msg"), key, bytesOf(given.test, "sig"));
};

/** The signature is determined by key and message: it can be made again. */
export const signsPkcs1: Primitive = ({ group, test }) => {
  const key = createPrivateKey({ key: bytesOf(group, "privateKeyPkcs8"), format: "der", type: "pkcs8" });
  return sign(fixedDigestNamed(textOf(group, "sha")), bytesOf(test, "msg"), key).equals(bytesOf(test, "sig"));
};

export const isPssSigned: Primitive = (given) => {
  const { group } = given;
  const [digest, maskDigest] = [fixedDigestNamed(textOf(group, "sha")), fixedDigestNamed(textOf(group, "mgfSha"))];
  const saltBytes = Number(group["sLen"]);
  const own = digest === maskDigest ? isSignedAs((known) => ({ kind: "rsa-pss", digest: known, saltBytes }), digest, given) : undefined;
  if (own !== undefined) return own;
  return isPssSignedBy(pssKey(bytesOf(group, "publicKeyAsn"), digest, maskDigest, saltBytes), digest, saltBytes, given);
};

/** The key says which parameters it is for. */
export const isPssSignedWithParameters: Primitive = (given) =>
  isPssSignedBy(keyOf(given), fixedDigestNamed(textOf(given.group, "sha")), Number(given.group["sLen"]), given);

function isPssSignedBy(key: KeyObject, digest: string, saltLength: number, { test }: PrimitiveTest): boolean {
  const parameters = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return verify(digest, bytesOf(test, "msg"), parameters, bytesOf(test, "sig"));
}

const DIGEST_OIDS = new Map([
  ["sha1", "1.3.14.3.2.26"],
  ["sha224", "2.16.840.1.101.3.4.2.4"],
  ["sha256", "2.16.840.1.101.3.4.2.1"],
  ["sha384", "2.16.840.1.101.3.4.2.2"],
  ["sha512", "2.16.840.1.101.3.4.2.3"],
  ["sha512-224", "2.16.840.1.101.3.4.2.5"],
  ["sha512-256", "2.16.840.1.101.3.4.2.6"],
]);

/** An RSA key bound to parameters of its own (RFC 4055 §3.1): the only way to tell node:crypto the digest of the mask. */
function pssKey(rsaPublicKey: Buffer, digest: string, maskDigest: string, saltBytes: number): KeyObject {
  const identifier = (name: string) => {
    const oid = DIGEST_OIDS.get(name);
    if (oid === undefined) throw new NotAvailable(`RSA-PSS with ${name} cannot be told to node:crypto`);
    return sequence(objectIdentifier(oid), tlv(0x05, new Uint8Array(0)));
  };
  const mask = sequence(objectIdentifier("1.2.840.113549.1.1.8"), identifier(maskDigest));
  const parameters = sequence(tlv(0xa0, identifier(digest)), tlv(0xa1, mask), tlv(0xa2, integer(saltBytes)));
  const algorithm = sequence(objectIdentifier("1.2.840.113549.1.1.10"), parameters);
  const spki = sequence(algorithm, tlv(0x03, Uint8Array.of(0, ...rsaPublicKey)));
  return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
}

/** Ed448 signs nothing here, so its tests go to node:crypto itself. */
export const isEddsaSigned: Primitive = (given) => {
  const [message, signature] = [bytesOf(given.test, "msg"), bytesOf(given.test, "sig")];
  const own = findOwnKey(given);
  return own === undefined ? verify(null, message, keyOf(given), signature) : isSignedBy({ kind: "eddsa" }, own, message, signature);
};
