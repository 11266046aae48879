import type { Secret } from "../session.ts";

/** Will the private key of a certificate be there? Imported ones are decided at delivery (SL-147). */
export function hasPrivateKey(secret: Secret): boolean {
  if (secret.origin !== "explicit" && secret.origin !== "supplied") return true;
  return (secret.kind !== "x509" && secret.kind !== "x509-ca") || secret.privateKey !== undefined;
}
