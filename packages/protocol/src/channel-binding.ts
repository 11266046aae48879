import { createHash, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";

/** RFC 9266: the exporter both ends of one TLS 1.3 connection agree on, and nobody else. */
export const EXPORTER_LABEL = "EXPORTER-Channel-Binding";
export const EXPORTER_BYTES = 32;
const EVIDENCE_LABEL = "vouchsafe/attest/1";
const INSTANCE_LABEL = "vouchsafe/instance-proof/1\0";
const TOKEN_LABEL = { service: "vouchsafe/access-token/service/1\0", cas: "vouchsafe/access-token/cas/1\0" } as const;

export interface Channel {
  /** 32 bytes: `socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL)`. */
  readonly exporter: Uint8Array;
  /** DER SubjectPublicKeyInfo of the CAS key, the root of the chain the client verified. */
  readonly casKey: Uint8Array;
  /** DER SubjectPublicKeyInfo of the instance's own key. */
  readonly instanceKey: Uint8Array;
  /** `SESSION/SERVICE` without the one-time password. */
  readonly service: string;
}

/**
 * The 64 bytes that Evidence must cover (C-35): SHA-512 over the label and every field, each preceded by its length as u32 big-endian.
 * Fresh because the exporter is; bound to this connection, this CAS, this instance key and this service.
 */
export function evidenceUserData({ exporter, casKey, instanceKey, service }: Channel): Uint8Array {
  if (exporter.length !== EXPORTER_BYTES) throw new TypeError(`exporter has ${exporter.length} bytes, not ${EXPORTER_BYTES}`);
  const hash = createHash("sha512");
  for (const field of [Buffer.from(EVIDENCE_LABEL), exporter, casKey, instanceKey, Buffer.from(service)]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    hash.update(length).update(field);
  }
  return hash.digest();
}

/** Shows possession of the instance key on this very channel. `instanceKey` is P-256 or Ed25519. */
export function signInstanceProof(userData: Uint8Array, instanceKey: KeyObject): Uint8Array {
  return sign(digestFor(instanceKey), instanceMessage(userData), instanceKey);
}

/** False also for keys of any other type than the two we make: no big RSA keys, no odd curves from outside. */
export function verifyInstanceProof(userData: Uint8Array, instanceKey: KeyObject, proof: Uint8Array): boolean {
  return isInstanceKeyType(instanceKey) && verify(digestFor(instanceKey), instanceMessage(userData), instanceKey, proof);
}

/** P-256 or Ed25519. */
export function isInstanceKeyType(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ed25519" || key.asymmetricKeyDetails?.namedCurve === "prime256v1";
}

/** Knowledge of the access token, shown without sending it (C-39): HMAC-SHA-256 over the direction and what binds the channel. */
export function accessTokenProof(token: string, direction: "service" | "cas", userData: Uint8Array): Uint8Array {
  return createHmac("sha256", token).update(TOKEN_LABEL[direction]).update(userData).digest();
}

/** Constant time for equal lengths, which is all an honest peer sends. */
export function isEqualProof(found: Uint8Array, expected: Uint8Array): boolean {
  return found.length === expected.length && timingSafeEqual(found, expected);
}

const instanceMessage = (userData: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(INSTANCE_LABEL), userData]);

const digestFor = (key: KeyObject): "sha256" | null => (key.asymmetricKeyType === "ec" ? "sha256" : null);
