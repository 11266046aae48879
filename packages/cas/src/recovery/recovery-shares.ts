import { createHash, createPublicKey, type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import { keyHashOf } from "@vouchsafe/policy";
import { CompactEncrypt } from "jose";
import { z } from "zod";
import { splitSecret } from "./secret-sharing.ts";

/** Who can recover the database together (C-80): the owner lists their keys. */
export interface RecoveryRule {
  readonly threshold: number;
  readonly holders: readonly RecoveryHolder[];
}

export interface RecoveryHolder {
  /** C-6. */
  readonly keyHash: string;
  /** P-256: shares are encrypted to it, and handed in under its signature. */
  readonly publicKey: KeyObject;
}

/** Shares of one database key as they lie in the key store. */
export const RecoveryShares = z.strictObject({
  /** Key hash of the CAS whose database they open. */
  cas: z.string().max(64),
  threshold: z.int().min(1).max(255),
  shares: z
    .array(
      z.strictObject({
        holder: z.string().max(64),
        /** DER SubjectPublicKeyInfo of the holder, base64. */
        key: z.base64().max(512),
        at: z.int().min(1).max(255),
        /** JWE (ECDH-ES, A256GCM) of the share's 32 bytes, for the holder. */
        sealed: z.string().max(2048),
        /** SHA-256 of the share, hex: a wrong one is noticed when it is handed in. */
        digest: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1)
    .max(255),
});
export type RecoveryShares = z.infer<typeof RecoveryShares>;

export const HOLDERS_MAX = 32;

/** A holder's key: a PEM public key or certificate. Throws TypeError with what is wrong. */
export function readHolder(pem: string): RecoveryHolder {
  let publicKey: KeyObject;
  try {
    publicKey = /-----BEGIN CERTIFICATE-----/.test(pem) ? new X509Certificate(pem).publicKey : createPublicKey(pem);
  } catch {
    throw new TypeError("no PEM public key or certificate");
  }
  if (/PRIVATE KEY/.test(pem)) throw new TypeError("a private key: list the public one, and make a new pair");
  if (publicKey.asymmetricKeyType !== "ec" || publicKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new TypeError("a recovery key is a P-256 key");
  }
  return { keyHash: keyHashOf(publicKey), publicKey };
}

export const shareDigest = (share: Uint8Array): string =>
  createHash("sha256").update("vouchsafe/recovery-share/1\0").update(share).digest("hex");

/** Splits the database key among the holders; each share is encrypted to its holder. */
export async function makeRecoveryShares(
  databaseKey: Uint8Array,
  { threshold, holders }: RecoveryRule,
  cas: string,
): Promise<RecoveryShares> {
  const split = splitSecret(databaseKey, holders.length, threshold, randomBytes);
  const shares: RecoveryShares["shares"] = [];
  for (const [index, { keyHash, publicKey }] of holders.entries()) {
    const share = split[index];
    if (share === undefined) throw new TypeError("one share for each holder");
    const header = { alg: "ECDH-ES", enc: "A256GCM", typ: "vouchsafe-recovery-share" };
    const sealed = await new CompactEncrypt(share.bytes).setProtectedHeader(header).encrypt(publicKey);
    const key = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    shares.push({ holder: keyHash, key, at: share.at, sealed, digest: shareDigest(share.bytes) });
    share.bytes.fill(0);
  }
  return { cas, threshold, shares };
}

/** Do these shares follow the rule, for this CAS? */
export function fitsRule(shares: RecoveryShares | undefined, rule: RecoveryRule | undefined, cas: string): boolean {
  if (shares === undefined || rule === undefined) return shares === rule;
  const holders = shares.shares.map(({ holder }) => holder);
  return shares.cas === cas && shares.threshold === rule.threshold && holders.join() === rule.holders.map(({ keyHash }) => keyHash).join();
}
