import { type KeyObject, sign } from "node:crypto";
import { SNP_REPORT_BYTES } from "./snp-report.ts";

/** Fields of a report that somebody other than AMD's firmware makes; what is left out is zero. */
export interface SnpReportFields {
  readonly version?: number;
  readonly guestSvn?: number;
  /** Bit 17 is reserved and must be one, as in genuine reports. */
  readonly policy?: bigint;
  readonly vmpl?: number;
  readonly platformInfo?: bigint;
  readonly signerInfo?: number;
  readonly reportData?: Uint8Array;
  readonly measurement?: Uint8Array;
  readonly hostData?: Uint8Array;
  readonly reportId?: Uint8Array;
  /** Used for current, reported, committed and launch TCB. */
  readonly tcb?: bigint;
  /** Current TCB, where it is another one. */
  readonly currentTcb?: bigint;
  readonly family?: number;
  readonly model?: number;
  readonly chipId?: Uint8Array;
}

const SIGNED_BYTES = 0x2a0;
const SCALAR_BYTES = 48;
const SCALAR_FIELD_BYTES = 72;

/** Lays out a report and signs it with a P-384 key. The root that certifies this key says what the report is worth. */
export function encodeSnpReport(fields: SnpReportFields, privateKey: KeyObject): Uint8Array {
  const report = Buffer.alloc(SNP_REPORT_BYTES);
  const tcb = fields.tcb ?? 0n;
  report.writeUInt32LE(fields.version ?? 3, 0x00);
  report.writeUInt32LE(fields.guestSvn ?? 0, 0x04);
  report.writeBigUInt64LE(fields.policy ?? 0x30000n, 0x08);
  report.writeUInt32LE(fields.vmpl ?? 0, 0x30);
  report.writeUInt32LE(1, 0x34); // ECDSA P-384 with SHA-384
  report.writeBigUInt64LE(fields.currentTcb ?? tcb, 0x38);
  report.writeBigUInt64LE(fields.platformInfo ?? 0n, 0x40);
  report.writeUInt32LE(fields.signerInfo ?? 0, 0x48);
  place(report, fields.reportData, 0x50, 64);
  place(report, fields.measurement, 0x90, 48);
  place(report, fields.hostData, 0xc0, 32);
  place(report, fields.reportId, 0x140, 32);
  report.writeBigUInt64LE(tcb, 0x180);
  report[0x188] = fields.family ?? 0x19;
  report[0x189] = fields.model ?? 0x01;
  place(report, fields.chipId, 0x1a0, 64);
  report.writeBigUInt64LE(tcb, 0x1e0);
  report.writeBigUInt64LE(tcb, 0x1f0);
  const signature = sign("sha384", report.subarray(0, SIGNED_BYTES), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const littleEndian = (scalar: Uint8Array) => Uint8Array.from(scalar).reverse();
  report.set(littleEndian(signature.subarray(0, SCALAR_BYTES)), SIGNED_BYTES);
  report.set(littleEndian(signature.subarray(SCALAR_BYTES)), SIGNED_BYTES + SCALAR_FIELD_BYTES);
  return report;
}

function place(report: Uint8Array, bytes: Uint8Array | undefined, offset: number, length: number): void {
  if (bytes === undefined) return;
  if (bytes.length !== length) throw new TypeError(`field at 0x${offset.toString(16)} has ${length} bytes, ${bytes.length} were given`);
  report.set(bytes, offset);
}
