import { ByteCursor } from "../core/byte-cursor.ts";
import { concat, isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import type { HashAlgorithm, PublicKey } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { rsaPublicKey } from "../x509/public-key.ts";

/** Report that the paravisor of an Azure confidential VM keeps in the vTPM: hardware report and the runtime data it covers. Not verified. */
export interface HclReport {
  /** Of the report's header. */
  readonly version: number;
  readonly reportType: number;
  readonly hashType: number;
  readonly hardware: "snp" | "tdx";
  /** SNP attestation report of 1184 bytes, or TDREPORT of 1024 bytes. */
  readonly hardwareReport: Uint8Array;
  /** JSON as it lies in the report: report data covers the hash of exactly these bytes. */
  readonly runtimeData: Uint8Array;
  readonly runtimeDataHash: Uint8Array;
}

/** What the runtime data say; worth something only once the hardware is known to cover them. */
export interface HclRuntimeData {
  /** The vTPM's attestation key. */
  readonly attestationKey: PublicKey;
  /** What the guest wrote into the paravisor's user data, 64 bytes. */
  readonly userData: Uint8Array | undefined;
}

const SIGNATURE = 0x414c4348; // "HCLA"
const REPORT_AT = 0x20;
const RUNTIME_HEADER_AT = 0x4c0;
const RUNTIME_HEADER_BYTES = 20;
const RUNTIME_DATA_MAX_BYTES = 16 * 1024;
const REPORT_MAX_BYTES = 64 * 1024;
const HARDWARE = new Map<number, { readonly kind: HclReport["hardware"]; readonly bytes: number }>([
  [2, { kind: "snp", bytes: 1184 }],
  [4, { kind: "tdx", bytes: 1024 }],
]);
const HASHES = new Map<number, HashAlgorithm>([
  [1, "sha256"],
  [2, "sha384"],
  [3, "sha512"],
]);

const refuse = (detail: string, reason: EvidenceReason = "parse-error") =>
  new EvidenceError("EVIDENCE_MALFORMED", `HCL report: ${detail}`, { reason });

/**
 * Splits an HCL report (Azure confidential VM guest attestation design). The hardware report lies at 0x20, a runtime data header at
 * 0x4c0: u32 size with header, u32 version, u32 report type, u32 hash type, u32 data size; then the data. Throws EVIDENCE_MALFORMED.
 */
export function parseHclReport(bytes: Uint8Array): HclReport {
  if (bytes.length > REPORT_MAX_BYTES) throw refuse(`${bytes.length} bytes, at most ${REPORT_MAX_BYTES} allowed`);
  const cursor = new ByteCursor(bytes, refuse);
  if (cursor.uint(4, "signature") !== SIGNATURE) throw refuse("does not begin with HCLA");
  const headerVersion = cursor.uint(4, "version");
  cursor.take(REPORT_AT - 8, "header");
  const reportArea = cursor.take(RUNTIME_HEADER_AT - REPORT_AT, "hardware report");
  const size = cursor.uint(4, "runtime data size");
  const version = cursor.uint(4, "runtime data version");
  const reportType = cursor.uint(4, "report type");
  const hashType = cursor.uint(4, "hash type");
  const dataBytes = cursor.uint(4, "variable data size");
  if (version !== 1) throw refuse(`runtime data version ${version} is not supported`, "unsupported-version");
  if (dataBytes > RUNTIME_DATA_MAX_BYTES) throw refuse(`runtime data of ${dataBytes} bytes, at most ${RUNTIME_DATA_MAX_BYTES} allowed`);
  if (size !== dataBytes + RUNTIME_HEADER_BYTES)
    throw refuse(`runtime data size is ${size}, but header and data have ${dataBytes + RUNTIME_HEADER_BYTES}`);
  const hardware = HARDWARE.get(reportType);
  if (hardware === undefined) throw refuse(`report type ${reportType} is not supported`, "unsupported-tee");
  const algorithm = HASHES.get(hashType);
  if (algorithm === undefined) throw refuse(`hash type ${hashType} is not supported`, "unsupported-algorithm");
  const runtimeData = cursor.take(dataBytes, "runtime data");
  const rest = cursor.take(cursor.left, "padding");
  if (rest.some((byte) => byte !== 0)) throw refuse(`${rest.length} bytes that are not zero follow the runtime data`, "trailing-data");
  return {
    version: headerVersion,
    reportType,
    hashType,
    hardware: hardware.kind,
    hardwareReport: reportArea.subarray(0, hardware.bytes),
    runtimeData,
    runtimeDataHash: hash(algorithm, runtimeData),
  };
}

/** That the hardware vouches for the runtime data: their hash fills the beginning of report data, the rest is zero. Throws EVIDENCE_SIGNATURE. */
export function assertRuntimeDataCovered(report: HclReport, reportData: Uint8Array): void {
  const expected = concat(report.runtimeDataHash, new Uint8Array(64)).subarray(0, 64);
  if (isSameBytes(expected, reportData)) return;
  throw new EvidenceError("EVIDENCE_SIGNATURE", "HCL report: report data of the hardware report is not the hash of the runtime data", {
    reason: "runtime-data-mismatch",
    field: "report data",
    expected: expected.toHex(),
    found: reportData.toHex(),
  });
}

/** Reads the runtime data's JSON. Throws EVIDENCE_MALFORMED. */
export function readRuntimeData(report: HclReport): HclRuntimeData {
  const json = parseJsonObject(report.runtimeData);
  const keys: readonly unknown[] = Array.isArray(json["keys"]) ? json["keys"] : [];
  const matching = keys.filter((key): key is Record<string, unknown> => isObject(key) && key["kid"] === "HCLAkPub");
  const [key] = matching;
  if (key === undefined || matching.length > 1) throw refuse(`the runtime data have ${matching.length} keys named HCLAkPub, expected one`);
  const { kty, n, e } = key;
  if (kty !== "RSA" || typeof n !== "string" || typeof e !== "string") throw refuse("HCLAkPub is not an RSA key");
  return { attestationKey: readKey(n, e), userData: readUserData(json["user-data"]) };
}

function readKey(n: string, e: string): PublicKey {
  const key = rsaPublicKey(readBase64Url(n), readBase64Url(e));
  if (key === undefined) throw refuse("HCLAkPub is not a readable RSA key");
  return key;
}

function readBase64Url(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "HCL report: HCLAkPub is not in base64url", { reason: "parse-error", cause });
  }
}

function readUserData(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^(?:[0-9A-Fa-f]{2}){1,64}$/.test(value)) throw refuse("user-data is not hex of 1 to 64 bytes");
  return Uint8Array.fromHex(value);
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(json)) return json;
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "HCL report: the runtime data are not JSON", { reason: "parse-error", cause });
  }
  throw refuse("the runtime data are not a JSON object");
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
