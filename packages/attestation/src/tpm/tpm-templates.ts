import { concat, encodeUtf8, u16, u32 } from "../core/bytes.ts";
import { sized } from "./tpm-command.ts";

const SHA256 = 0x000b;
const NONE = 0x0010;
const ECDSA = 0x0018;
const ECC = 0x0023;
const P256 = 0x0003;
/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign */
const ATTESTATION_ATTRIBUTES = 0x00050072;

/** TPMT_PUBLIC of an attestation key with these coordinates: P-256, restricted to signing what the TPM itself made. */
export const attestationKeyArea = (x: Uint8Array, y: Uint8Array): Uint8Array =>
  concat(
    ...[u16(ECC), u16(SHA256), u32(ATTESTATION_ATTRIBUTES), sized(new Uint8Array(0))],
    ...[u16(NONE), u16(ECDSA), u16(SHA256), u16(P256), u16(NONE), sized(x), sized(y)],
  );

/** Makes an attestation key. As a primary key it is the same at every start until the TPM is cleared, so nothing of it has to be stored. */
export const ATTESTATION_KEY_TEMPLATE: Uint8Array = attestationKeyArea(encodeUtf8("vouchsafe/tpm-attestation-key/01"), new Uint8Array(0));
