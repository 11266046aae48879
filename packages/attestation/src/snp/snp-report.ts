import { ByteCursor } from "../core/byte-cursor.ts";
import { concat } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";

/** Product lines by their root; Siena and Bergamo are certified under `Genoa`. */
export type SnpProduct = "Milan" | "Genoa" | "Turin";

/** Security versions of the platform's parts; `fmc` exists from Turin on. */
export interface SnpTcb {
  readonly fmc?: number;
  readonly bootLoader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

/** What a guest was started under: POLICY of the report (SEV-SNP ABI, table 10). The firmware starts it on no machine that does not fit. */
export interface SnpPolicy {
  readonly abiMinor: number;
  readonly abiMajor: number;
  readonly smtAllowed: boolean;
  readonly migrationAgentAllowed: boolean;
  readonly debugAllowed: boolean;
  readonly singleSocketRequired: boolean;
  readonly cxlAllowed: boolean;
  /** Memory is encrypted with AES-256 XTS, or the guest does not start. */
  readonly aes256XtsRequired: boolean;
  readonly raplDisabled: boolean;
  readonly ciphertextHidingRequired: boolean;
  readonly pageSwapDisabled: boolean;
}

/** How the platform was set up when the report was made (SEV-SNP ABI, ATTESTATION_REPORT). */
export interface SnpPlatformInfo {
  readonly smtEnabled: boolean;
  readonly tsmeEnabled: boolean;
  readonly eccEnabled: boolean;
  readonly raplDisabled: boolean;
  readonly ciphertextHidingEnabled: boolean;
  /** The firmware found no memory module that lies about its size (AMD-SB-3015). */
  readonly aliasCheckComplete: boolean;
  readonly tioEnabled: boolean;
}

/** An attestation report as the SEV firmware made it: parsed, not verified. Byte fields are views into the report. */
export interface SnpReport {
  readonly version: number;
  readonly guestSvn: number;
  readonly policy: bigint;
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  readonly vmpl: number;
  readonly signatureAlgo: number;
  readonly currentTcb: bigint;
  readonly platformInfo: bigint;
  readonly signerInfo: number;
  /** 64 bytes chosen by the guest. */
  readonly reportData: Uint8Array;
  /** 48 bytes: digest of the initial memory. */
  readonly measurement: Uint8Array;
  /** 32 bytes chosen by the host at launch. */
  readonly hostData: Uint8Array;
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  readonly reportId: Uint8Array;
  readonly reportIdMa: Uint8Array;
  readonly reportedTcb: bigint;
  /** Processor signature as CPUID 1 gives it in EAX; absent before report version 3. */
  readonly cpuid1Eax: number | undefined;
  /** 64 bytes; zero when the platform masks it. */
  readonly chipId: Uint8Array;
  readonly committedTcb: bigint;
  readonly currentFirmware: SnpFirmware;
  readonly committedFirmware: SnpFirmware;
  readonly launchTcb: bigint;
  /** Mitigations at launch and now; from report version 5 on. */
  readonly launchMitigations: bigint | undefined;
  readonly currentMitigations: bigint | undefined;
  /** Everything before the signature: what VCEK or VLEK signed. */
  readonly signedBytes: Uint8Array;
  /** R and S, big-endian, 48 bytes each, as ECDSA libraries want them. */
  readonly signature: Uint8Array;
}

export interface SnpFirmware {
  readonly build: number;
  readonly minor: number;
  readonly major: number;
}

export const SNP_REPORT_BYTES = 1184;
const SIGNED_BYTES = 0x2a0;
const SUPPORTED_VERSIONS = [2, 3, 4, 5];
const ECDSA_P384_SHA384 = 1;

/**
 * Splits a report; proves nothing yet. Reserved bytes that are signed may have a meaning in later firmware and are passed over; those around the
 * signature must be zero, so that a report has one spelling. Layout: AMD SEV-SNP Firmware ABI 1.58, table 23. Throws EVIDENCE_MALFORMED.
 */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `SNP report: ${detail}`, { reason: "parse-error" });
  if (bytes.length > SNP_REPORT_BYTES) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `SNP report: ${bytes.length - SNP_REPORT_BYTES} bytes follow the signature`, {
      reason: "trailing-data",
    });
  }
  const cursor = new ByteCursor(bytes, malformed);
  const version = cursor.uint(4, "VERSION");
  if (!SUPPORTED_VERSIONS.includes(version)) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `SNP report: version ${version} is not supported`, { reason: "unsupported-version" });
  }
  const guestSvn = cursor.uint(4, "GUEST_SVN");
  const policy = uint64(cursor.take(8, "POLICY"));
  const familyId = cursor.take(16, "FAMILY_ID");
  const imageId = cursor.take(16, "IMAGE_ID");
  const vmpl = cursor.uint(4, "VMPL");
  const signatureAlgo = cursor.uint(4, "SIGNATURE_ALGO");
  const currentTcb = uint64(cursor.take(8, "CURRENT_TCB"));
  const platformInfo = uint64(cursor.take(8, "PLATFORM_INFO"));
  const signerInfo = cursor.uint(4, "SIGNER_INFO");
  cursor.take(4, "reserved at 0x4c");
  const reportData = cursor.take(64, "REPORT_DATA");
  const measurement = cursor.take(48, "MEASUREMENT");
  const hostData = cursor.take(32, "HOST_DATA");
  const idKeyDigest = cursor.take(48, "ID_KEY_DIGEST");
  const authorKeyDigest = cursor.take(48, "AUTHOR_KEY_DIGEST");
  const reportId = cursor.take(32, "REPORT_ID");
  const reportIdMa = cursor.take(32, "REPORT_ID_MA");
  const reportedTcb = uint64(cursor.take(8, "REPORTED_TCB"));
  const [family = 0, model = 0, stepping = 0] = cursor.take(3, "CPUID_FAM_ID, CPUID_MOD_ID, CPUID_STEP");
  cursor.take(21, "reserved at 0x18b");
  const chipId = cursor.take(64, "CHIP_ID");
  const committedTcb = uint64(cursor.take(8, "COMMITTED_TCB"));
  const currentFirmware = takeFirmware(cursor, "CURRENT");
  const committedFirmware = takeFirmware(cursor, "COMMITTED");
  const launchTcb = uint64(cursor.take(8, "LAUNCH_TCB"));
  const launchMitigations = uint64(cursor.take(8, "LAUNCH_MIT_VECTOR"));
  const currentMitigations = uint64(cursor.take(8, "CURRENT_MIT_VECTOR"));
  cursor.take(SIGNED_BYTES - 0x208, "reserved at 0x208");
  const r = cursor.take(72, "R");
  const s = cursor.take(72, "S");
  zero(cursor.take(368, "reserved after S"), "0x330", malformed);
  if (signatureAlgo !== ECDSA_P384_SHA384) {
    const found = `SNP report: SIGNATURE_ALGO ${signatureAlgo}; only 1, ECDSA P-384 with SHA-384, is known`;
    throw new EvidenceError("EVIDENCE_MALFORMED", found, { reason: "unsupported-algorithm" });
  }
  return {
    version,
    guestSvn,
    policy,
    familyId,
    imageId,
    vmpl,
    signatureAlgo,
    currentTcb,
    platformInfo,
    signerInfo,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    reportIdMa,
    reportedTcb,
    cpuid1Eax: version >= 3 ? processorSignature(family, model, stepping) : undefined,
    chipId,
    committedTcb,
    currentFirmware,
    committedFirmware,
    launchTcb,
    launchMitigations: version >= 5 ? launchMitigations : undefined,
    currentMitigations: version >= 5 ? currentMitigations : undefined,
    signedBytes: bytes.subarray(0, SIGNED_BYTES),
    signature: concat(bigEndian48(r, "R", malformed), bigEndian48(s, "S", malformed)),
  };
}

