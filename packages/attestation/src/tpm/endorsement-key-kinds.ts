import { concat, u16, u32 } from "../core/bytes.ts";
import { sized } from "./tpm-command.ts";

/** A kind of endorsement key that makers certify (TCG EK Credential Profile 2.6, annex B): where a TPM keeps it, and how it is made anew. */
export interface EndorsementKeyKind {
  readonly name: string;
  /** NV index of the certificate. */
  readonly certificateIndex: number;
  /** Where platforms persist the key, if they do. */
  readonly handle: number;
  /** TPMT_PUBLIC. */
  readonly template: Uint8Array;
  /** Keys of the low range answer to a policy session over the endorsement hierarchy; those of the high range to the empty password too. */
  readonly authorisation: "policy-secret" | "password";
}

const RSA = 0x0001;
const AES = 0x0006;
const SHA256 = 0x000b;
const SHA384 = 0x000c;
const NONE = 0x0010;
const ECC = 0x0023;
const CFB = 0x0043;
const P256 = 0x0003;
const P384 = 0x0004;
/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt */
const LOW_RANGE = 0x000300b2;
/** The same and userWithAuth. */
const HIGH_RANGE = 0x000300f2;
/** PolicySecret of the endorsement hierarchy (B.6.2). */
const POLICY_A = Uint8Array.fromHex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa");
/** PolicyA, or what an NV index of the platform says (B.6.5). */
const POLICY_B_SHA256 = Uint8Array.fromHex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0");
const POLICY_B_SHA384 = Uint8Array.fromHex(
  "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
);

interface Protection {
  readonly nameAlgorithm: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly aesBits: number;
}
const low: Protection = { nameAlgorithm: SHA256, attributes: LOW_RANGE, policy: POLICY_A, aesBits: 128 };
const high: Protection = { nameAlgorithm: SHA256, attributes: HIGH_RANGE, policy: POLICY_B_SHA256, aesBits: 128 };
const strong: Protection = { nameAlgorithm: SHA384, attributes: HIGH_RANGE, policy: POLICY_B_SHA384, aesBits: 256 };

const head = (type: number, { nameAlgorithm, attributes, policy, aesBits }: Protection): Uint8Array =>
  concat(u16(type), u16(nameAlgorithm), u32(attributes), sized(policy), u16(AES), u16(aesBits), u16(CFB), u16(NONE));

/** `filler` is what stands in place of the key: part of what it is derived from. */
const rsa = (protection: Protection, bits: number, filler: Uint8Array): Uint8Array =>
  concat(head(RSA, protection), u16(bits), u32(0), sized(filler));
const ecc = (protection: Protection, curve: number, filler: Uint8Array): Uint8Array =>
  concat(head(ECC, protection), u16(curve), u16(NONE), sized(filler), sized(filler));

const nothing = new Uint8Array(0);

/** In the order of preference: what most makers certify first. */
export const ENDORSEMENT_KEYS: readonly EndorsementKeyKind[] = [
  {
    name: "RSA 2048",
    certificateIndex: 0x01c00002,
    handle: 0x81010001,
    template: rsa(low, 2048, new Uint8Array(256)),
    authorisation: "policy-secret",
  },
  {
    name: "P-256",
    certificateIndex: 0x01c0000a,
    handle: 0x81010002,
    template: ecc(low, P256, new Uint8Array(32)),
    authorisation: "policy-secret",
  },
  {
    name: "P-384, high range",
    certificateIndex: 0x01c00016,
    handle: 0x81010016,
    template: ecc(strong, P384, nothing),
    authorisation: "password",
  },
  {
    name: "P-256, high range",
    certificateIndex: 0x01c00014,
    handle: 0x81010014,
    template: ecc(high, P256, nothing),
    authorisation: "password",
  },
  {
    name: "RSA 2048, high range",
    certificateIndex: 0x01c00012,
    handle: 0x81010012,
    template: rsa(high, 2048, nothing),
    authorisation: "password",
  },
  {
    name: "RSA 3072, high range",
    certificateIndex: 0x01c0001c,
    handle: 0x8101001c,
    template: rsa(strong, 3072, nothing),
    authorisation: "password",
  },
];
