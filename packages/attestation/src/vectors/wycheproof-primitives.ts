import {
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { PublicKey, SignatureScheme } from "../crypto/crypto-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { StricterRule } from "./stricter-rule.ts";
import type { WycheproofGroup, WycheproofTest } from "./wycheproof-test.ts";

type Members = Readonly<Record<string, unknown>>;

const PRIMITIVES = new Map<string, (algorithm: string, group: WycheproofGroup, test: WycheproofTest) => boolean>([
  ["AeadTest", (algorithm, group, test) => opens(algorithm, group, test)],
  ["EcdsaVerify", (_, group, test) => isSigned({ kind: "ecdsa", digest: digestOf(group, "sha"), encoding: "der" }, group, test)],
  [
    "EcdsaP1363Verify",
    (_, group, test) => isSigned({ kind: "ecdsa", digest: digestOf(group, "sha"), encoding: "ieee-p1363" }, group, test),
  ],
  ["EddsaVerify", (_, group, test) => isEddsaSigned(group, test)],
  ["RsassaPkcs1Verify", (_, group, test) => isSigned({ kind: "rsa-pkcs1", digest: digestOf(group, "sha") }, group, test)],
  ["RsassaPssVerify", (_, group, test) => isPssSigned(group, test)],
  ["HkdfTest", (algorithm, _, test) => derives(algorithm, test)],
  ["MacTest", (algorithm, group, test) => isAuthentic(algorithm, group, test)],
  ["XdhComp", (_, group, test) => agreesRaw(group, test)],
  ["EcdhTest", (_, group, test) => agreesEc(group, test)],
  ["MLKEMTest", (_, group, test) => decapsulates(group, test)],
  ["MLKEMEncapsTest", (_, group, test) => isEncapsulationKey(group, test)],
  ["MlDsaVerify", (_, group, test) => isMlDsaSigned(group, test)],
]);

/** Whether a primitive, used as this product uses it, accepts a test's input and gives its output. What throws is refused. */
export function isPrimitiveTestAccepted(algorithm: string, group: WycheproofGroup, test: WycheproofTest): boolean {
  const primitive = PRIMITIVES.get(group.type);
  if (primitive === undefined) throw new TypeError(`Wycheproof groups of type ${group.type} are not known`);
  try {
    return primitive(algorithm, group, test);
  } catch (error) {
    if (error instanceof StricterRule) throw error;
    return false; // keys, nonces and lengths that node:crypto does not take
  }
}

const bytes = (members: Members, name: string): Buffer => Buffer.from(String(members[name] ?? ""), "hex");
const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
const keyOf = (group: Members): PublicKey => readPublicKey(bytes(group, "publicKeyDer"));

function digestOf(group: Members, member: string): "sha256" | "sha384" | "sha512" {
  const digest = ["sha256", "sha384", "sha512"].find((name) => name === String(group[member]).toLowerCase().replace("-", ""));
  if (digest !== "sha256" && digest !== "sha384" && digest !== "sha512")
    throw new TypeError(`digest ${String(group[member])} is not used here`);
  return digest;
}

const OPENSSL_NONCE_MAX = 128;

/** Nonces of 12 bytes for ChaCha20-Poly1305, tags of 16 bytes: OpenSSL itself would take shorter ones. */
function opens(algorithm: string, group: Members, test: WycheproofTest): boolean {
  const [key, iv, tag] = [bytes(test, "key"), bytes(test, "iv"), bytes(test, "tag")];
  if (iv.length > OPENSSL_NONCE_MAX) throw new StricterRule(`nonce of more than ${OPENSSL_NONCE_MAX} bytes refused by OpenSSL`);
  const isChaCha = algorithm === "CHACHA20-POLY1305";
  if (!isChaCha && algorithm !== "AES-GCM") throw new TypeError(`${algorithm} is not used here`);
  if (tag.length !== 16 || group["tagSize"] !== 128 || iv.length === 0 || (isChaCha && iv.length !== 12)) return false;
  const decipher = isChaCha
    ? createDecipheriv("chacha20-poly1305", key, iv, { authTagLength: 16 })
    : createDecipheriv(`aes-${key.length === 16 ? 128 : key.length === 24 ? 192 : 256}-gcm`, key, iv, { authTagLength: 16 });
  decipher.setAAD(bytes(test, "aad"), { plaintextLength: bytes(test, "ct").length });
  decipher.setAuthTag(tag);
  const plain = Buffer.concat([decipher.update(bytes(test, "ct")), decipher.final()]);
  return isSame(plain, bytes(test, "msg"));
}

function isSigned(scheme: SignatureScheme, group: Members, test: Members): boolean {
  return isSignedBy(scheme, keyOf(group), bytes(test, "msg"), bytes(test, "sig"));
}

function isPssSigned(group: Members, test: Members): boolean {
  const digest = digestOf(group, "sha");
  if (digest !== digestOf(group, "mgfSha")) throw new TypeError("digest and mask digest differ");
  return isSigned({ kind: "rsa-pss", digest, saltBytes: Number(group["sLen"]) }, group, test);
}

/** Certificates here are never signed with Ed448, so its tests go to node:crypto itself. */
function isEddsaSigned(group: Members, test: Members): boolean {
  const key = createPublicKey({ key: bytes(group, "publicKeyDer"), format: "der", type: "spki" });
  if (key.asymmetricKeyType === "ed448") return verify(null, bytes(test, "msg"), key, bytes(test, "sig"));
  return isSigned({ kind: "eddsa" }, group, test);
}

function derives(algorithm: string, test: Members): boolean {
  const digest = algorithm.replace("HKDF-", "").toLowerCase().replace("-", "");
  const derived = hkdfSync(digest, bytes(test, "ikm"), bytes(test, "salt"), bytes(test, "info"), Number(test["size"]));
  return isSame(new Uint8Array(derived), bytes(test, "okm"));
}

function isAuthentic(algorithm: string, group: Members, test: Members): boolean {
  const digest = algorithm.replace("HMAC", "").toLowerCase();
  const mac = createHmac(digest, bytes(test, "key")).update(bytes(test, "msg")).digest();
  return isSame(mac.subarray(0, Number(group["tagSize"]) / 8), bytes(test, "tag"));
}

/** RFC 8410 §7: algorithm, then the raw key. */
const X25519_SPKI = Buffer.from("302a300506032b656e032100", "hex");
const X25519_PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");
const X448_SPKI = Buffer.from("3042300506032b656f033900", "hex");
const X448_PKCS8 = Buffer.from("3046020100300506032b656f043a0438", "hex");

function agreesRaw(group: Members, test: Members): boolean {
  const [spki, pkcs8] = group["curve"] === "curve448" ? [X448_SPKI, X448_PKCS8] : [X25519_SPKI, X25519_PKCS8];
  const publicKey = createPublicKey({ key: Buffer.concat([spki, bytes(test, "public")]), format: "der", type: "spki" });
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8, bytes(test, "private")]), format: "der", type: "pkcs8" });
  return isSame(diffieHellman({ publicKey, privateKey }), bytes(test, "shared"));
}