/** Product line by processor signature; undefined for report version 2, which does not say, and for unknown processors. */
export function snpProduct(report: Pick<SnpReport, "cpuid1Eax">): SnpProduct | undefined {
  const signature = report.cpuid1Eax ?? 0; // no processor's
  const family = ((signature >> 8) & 0xf) + ((signature >> 20) & 0xff);
  const model = ((signature >> 4) & 0xf) | ((signature >> 12) & 0xf0);
  if (family === 0x19 && model <= 0x0f) return "Milan";
  if (family === 0x19 && (model <= 0x1f || (model >= 0xa0 && model <= 0xaf))) return "Genoa"; // behind Milan; with Bergamo and Siena
  if (family === 0x1a && model <= 0x1f) return "Turin";
  return undefined;
}

/** Takes a TCB_VERSION apart. Turin puts the firmware manager controller first; the others have reserved bytes in the middle. */
export function splitSnpTcb(tcb: bigint, product: SnpProduct): SnpTcb {
  const byte = (index: number) => Number((tcb >> BigInt(8 * index)) & 0xffn);
  return product === "Turin"
    ? { fmc: byte(0), bootLoader: byte(1), tee: byte(2), snp: byte(3), microcode: byte(7) }
    : { bootLoader: byte(0), tee: byte(1), snp: byte(6), microcode: byte(7) };
}

