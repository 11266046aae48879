import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { formatCheckpoint, formatVerifierKey, signNote } from "@vouchsafe/attestation";
import type { CasIdentityKeys } from "../identity/cas-identity.ts";

const KEY_LABEL = "vouchsafe/log-key/1\0";

/** Who vouches for a log: the note key, and the software key's signature over it (C-87). */
export interface LogKeyBinding {
  /** C2SP signed-note verifier key. */
  readonly verifierKey: string;
  /** ECDSA P-256 with SHA-256 by the software key, base64. */
  readonly signature: string;
}

/** What `LogKeyBinding.signature` covers. */
export function logKeyMessage(verifierKey: string): Uint8Array {
  return Buffer.from(KEY_LABEL + verifierKey);
}

/** Name of a CAS's log: unique because the key is. */
export function logOrigin(casKeyHash: string): string {
  return `vouchsafe-cas/${casKeyHash}`;
}

/** The CAS whose log a verifier key signs, by the name in it; undefined for another log. */
export function casKeyHashOfLog(verifierKey: string): string | undefined {
  return /^vouchsafe-cas\/([^+]+)\+/.exec(verifierKey)?.[1];
}

/** Signs checkpoints of the log (C2SP tlog-checkpoint). */
export class LogSigner {
  readonly origin: string;
  readonly binding: LogKeyBinding;
  readonly #key: KeyObject;

  constructor({ auditKey, casKeyHash, softwareKey }: CasIdentityKeys) {
    this.origin = logOrigin(casKeyHash);
    this.#key = auditKey;
    const publicKey = createPublicKey(auditKey.export({ type: "pkcs8", format: "pem" }));
    const verifierKey = formatVerifierKey(this.origin, publicKey);
    this.binding = { verifierKey, signature: sign("sha256", logKeyMessage(verifierKey), softwareKey).toString("base64") };
  }

  checkpoint(size: number, root: Uint8Array): string {
    return signNote(formatCheckpoint({ origin: this.origin, size: BigInt(size), root, extensions: [] }), this.origin, this.#key);
  }
}
