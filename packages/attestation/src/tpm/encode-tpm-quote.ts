import { createPublicKey, type KeyObject } from "node:crypto";
import { concat, u16, u32 } from "../core/bytes.ts";
import { hash } from "../crypto/current-provider.ts";
import { sized } from "./tpm-command.ts";
import { TPM_GENERATED_VALUE, TPM_ST_ATTEST_QUOTE } from "./tpm-quote.ts";
import { attestationKeyArea } from "./tpm-templates.ts";

const SHA256 = 0x000b;
const ECDSA = 0x0018;

/** A TPMS_ATTEST of a quote over PCRs of the SHA-256 bank, the reverse of `parseTpmQuote`. A TPM makes these; this one nobody vouches for. */
export function encodeTpmQuote(extraData: Uint8Array, pcrs: ReadonlyMap<number, Uint8Array>, magic = TPM_GENERATED_VALUE): Uint8Array {
  const select = new Uint8Array(3);
  const values = [...pcrs].sort(([a], [b]) => a - b);
  for (const [index] of values) select[index >> 3] = (select[index >> 3] ?? 0) | (1 << (index & 7));
  const digest = hash("sha256", ...values.map(([, value]) => value));
  return concat(
    ...[u32(magic), u16(TPM_ST_ATTEST_QUOTE)],
    ...[sized(concat(u16(SHA256), new Uint8Array(32).fill(3))), sized(extraData)],
    ...[new Uint8Array(8 + 4 + 4), Uint8Array.of(1), new Uint8Array(8)], // clock, counters, safe, firmware version
    ...[u32(1), u16(SHA256), Uint8Array.of(select.length), select, sized(digest)],
  );
}

/** TPMT_PUBLIC of a P-256 key, as an attestation key of a TPM would have it. */
export function encodeTpmPublic(privateKey: KeyObject): Uint8Array {
  const point = createPublicKey(privateKey).export({ type: "spki", format: "der" }).subarray(-64);
  return attestationKeyArea(point.subarray(0, 32), point.subarray(32));
}

/** TPMT_SIGNATURE of ECDSA with SHA-256 out of r and s side by side. */
export const encodeTpmSignature = (signature: Uint8Array): Uint8Array =>
  concat(u16(ECDSA), u16(SHA256), sized(signature.subarray(0, 32)), sized(signature.subarray(32)));