/** Takes a guest POLICY apart (table 8 of the ABI). */
export function splitSnpPolicy(policy: bigint): SnpPolicy {
  const bit = (index: bigint) => ((policy >> index) & 1n) === 1n;
  return {
    abiMinor: Number(policy & 0xffn),
    abiMajor: Number((policy >> 8n) & 0xffn),
    smtAllowed: bit(16n),
    migrationAgentAllowed: bit(18n),
    debugAllowed: bit(19n),
    singleSocketRequired: bit(20n),
    cxlAllowed: bit(21n),
    aes256XtsRequired: bit(22n),
    raplDisabled: bit(23n),
    ciphertextHidingRequired: bit(24n),
    pageSwapDisabled: bit(25n),
  };
}

/** Takes PLATFORM_INFO apart. */
export function splitSnpPlatformInfo(platformInfo: bigint): SnpPlatformInfo {
  const bit = (index: bigint) => ((platformInfo >> index) & 1n) === 1n;
  return {
    smtEnabled: bit(0n),
    tsmeEnabled: bit(1n),
    eccEnabled: bit(2n),
    raplDisabled: bit(3n),
    ciphertextHidingEnabled: bit(4n),
    aliasCheckComplete: bit(5n),
    tioEnabled: bit(7n),
  };
}

/** What makes a guest less protected than one of its own needs to be; debug mode is told on its own. */
export function findSnpWeaknesses({ policy }: Pick<SnpReport, "policy">): readonly string[] {
  return splitSnpPolicy(policy).migrationAgentAllowed ? ["MIGRATE_MA is on: a migration agent can move it to another machine"] : [];
}

/** Which key signed the report: bits 2 to 4 of SIGNER_INFO. */
export function snpSigningKey(report: Pick<SnpReport, "signerInfo">): "VCEK" | "VLEK" | "none" | "unknown" {
  const keys = { 0: "VCEK", 1: "VLEK", 7: "none" } as const;
  const value = (report.signerInfo >> 2) & 7;
  return value === 0 || value === 1 || value === 7 ? keys[value] : "unknown";
}

function takeFirmware(cursor: ByteCursor, name: string): SnpFirmware {
  const [build = 0, minor = 0, major = 0] = cursor.take(4, `${name} firmware version`);
  return { build, minor, major };
}

function processorSignature(family: number, model: number, stepping: number): number {
  const extendedFamily = family > 0xf ? family - 0xf : 0;
  return (extendedFamily << 20) | ((model >> 4) << 16) | (Math.min(family, 0xf) << 8) | ((model & 0xf) << 4) | (stepping & 0xf);
}

/** The firmware writes 72 little-endian bytes, of which P-384 fills 48. */
function bigEndian48(littleEndian: Uint8Array, field: string, malformed: (detail: string) => Error): Uint8Array {
  zero(littleEndian.subarray(48), field, malformed);
  return Uint8Array.from(littleEndian.subarray(0, 48)).reverse();
}

function zero(bytes: Uint8Array, where: string, malformed: (detail: string) => Error): void {
  if (bytes.some((byte) => byte !== 0)) throw malformed(`reserved bytes at ${where} are not zero`);
}

const uint64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
