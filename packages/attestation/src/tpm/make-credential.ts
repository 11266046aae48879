import { constants, createCipheriv, createHmac, createPublicKey, publicEncrypt } from "node:crypto";
import type { TpmPublic } from "./tpm-public.ts";
import type { TpmHash } from "./tpm-quote.ts";

/** What TPM2_ActivateCredential wants: only the TPM that holds endorsement key and named key gets the secret out. */
export interface TpmCredential {
  /** TPM2B_ID_OBJECT with its size. */
  readonly idObject: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET with its size. */
  readonly encryptedSecret: Uint8Array;
}

const DIGEST_BYTES: Record<TpmHash, number> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/**
 * Wraps `secret` for the TPM with the RSA endorsement key, on condition that it also holds the key named `name` (TPM 2.0 Library, part 1,
 * §24). `seed` is random, as long as the endorsement key's name digest, and used once. An answer proves that the named key, with the
 * attributes that its public area states, lives in that TPM.
 */
export function makeCredential(endorsementKey: TpmPublic, name: Uint8Array, secret: Uint8Array, seed: Uint8Array): TpmCredential {
  const { key, nameAlgorithm, symmetricBits } = endorsementKey;
  if (key.kind !== "rsa" || (symmetricBits !== 128 && symmetricBits !== 256))
    throw new TypeError("credentials are made for RSA endorsement keys with AES");
  if (seed.length !== DIGEST_BYTES[nameAlgorithm])
    throw new TypeError(`the seed has ${seed.length} bytes, not ${DIGEST_BYTES[nameAlgorithm]}`);
  if (secret.length > DIGEST_BYTES[nameAlgorithm])
    throw new TypeError(`the secret has ${secret.length} bytes, at most ${DIGEST_BYTES[nameAlgorithm]} fit`);
  const encryptedSecret = publicEncrypt(
    {
      key: createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" }),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: nameAlgorithm,
      oaepLabel: Buffer.from("IDENTITY\0"),
    },
    seed,
  );
  const symmetricKey = kdfA(nameAlgorithm, seed, "STORAGE", name, symmetricBits);
  const cipher = createCipheriv(`aes-${symmetricBits}-cfb`, symmetricKey, new Uint8Array(16)); // the key is new for each seed
  const identity = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const hmacKey = kdfA(nameAlgorithm, seed, "INTEGRITY", new Uint8Array(0), DIGEST_BYTES[nameAlgorithm] * 8);
  const integrity = createHmac(nameAlgorithm, hmacKey).update(identity).update(name).digest();
  return { idObject: sized(Buffer.concat([sized(integrity), identity])), encryptedSecret: sized(encryptedSecret) };
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
