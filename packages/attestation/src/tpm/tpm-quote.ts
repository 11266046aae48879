import { concat } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { TpmCursor } from "./tpm-cursor.ts";

export type TpmHash = "sha1" | "sha256" | "sha384" | "sha512";

/** PCRs of one bank, ascending. */
export interface PcrSelection {
  readonly hash: TpmHash;
  readonly pcrs: readonly number[];
}

/** TPMS_ATTEST of a quote: parsed, not verified. Views into the message. */
export interface TpmQuote {
  readonly magic: number;
  readonly type: number;
  /** Name of the signing key with its place in the hierarchy. */
  readonly qualifiedSigner: Uint8Array;
  /** What the caller asked to be covered: nonce or channel binding. */
  readonly extraData: Uint8Array;
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
  readonly firmwareVersion: bigint;
  readonly pcrSelect: readonly PcrSelection[];
  readonly pcrDigest: Uint8Array;
}

/** TPMT_SIGNATURE. RSA: `bytes` as they are; ECDSA: r and s side by side. */
export interface TpmSignature {
  readonly scheme: "rsassa" | "rsapss" | "ecdsa";
  readonly hash: TpmHash;
  readonly bytes: Uint8Array;
}

export const TPM_GENERATED_VALUE = 0xff544347;
export const TPM_ST_ATTEST_QUOTE = 0x8018;
export const TPM_HASHES: ReadonlyMap<number, TpmHash> = new Map([
  [0x04, "sha1"],
  [0x0b, "sha256"],
  [0x0c, "sha384"],
  [0x0d, "sha512"],
]);
const NAME_MAX_BYTES = 66; // algorithm and digest
const EXTRA_DATA_MAX_BYTES = 66; // TPM2B_DATA holds a TPMT_HA
const DIGEST_MAX_BYTES = 64;
const SIGNATURE_MAX_BYTES = 1024;
const BANKS_MAX = 16;
const SELECT_MAX_BYTES = 4;

type Reason = "parse-error" | "trailing-data" | "not-tpm-generated" | "not-a-quote" | "unsupported-algorithm";
const refusal =
  (what: string) =>
  (detail: string, reason: Reason = "parse-error") =>
    new EvidenceError("EVIDENCE_MALFORMED", `${what}: ${detail}`, { reason });

/** Splits the message of TPM2_Quote (TPM 2.0 Library, part 2, §10.12). Throws EVIDENCE_MALFORMED. */
export function parseTpmQuote(bytes: Uint8Array): TpmQuote {
  const malformed = refusal("TPM quote");
  const cursor = new TpmCursor(bytes, malformed);
  const magic = cursor.uint(4, "magic");
  // A restricted key signs nothing from outside that begins with this value: without it, software may have written the message.
  if (magic !== TPM_GENERATED_VALUE) throw malformed(`magic is 0x${magic.toString(16)}, not TPM_GENERATED_VALUE`, "not-tpm-generated");
  const type = cursor.uint(2, "type");
  if (type !== TPM_ST_ATTEST_QUOTE) throw malformed(`type is 0x${type.toString(16)}, not TPM_ST_ATTEST_QUOTE`, "not-a-quote");
  const qualifiedSigner = cursor.sized(NAME_MAX_BYTES, "qualifiedSigner");
  const extraData = cursor.sized(EXTRA_DATA_MAX_BYTES, "extraData");
  const clock = cursor.uint64("clock");
  const resetCount = cursor.uint(4, "resetCount");
  const restartCount = cursor.uint(4, "restartCount");
  const safe = cursor.uint(1, "safe");
  if (safe > 1) throw malformed(`safe is ${safe}, neither yes nor no`);
  const firmwareVersion = cursor.uint64("firmwareVersion");
  const pcrSelect = takePcrSelections(cursor, malformed);
  const pcrDigest = cursor.sized(DIGEST_MAX_BYTES, "pcrDigest");
  if (cursor.left > 0) throw malformed(`${cursor.left} bytes follow the TPMS_ATTEST`, "trailing-data");
  return {
    magic,
    type,
    qualifiedSigner,
    extraData,
    clock,
    resetCount,
    restartCount,
    safe: safe === 1,
    firmwareVersion,
    pcrSelect,
    pcrDigest,
  };
}

function takePcrSelections(cursor: TpmCursor, malformed: ReturnType<typeof refusal>): PcrSelection[] {
  const count = cursor.uint(4, "number of PCR banks");
  if (count > BANKS_MAX) throw malformed(`${count} PCR banks, at most ${BANKS_MAX} allowed`);
  return Array.from({ length: count }, () => {
    const algorithm = cursor.uint(2, "PCR bank");
    const hash = TPM_HASHES.get(algorithm);
    if (hash === undefined) throw malformed(`PCR bank 0x${algorithm.toString(16)} is not supported`, "unsupported-algorithm");
    const length = cursor.uint(1, "sizeofSelect");
    if (length > SELECT_MAX_BYTES) throw malformed(`PCR selection of ${length} bytes, at most ${SELECT_MAX_BYTES} allowed`);
    const bits = cursor.take(length, "pcrSelect");
    const pcrs = Array.from({ length: length * 8 }, (_, pcr) => pcr).filter((pcr) => ((bits[pcr >> 3] ?? 0) >> (pcr & 7)) & 1);
    return { hash, pcrs };
  });
}

const SCHEMES = new Map<number, TpmSignature["scheme"]>([
  [0x14, "rsassa"],
  [0x16, "rsapss"],
  [0x18, "ecdsa"],
]);

/** Splits a TPMT_SIGNATURE (part 2, §11.3.4). Throws EVIDENCE_MALFORMED. */
export function parseTpmSignature(bytes: Uint8Array): TpmSignature {
  const malformed = refusal("TPM signature");
  const cursor = new TpmCursor(bytes, malformed);
  const algorithm = cursor.uint(2, "sigAlg");
  const scheme = SCHEMES.get(algorithm);
  if (scheme === undefined) throw malformed(`algorithm 0x${algorithm.toString(16)} is not supported`, "unsupported-algorithm");
  const hashId = cursor.uint(2, "hash");
  const hash = TPM_HASHES.get(hashId);
  if (hash === undefined) throw malformed(`hash 0x${hashId.toString(16)} is not supported`, "unsupported-algorithm");
  const signature = scheme === "ecdsa" ? takeEcdsa(cursor) : cursor.sized(SIGNATURE_MAX_BYTES, "signature");
  if (cursor.left > 0) throw malformed(`${cursor.left} bytes follow the TPMT_SIGNATURE`, "trailing-data");
  return { scheme, hash, bytes: signature };
}

/** r and s have as many bytes as they need, so both are brought to the width of the larger, rounded up to that of a curve. */
function takeEcdsa(cursor: TpmCursor): Uint8Array {
  const r = cursor.sized(DIGEST_MAX_BYTES, "signatureR");
  const s = cursor.sized(DIGEST_MAX_BYTES, "signatureS");
  const width = Math.max(r.length, s.length) <= 32 ? 32 : 48;
  const padded = (integer: Uint8Array) => concat(new Uint8Array(Math.max(0, width - integer.length)), integer);
  return concat(padded(r), padded(s));
}
