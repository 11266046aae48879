import { createCipheriv, createDecipheriv, createHmac, hkdfSync, type KeyObject, timingSafeEqual } from "node:crypto";
import type { ClientIdentity } from "./client-identity.ts";

/*
 * The code key of an image, wrapped for the client that built it (MF-59): "vw1." | base64url(nonce (12) | AES-256-GCM(key) (32) | tag (16)).
 * Both keys come from the client's signing key by HKDF, each with a label of its own. The nonce is a keyed hash of the code key: the same build
 * gives the same image (MF-61), and one nonce never serves two code keys.
 */
const PREFIX = "vw1.";
const NONCE_BYTES = 12;
const CODE_KEY_BYTES = 32;
const TAG_BYTES = 16;
const CONTEXT = Buffer.from("vouchsafe/code-key/1");

function derive(signingKey: KeyObject, label: string): Buffer {
  const secret = signingKey.export({ type: "pkcs8", format: "der" });
  try {
    return Buffer.from(hkdfSync("sha256", secret, new Uint8Array(0), `vouchsafe/code-key-wrap/1 ${label}`, 32));
  } finally {
    secret.fill(0);
  }
}

const nonceFor = (signingKey: KeyObject, codeKey: Uint8Array): Buffer =>
  createHmac("sha256", derive(signingKey, "nonce")).update(codeKey).digest().subarray(0, NONCE_BYTES);

/** Wraps a code key of 32 bytes. Deterministic. */
export function wrapCodeKey({ signingKey }: Pick<ClientIdentity, "signingKey">, codeKey: Uint8Array): string {
  const nonce = nonceFor(signingKey, codeKey);
  const cipher = createCipheriv("aes-256-gcm", derive(signingKey, "key"), nonce).setAAD(CONTEXT);
  const sealed = Buffer.concat([nonce, cipher.update(codeKey), cipher.final(), cipher.getAuthTag()]);
  return `${PREFIX}${sealed.toString("base64url")}`;
}

/** The code key, 64 hex digits; undefined where it was wrapped for somebody else or is damaged. */
export function unwrapCodeKey({ signingKey }: Pick<ClientIdentity, "signingKey">, wrapped: string): string | undefined {
  if (!wrapped.startsWith(PREFIX)) return undefined;
  const sealed = Buffer.from(wrapped.slice(PREFIX.length), "base64url");
  if (sealed.length !== NONCE_BYTES + CODE_KEY_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", derive(signingKey, "key"), nonce).setAAD(CONTEXT);
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES + CODE_KEY_BYTES));
  try {
    const codeKey = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, NONCE_BYTES + CODE_KEY_BYTES)), decipher.final()]);
    return timingSafeEqual(nonceFor(signingKey, codeKey), nonce) ? codeKey.toString("hex") : undefined;
  } catch {
    return undefined; // not for this client
  }
}
