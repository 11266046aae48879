import { constants, createCipheriv, createECDH, createHash, createHmac, createPublicKey, publicEncrypt } from "node:crypto";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import type { TpmPublic } from "./tpm-public.ts";
import type { TpmHash } from "./tpm-quote.ts";

/** What TPM2_ActivateCredential wants: only the TPM that holds endorsement key and named key gets the secret out. */
export interface TpmCredential {
  /** TPM2B_ID_OBJECT with its size. */
  readonly idObject: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET with its size. */
  readonly encryptedSecret: Uint8Array;
}

/** What both sides derive keys from, and the way it travels to the TPM. */
interface SharedSeed {
  readonly seed: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

const DIGEST_BYTES: Record<TpmHash, number> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };
/** Curves that endorsement keys are on: name in OpenSSL, bytes of a coordinate, order. */
const CURVES = {
  "P-256": { name: "prime256v1", bytes: 32, order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n },
  "P-384": {
    name: "secp384r1",
    bytes: 48,
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
} as const;
/** FIPS 186-5, §A.2.1: so many more random bits that the remainder has no bias. */
const EXTRA_BYTES = 8;

/** How many random bytes `makeCredential` needs for this endorsement key. A `TypeError` for a key that no credential can be made for. */
export function credentialEntropyBytes({ key, nameAlgorithm }: TpmPublic): number {
  return key.kind === "rsa" ? DIGEST_BYTES[nameAlgorithm] : curveOf(key).bytes + EXTRA_BYTES;
}

/**
 * Wraps `secret` for the TPM with the endorsement key (RSA, P-256 or P-384), on condition that it also holds the key named `name` (TPM 2.0
 * Library, part 1, §24, annexes B.10.3 and C.6.3). `entropy` is random, `credentialEntropyBytes` long, and used once: the seed itself for RSA,
 * what an ephemeral key is made of for a curve. An answer proves that the named key, with the attributes that its public area states, lives in that TPM.
 */
export function makeCredential(endorsementKey: TpmPublic, name: Uint8Array, secret: Uint8Array, entropy: Uint8Array): TpmCredential {
  const { nameAlgorithm, symmetricBits } = endorsementKey;
  if (symmetricBits !== 128 && symmetricBits !== 256) throw new TypeError("credentials are made for endorsement keys with AES");
  const entropyBytes = credentialEntropyBytes(endorsementKey);
  if (entropy.length !== entropyBytes) throw new TypeError(`there are ${entropy.length} random bytes, not ${entropyBytes}`);
  if (secret.length > DIGEST_BYTES[nameAlgorithm])
    throw new TypeError(`the secret has ${secret.length} bytes, at most ${DIGEST_BYTES[nameAlgorithm]} fit`);
  const { seed, encryptedSecret } = shareSeed(endorsementKey, entropy);
  const symmetricKey = kdfA(nameAlgorithm, seed, "STORAGE", name, symmetricBits);
  const cipher = createCipheriv(`aes-${symmetricBits}-cfb`, symmetricKey, new Uint8Array(16)); // the key is new for each seed
  const identity = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const hmacKey = kdfA(nameAlgorithm, seed, "INTEGRITY", new Uint8Array(0), DIGEST_BYTES[nameAlgorithm] * 8);
  const integrity = createHmac(nameAlgorithm, hmacKey).update(identity).update(name).digest();
  return { idObject: sized(Buffer.concat([sized(integrity), identity])), encryptedSecret: sized(encryptedSecret) };
}

function shareSeed({ key, nameAlgorithm }: TpmPublic, entropy: Uint8Array): SharedSeed {
  if (key.kind !== "rsa") return agreeOnSeed(key, nameAlgorithm, entropy);
  const encryptedSecret = publicEncrypt(
    {
      key: createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" }),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: nameAlgorithm,
      oaepLabel: Buffer.from("IDENTITY\0"),
    },
    entropy,
  );
  return { seed: entropy, encryptedSecret };
}

/** One-pass Diffie-Hellman with an ephemeral key, whose point travels as TPMS_ECC_POINT. */
function agreeOnSeed(key: PublicKey, algorithm: TpmHash, entropy: Uint8Array): SharedSeed {
  const { name, bytes, order } = curveOf(key);
  const scalar = (BigInt(`0x${entropy.toHex()}`) % (order - 1n)) + 1n;
  const ephemeral = createECDH(name);
  ephemeral.setPrivateKey(scalar.toString(16).padStart(bytes * 2, "0"), "hex");
  const point = ephemeral.getPublicKey();
  const theirs = key.spki.subarray(-2 * bytes);
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
  const shared = ephemeral.computeSecret(Buffer.concat([Uint8Array.of(4), theirs]));
  const seed = kdfE(algorithm, shared, "IDENTITY", x, theirs.subarray(0, bytes));
  return { seed, encryptedSecret: Buffer.concat([sized(x), sized(y)]) };
}

function curveOf(key: PublicKey): (typeof CURVES)["P-256" | "P-384"] {
  if (key.kind === "ec" && key.curve !== "P-521") return CURVES[key.curve];
  throw new TypeError("credentials are made for endorsement keys of type RSA, P-256 or P-384");
}

/** KDFe of part 1, §11.4.10.3, for the one digest that a seed is. */
function kdfE(algorithm: TpmHash, shared: Uint8Array, use: string, partyU: Uint8Array, partyV: Uint8Array): Uint8Array {
  return createHash(algorithm).update(u32(1)).update(shared).update(`${use}\0`).update(partyU).update(partyV).digest();
}

/** KDFa of part 1, §11.4.10.2, for outputs that one or two digests cover. */
function kdfA(algorithm: TpmHash, key: Uint8Array, label: string, context: Uint8Array, bits: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 1; (counter - 1) * DIGEST_BYTES[algorithm] * 8 < bits; counter++) {
    const hmac = createHmac(algorithm, key).update(u32(counter)).update(`${label}\0`).update(context).update(u32(bits));
    blocks.push(hmac.digest());
  }
  return Buffer.concat(blocks).subarray(0, bits / 8);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function sized(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
