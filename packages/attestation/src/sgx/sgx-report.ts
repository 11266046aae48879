/** REPORT body of an SGX enclave (Intel SDM volume 3D, table 38-21): what the hardware says about the enclave. Views, not copies. */
export interface SgxReport {
  readonly cpuSvn: Uint8Array;
  readonly miscSelect: Uint8Array;
  readonly isvExtProdId: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  readonly isvFamilyId: Uint8Array;
  readonly reportData: Uint8Array;
}

export const SGX_REPORT_BYTES = 384;
const DEBUG = 0x02;

/** Reads exactly `SGX_REPORT_BYTES`. A `TypeError` for another length: the format around it has checked that. */
export function parseSgxReport(bytes: Uint8Array): SgxReport {
  if (bytes.length !== SGX_REPORT_BYTES) throw new TypeError(`a report body has ${SGX_REPORT_BYTES} bytes`);
  const uint16 = (offset: number) => (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
  return {
    cpuSvn: bytes.subarray(0, 16),
    miscSelect: bytes.subarray(16, 20),
    isvExtProdId: bytes.subarray(32, 48),
    attributes: bytes.subarray(48, 64),
    mrEnclave: bytes.subarray(64, 96),
    mrSigner: bytes.subarray(128, 160),
    configId: bytes.subarray(192, 256),
    isvProdId: uint16(256),
    isvSvn: uint16(258),
    configSvn: uint16(260),
    isvFamilyId: bytes.subarray(304, 320),
    reportData: bytes.subarray(320, 384),
  };
}

/** Whether the enclave's memory can be read by a debugger. */
export const isDebugEnclave = ({ attributes }: SgxReport): boolean => ((attributes[0] ?? 0) & DEBUG) !== 0;
