import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { encode } from "cborg";
import { signatureStructure } from "../nitro/cose-sign1.ts";
import type { NitroTrust } from "../nitro/verify-nitro-document.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";

const p384 = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const keys = { root: p384(), region: p384(), leaf: p384(), stranger: p384() };
const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
const issue = (subject: string, key: keyof typeof keys, issuer: string, issuerKey: keyof typeof keys, isCa: boolean): Uint8Array =>
  issueCertificate({ subject, issuer, publicKey: createPublicKey(keys[key]), issuerKey: keys[issuerKey], serial: 7n, isCa, ...validity });
const root = issue("nitro.test", "root", "nitro.test", "root", true);
const region = issue("region.test", "region", "nitro.test", "root", true);
const leaf = issue("enclave.test", "leaf", "region.test", "region", false);

/** A certificate of the region for another key than the enclave's. */
export const certifyNitroKey = (publicKey: KeyObject): Uint8Array =>
  issueCertificate({
    subject: "enclave.test",
    issuer: "region.test",
    publicKey,
    issuerKey: keys.region,
    serial: 8n,
    isCa: false,
    ...validity,
  });

export const nitroTrust: NitroTrust = { anchors: [parseCertificate(root)], now: new Date("2026-06-01T00:00:00Z") };
export const pcr = (fill: number): Uint8Array => new Uint8Array(48).fill(fill);

/** Every member of a document as an enclave without secrets would have it. */
export const nitroPayload = {
  module_id: "i-0test-enc0test",
  digest: "SHA384",
  timestamp: 1_780_272_000_000,
  pcrs: new Map([0, 1, 2, 3, 16].map((index) => [index, pcr(index + 1)])),
  certificate: leaf,
  cabundle: [root, region],
  public_key: null,
  user_data: new Uint8Array(64).fill(7),
  nonce: Uint8Array.of(1, 2, 3),
};

export interface NitroMint {
  readonly payload?: Readonly<Record<string, unknown>>;
  /** Payload bytes as they stand, in place of members. */
  readonly payloadBytes?: Uint8Array;
  readonly protectedHeader?: Uint8Array;
  readonly header?: ReadonlyMap<unknown, unknown>;
  readonly key?: "leaf" | "stranger" | KeyObject;
}

/** An attestation document under an own root; every part can be made wrong. */
export function mintNitro(mint: NitroMint = {}): Uint8Array {
  const members = Object.entries({ ...nitroPayload, ...mint.payload }).filter(([, value]) => value !== undefined);
  const payload = mint.payloadBytes ?? encode(new Map(members));
  const protectedHeader = mint.protectedHeader ?? encode(new Map([[1, -35]]));
  const signature = sign("sha384", signatureStructure(protectedHeader, payload), {
    key: typeof mint.key === "object" ? mint.key : keys[mint.key ?? "leaf"],
    dsaEncoding: "ieee-p1363",
  });
  return encode([protectedHeader, mint.header ?? new Map(), payload, Uint8Array.from(signature)]);
}
