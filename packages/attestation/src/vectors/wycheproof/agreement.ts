import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getCurves,
  type KeyObject,
  timingSafeEqual,
  type webcrypto,
} from "node:crypto";
import { DER, DerReader } from "../../x509/der-reader.ts";
import { NotAvailable } from "./refusals.ts";
import { bytesOf, type Primitive, type PrimitiveTest, textOf } from "./wycheproof-test.ts";

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
const AVAILABLE: ReadonlySet<string> = new Set(getCurves());

const spki = (key: Buffer): KeyObject => createPublicKey({ key, format: "der", type: "spki" });
const pkcs8 = (key: Buffer): KeyObject => createPrivateKey({ key, format: "der", type: "pkcs8" });

function agrees(publicKey: KeyObject, privateKey: KeyObject, { test }: PrimitiveTest): boolean {
  return isSame(diffieHellman({ publicKey, privateKey }), bytesOf(test, "shared"));
}

/** X25519 and X448 with keys as they are. */
export const agreesRaw: Primitive = (given) => {
  const { test, group } = given;
  const asymmetricKeyType = group["curve"] === "curve448" ? "x448" : "x25519";
  const publicKey = createPublicKey({ key: bytesOf(test, "public"), format: "raw-public", asymmetricKeyType });
  const privateKey = createPrivateKey({ key: bytesOf(test, "private"), format: "raw-private", asymmetricKeyType });
  return agrees(publicKey, privateKey, given);
};

export const agreesDer: Primitive = (given) => agrees(spki(bytesOf(given.test, "public")), pkcs8(bytesOf(given.test, "private")), given);

export const agreesPem: Primitive = (given) => {
  const publicKey = createPublicKey(textOf(given.test, "public"));
  if (publicKey.asymmetricKeyType === "ec" && !namesItsCurve(publicKey)) return false;
  return agrees(publicKey, createPrivateKey(textOf(given.test, "private")), given);
};

export const agreesJwk: Primitive = (given) => {
  const [publicKey, privateKey] = [given.test["public"], given.test["private"]] as readonly webcrypto.JsonWebKey[]; // Wycheproof's schema
  if (publicKey === undefined || privateKey === undefined) return false;
  return agrees(
    createPublicKey({ key: registered(publicKey), format: "jwk" }),
    createPrivateKey({ key: registered(privateKey), format: "jwk" }),
    given,
  );
};

/** Web Crypto once called secp256k1 P-256K; the name that was registered is that of RFC 8812. */
const registered = (key: webcrypto.JsonWebKey): webcrypto.JsonWebKey => (key.crv === "P-256K" ? { ...key, crv: "secp256k1" } : key);

/** RFC 5480 §2.1.1: parameters written out are refused, even those of a known curve: OpenSSL does not look at all of them. */
function namesItsCurve(key: KeyObject): boolean {
  const der = new DerReader(key.export({ format: "der", type: "spki" }), "key", (detail) => new RangeError(detail));
  const algorithm = der.open(DER.sequence, "key").open(DER.sequence, "algorithm");
  algorithm.oid("algorithm");
  return algorithm.any("parameters").tag === DER.oid;
}

/** The peer's key as SubjectPublicKeyInfo that names its curve, ours as a scalar. */
export const agreesNamedCurve: Primitive = (given) => {
  const key = spki(bytesOf(given.test, "public"));
  const curve = curveOf(given);
  if (key.asymmetricKeyDetails?.namedCurve !== curve || !namesItsCurve(key)) return false;
  return agreesPoint(curve, key.export({ format: "raw-public" }), given);
};

/** The peer's key as a point. */
export const agreesEcPoint: Primitive = (given) => agreesPoint(curveOf(given), bytesOf(given.test, "public"), given);

function agreesPoint(curve: string, point: Buffer, { test }: PrimitiveTest): boolean {
  const own = createECDH(curve);
  own.setPrivateKey(scalarOf(bytesOf(test, "private")));
  return isSame(own.computeSecret(point), bytesOf(test, "shared"));
}

/** Scalars are written with a sign byte. */
const scalarOf = (integer: Buffer): Buffer => (integer[0] === 0 ? integer.subarray(1) : integer);

function curveOf({ group }: PrimitiveTest): string {
  const name = textOf(group, "curve");
  const curve = name === "secp256r1" ? "prime256v1" : name;
  if (!AVAILABLE.has(curve)) throw new NotAvailable(`node:crypto has no curve ${name}`);
  return curve;
}
