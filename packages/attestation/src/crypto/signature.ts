import type { PublicKey, SignatureScheme } from "./crypto-provider.ts";
import { askProvider } from "./current-provider.ts";
import { hasSmallOrder } from "./ed25519-points.ts";

const KEY_KINDS = { ecdsa: "ec", "rsa-pkcs1": "rsa", "rsa-pss": "rsa", eddsa: "ed25519", "ml-dsa": "ml-dsa" } as const;
const POINT_BYTES = 32;

/**
 * Whether `signature` was made over `message` by `key` with exactly this scheme; never for a key of another kind, nor for points of small
 * order in Ed25519, under which one signature fits many messages and about which implementations differ.
 */
export function isSignedBy(scheme: SignatureScheme, key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.kind !== KEY_KINDS[scheme.kind]) return false;
  if (key.kind === "ed25519" && (hasSmallOrder(key.spki.subarray(-POINT_BYTES)) || hasSmallOrder(signature.subarray(0, POINT_BYTES)))) {
    return false;
  }
  return askProvider({ scheme, key, message, signature });
}
