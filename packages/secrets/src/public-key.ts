import { createPrivateKey, createPublicKey } from "node:crypto";
import { encodePem } from "@vouchsafe/policy";

/** PEM SPKI of a PEM private key. */
export function publicKeyPem(privateKeyPem: string): string {
  return encodePem("PUBLIC KEY", createPublicKey(createPrivateKey(privateKeyPem)).export({ type: "spki", format: "der" }));
}