function agreesEc(group: Members, test: Members): boolean {
  const publicKey = createPublicKey({ key: bytes(test, "public"), format: "der", type: "spki" });
  const coordinateBytes = { secp256r1: 32, secp384r1: 48, secp521r1: 66 }[String(group["curve"])];
  if (coordinateBytes === undefined) throw new TypeError(`curve ${String(group["curve"])} is not used here`);
  const scalar = bytes(test, "private");
  const fitted = Buffer.concat([Buffer.alloc(coordinateBytes), scalar]).subarray(-coordinateBytes);
  const octets = Buffer.concat([Buffer.from([0x02, 0x01, 0x01, 0x04, coordinateBytes]), fitted]);
  const parameters = publicKey.export({ format: "der", type: "spki" });
  const algorithm = parameters.subarray(parameters[1] === 0x81 ? 3 : 2).subarray(0, 2 + (parameters[parameters[1] === 0x81 ? 4 : 3] ?? 0));
  const inner = Buffer.concat([Buffer.from([0x30, octets.length]), octets]);
  const body = Buffer.concat([Buffer.from([0x02, 0x01, 0x00]), algorithm, Buffer.from([0x04, inner.length]), inner]);
  const pkcs8 = Buffer.concat([Buffer.from([0x30, body.length]), body]);
  return isSame(
    diffieHellman({ publicKey, privateKey: createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }) }),
    bytes(test, "shared"),
  );
}

/** Last arc of the algorithm below 2.16.840.1.101.3.4 and bytes of a public key (FIPS 203, FIPS 204). */
const LATTICE = new Map([
  ["ML-KEM-512", { arcs: "0401", bytes: 800 }],
  ["ML-KEM-768", { arcs: "0402", bytes: 1184 }],
  ["ML-KEM-1024", { arcs: "0403", bytes: 1568 }],
  ["ML-DSA-44", { arcs: "0311", bytes: 1312 }],
  ["ML-DSA-65", { arcs: "0312", bytes: 1952 }],
  ["ML-DSA-87", { arcs: "0313", bytes: 2592 }],
]);
const SEED_BYTES = 64;

function latticeOf(group: Members) {
  const lattice = LATTICE.get(String(group["parameterSet"] ?? group["algorithm"]));
  if (lattice === undefined) throw new TypeError(`parameter set ${String(group["parameterSet"])} is not known`);
  return { ...lattice, algorithm: Buffer.from(`300b06096086480165030${4}${lattice.arcs}`, "hex") };
}

const derSequence = (tag: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x82, content.length >> 8, content.length & 0xff]), content]);

function latticePublicKey(group: Members, raw: Buffer): KeyObject {
  const { algorithm, bytes: length } = latticeOf(group);
  if (raw.length !== length) throw new TypeError(`a public key of ${raw.length} bytes`);
  const bits = derSequence(0x03, Buffer.concat([Buffer.from([0]), raw]));
  return createPublicKey({ key: derSequence(0x30, Buffer.concat([algorithm, bits])), format: "der", type: "spki" });
}

/** Expands the private key from its seed, checks that it belongs to the public key, decapsulates. */
function decapsulates(group: Members, test: Members): boolean {
  const seed = bytes(test, "seed");
  if (seed.length !== SEED_BYTES) return false;
  const { algorithm } = latticeOf(group);
  const body = Buffer.concat([Buffer.from([0x02, 0x01, 0x00]), algorithm, Buffer.from([0x04, SEED_BYTES + 2, 0x80, SEED_BYTES]), seed]);
  const privateKey = createPrivateKey({ key: Buffer.concat([Buffer.from([0x30, body.length]), body]), format: "der", type: "pkcs8" });
  if (test["ek"] !== undefined && !createPublicKey(privateKey).equals(latticePublicKey(group, bytes(test, "ek")))) return false;
  return isSame(decapsulate(privateKey, bytes(test, "c")), bytes(test, "K"));
}

/** The random value of a test cannot be given to node:crypto: what is checked is the key. */
function isEncapsulationKey(group: Members, test: Members): boolean {
  return encapsulate(latticePublicKey(group, bytes(test, "ek"))).sharedKey.length === 32;
}

function isMlDsaSigned(group: Members, test: Members): boolean {
  const key = latticePublicKey(group, bytes(group, "publicKey"));
  return verify(null, bytes(test, "msg"), { key, context: bytes(test, "ctx") }, bytes(test, "sig"));
}
