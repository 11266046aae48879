/**
 * What the TDX module says about a trust domain: TDQUOTEBODY of TDX 1.0, and of 1.5 with the two last fields
 * (Intel TDX DCAP Quoting Library API, appendix A.3.2 and A.3.3). Views, not copies.
 */
export interface TdReport {
  /** SVNs of module, SEAM loader and microcode when the TD started. */
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  /** Four registers. */
  readonly rtmrs: readonly Uint8Array[];
  readonly reportData: Uint8Array;
  /** SVNs now, after a module update that the TD lived through. */
  readonly teeTcbSvn2: Uint8Array | undefined;
  /** Measurement of the service TDs bound to this one; zero without any. */
  readonly mrServiceTd: Uint8Array | undefined;
  /** Only where the guest's module gives the extended report. */
  readonly extension: TdExtension | undefined;
}

/** What a report of TDX 1.5 in its extended form adds (`sgx_report2_body_v1_5_ex_t`, sgx_quote_5.h). */
export interface TdExtension {
  /** 0 for a guest that is not partitioned, or for its own monitor. */
  readonly vmId: number;
  /** New with every launch; stays over updates of the module and over migration. Zero where the host does not give it. */
  readonly tdId: Uint8Array;
  /** SHA-384 of what the guest knows about its devices. */
  readonly deviceInfo: Uint8Array;
  readonly initServiceTdHash: Uint8Array;
  readonly initServiceTdAttributes: Uint8Array;
  readonly initCpuSvn: Uint8Array;
  readonly initTeeTcbSvn: Uint8Array;
  readonly initTeeFmspc: Uint8Array;
  /** Service TDs bound now, where `mrServiceTd` is those at launch. */
  readonly currentServiceTdHash: Uint8Array;
  readonly currentServiceTdAttributes: Uint8Array;
}

export const TD_REPORT_10_BYTES = 584;
export const TD_REPORT_15_BYTES = 648;
export const TD_REPORT_15_EX_BYTES = 885;
const RTMRS = 4;

/** Bits of ATTRIBUTES (Intel TDX Module ABI, TD attributes). */
const DEBUG = 1n << 0n;
const SERVTD_EXT = 1n << 17n;
const LASS = 1n << 27n;
const SEPT_VE_DISABLE = 1n << 28n;
const MIGRATABLE = 1n << 29n;
const PKS = 1n << 30n;
const KEY_LOCKER = 1n << 31n;
const PERFMON = 1n << 63n;
/** Bits that say nothing against a TD, or something that is judged on its own. */
const JUDGED = DEBUG | SERVTD_EXT | LASS | SEPT_VE_DISABLE | MIGRATABLE | PKS | KEY_LOCKER | PERFMON;

/** Reads exactly one of the three lengths. A `TypeError` for another length: the format around it has checked that. */
export function parseTdReport(bytes: Uint8Array): TdReport {
  const lengths = [TD_REPORT_10_BYTES, TD_REPORT_15_BYTES, TD_REPORT_15_EX_BYTES];
  if (!lengths.includes(bytes.length)) throw new TypeError(`a TD report body has ${lengths.join(", ")} bytes`);
  const isVersion15 = bytes.length >= TD_REPORT_15_BYTES;
  return {
    teeTcbSvn: bytes.subarray(0, 16),
    mrSeam: bytes.subarray(16, 64),
    mrSignerSeam: bytes.subarray(64, 112),
    seamAttributes: bytes.subarray(112, 120),
    tdAttributes: bytes.subarray(120, 128),
    xfam: bytes.subarray(128, 136),
    mrTd: bytes.subarray(136, 184),
    mrConfigId: bytes.subarray(184, 232),
    mrOwner: bytes.subarray(232, 280),
    mrOwnerConfig: bytes.subarray(280, 328),
    rtmrs: Array.from({ length: RTMRS }, (_, index) => bytes.subarray(328 + 48 * index, 376 + 48 * index)),
    reportData: bytes.subarray(520, 584),
    teeTcbSvn2: isVersion15 ? bytes.subarray(584, 600) : undefined,
    mrServiceTd: isVersion15 ? bytes.subarray(600, 648) : undefined,
    extension: bytes.length === TD_REPORT_15_EX_BYTES ? parseExtension(bytes) : undefined,
  };
}

const parseExtension = (bytes: Uint8Array): TdExtension => ({
  vmId: bytes[648] ?? 0,
  tdId: bytes.subarray(649, 681),
  deviceInfo: bytes.subarray(681, 729),
  initServiceTdHash: bytes.subarray(729, 777),
  initServiceTdAttributes: bytes.subarray(777, 785),
  initCpuSvn: bytes.subarray(785, 801),
  initTeeTcbSvn: bytes.subarray(801, 817),
  initTeeFmspc: bytes.subarray(817, 829),
  currentServiceTdHash: bytes.subarray(829, 877),
  currentServiceTdAttributes: bytes.subarray(877, 885),
});

const attributesOf = ({ tdAttributes }: TdReport): bigint =>
  new DataView(tdAttributes.buffer, tdAttributes.byteOffset, 8).getBigUint64(0, true);

export const isDebugTd = (report: TdReport): boolean => (attributesOf(report) & DEBUG) !== 0n;

/** Whether the host cannot raise #VE in the TD by taking pages away: every production guest sets it. */
export const hasSeptVeDisabled = (report: TdReport): boolean => (attributesOf(report) & SEPT_VE_DISABLE) !== 0n;

/** What makes a TD less protected than one of its own needs to be; debug mode is told on its own. Bits without a known meaning count. */
export function findTdWeaknesses(report: TdReport): readonly string[] {
  const attributes = attributesOf(report);
  const unknown = attributes & ~JUDGED;
  return [
    ...(hasSeptVeDisabled(report) ? [] : ["SEPT_VE_DISABLE is off: the host can inject exceptions"]),
    ...((attributes & MIGRATABLE) === 0n ? [] : ["MIGRATABLE is on: a service TD can move it to another machine"]),
    ...(unknown === 0n ? [] : [`attribute bits 0x${unknown.toString(16)} have no known meaning here`]),
    ...((attributes & SERVTD_EXT) === 0n ? [] : ["SERVTD_EXT is on: service TDs can be bound to it after its launch"]),
    ...(serviceTds(report).some((hash) => hash.some((octet) => octet !== 0)) ? ["a service TD is bound to it"] : []),
  ];
}

/** Hashes over the service TDs at launch and now; zero without any. */
const serviceTds = ({ mrServiceTd, extension }: TdReport): readonly Uint8Array[] =>
  [mrServiceTd, extension?.initServiceTdHash, extension?.currentServiceTdHash].filter((hash) => hash !== undefined);
