import { createPublicKey, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { AES_256_GCM, keyHashOf, openHpke, sealHpke, x25519PublicKey } from "@vouchsafe/policy";
import type { RecoveryRequest, SignedShare } from "@vouchsafe/protocol";
import { compactDecrypt } from "jose";
import { CasError } from "../cas-error.ts";

/** What a holder hands in: his shares one after the other; two while a roll-over of the database key was interrupted. */
export const SHARE_BYTES = 32;
const INFO = Buffer.from("vouchsafe/recovery-share/1");

/**
 * The holder's part, which needs no network (C-80): decrypts the holder's shares, encrypts them to the recovery key of a CAS whose statement the
 * holder has verified, and signs. Throws RECOVERY when there is no share for this key, or it cannot be decrypted.
 */
export async function signShare(request: RecoveryRequest, recoveryKey: string, privateKey: KeyObject): Promise<SignedShare> {
  const holder = keyHashOf(createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })));
  const own = request.shares.filter((share) => share.holder === holder);
  if (own.length === 0) {
    throw new CasError("RECOVERY", `there is no share for the key ${holder}`, {
      remedy: `Use the key of a holder: ${request.shares.map((share) => share.holder).join(", ")}.`,
    });
  }
  const shares = await Promise.all(own.map(({ sealed }) => decryptShare(sealed, privateKey)));
  const plain = Buffer.concat(shares);
  const sealed = sealHpke(
    plain,
    x25519PublicKey(Uint8Array.fromHex(recoveryKey)),
    randomBytes(32),
    sealOptions(request.cas, holder),
  ).toBase64();
  for (const share of [plain, ...shares]) share.fill(0);
  const unsigned = { format: "vouchsafe/recovery-share/1" as const, cas: request.cas, holder, recoveryKey, sealed };
  return { ...unsigned, signature: sign("sha256", shareMessage(unsigned), privateKey).toString("base64") };
}

/** Was it signed by the holder with this key? */
export function isSignedBy(share: SignedShare, publicKey: KeyObject): boolean {
  return verify("sha256", shareMessage(share), publicKey, Buffer.from(share.signature, "base64"));
}

/** Opens what `signShare` encrypted; undefined when it is for another key. The caller overwrites it. */
export function openShare({ cas, holder, sealed }: SignedShare, recoveryKey: KeyObject): Uint8Array | undefined {
  return openHpke(Uint8Array.fromBase64(sealed), recoveryKey, sealOptions(cas, holder));
}

async function decryptShare(sealed: string, privateKey: KeyObject): Promise<Uint8Array> {
  try {
    const algorithms = { keyManagementAlgorithms: ["ECDH-ES"], contentEncryptionAlgorithms: ["A256GCM"] };
    return (await compactDecrypt(sealed, privateKey, algorithms)).plaintext;
  } catch (cause) {
    throw new CasError("RECOVERY", "the share cannot be decrypted with this key", {
      cause,
      remedy: "Export the request again from the CAS.",
    });
  }
}

const sealOptions = (cas: string, holder: string) => ({ info: INFO, associatedData: Buffer.from(`${cas} ${holder}`), aead: AES_256_GCM });

function shareMessage({ format, cas, holder, recoveryKey, sealed }: Omit<SignedShare, "signature">): Uint8Array {
  return Buffer.from(`${format}\0${JSON.stringify([cas, holder, recoveryKey, sealed])}`);
}
