import { concat, encodeUtf8, u16, u32 } from "../core/bytes.ts";
import { sized } from "./tpm-command.ts";

const RSA = 0x0001;
const AES = 0x0006;
const SHA256 = 0x000b;
const NONE = 0x0010;
const ECDSA = 0x0018;
const ECC = 0x0023;
const CFB = 0x0043;
const P256 = 0x0003;
/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt */
const ENDORSEMENT_ATTRIBUTES = 0x000300b2;
/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign */
const ATTESTATION_ATTRIBUTES = 0x00050072;
/** PolicySecret of the endorsement hierarchy (TCG EK Credential Profile, B.3.3). */
const ENDORSEMENT_POLICY = Uint8Array.fromHex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa");
const RSA_BYTES = 256;

/** TPMT_PUBLIC of the RSA 2048 endorsement key that makers certify (TCG EK Credential Profile, template L-1). */
export const ENDORSEMENT_KEY_TEMPLATE: Uint8Array = concat(
  ...[u16(RSA), u16(SHA256), u32(ENDORSEMENT_ATTRIBUTES), sized(ENDORSEMENT_POLICY)],
  ...[u16(AES), u16(128), u16(CFB), u16(NONE), u16(RSA_BYTES * 8), u32(0), sized(new Uint8Array(RSA_BYTES))],
);

/** TPMT_PUBLIC of an attestation key with these coordinates: P-256, restricted to signing what the TPM itself made. */
export const attestationKeyArea = (x: Uint8Array, y: Uint8Array): Uint8Array =>
  concat(
    ...[u16(ECC), u16(SHA256), u32(ATTESTATION_ATTRIBUTES), sized(new Uint8Array(0))],
    ...[u16(NONE), u16(ECDSA), u16(SHA256), u16(P256), u16(NONE), sized(x), sized(y)],
  );

/** Makes an attestation key. As a primary key it is the same at every start until the TPM is cleared, so nothing of it has to be stored. */
export const ATTESTATION_KEY_TEMPLATE: Uint8Array = attestationKeyArea(encodeUtf8("vouchsafe/tpm-attestation-key/01"), new Uint8Array(0));

/** Persistent handle and NV index where platforms keep the RSA 2048 endorsement key and its certificate (same profile, §2.2.1.4). */
export const ENDORSEMENT_KEY_HANDLE = 0x81010001;
export const ENDORSEMENT_CERTIFICATE_INDEX = 0x01c00002;
