import { existsSync } from "node:fs";
import { type Device, openDevice, SystemCallError } from "@vouchsafe/linux";
import { AttesterError } from "./attester-error.ts";
import type { EvidenceSource } from "./evidence-source.ts";
import { snpEvidence } from "./snp-evidence.ts";

export const SEV_GUEST = "/dev/sev-guest";
/** _IOWR('S', n, struct snp_guest_request_ioctl), linux/sev-guest.h */
const SNP_GET_REPORT = 0xc0205300n;
const SNP_GET_EXT_REPORT = 0xc0205302n;
const REQUEST_BYTES = 32;
const REPORT_REQUEST_BYTES = 96;
const EXT_REPORT_REQUEST_BYTES = 112;
const RESPONSE_BYTES = 4000;
const MESSAGE_VERSION = 1;
const OFFSET = {
  requestData: 8,
  responseData: 16,
  vmmError: 28,
  certificatesAddress: 96,
  certificatesLength: 104,
  status: 0,
  reportSize: 4,
  report: 32,
} as const;
/** The host says that its certificates need more room, and how much. */
const INVALID_LENGTH = 1;
const CERTIFICATES_MAX_BYTES = 64 * 1024;

/** Evidence of kind `snp` from the driver of guests older than configfs-tsm. */
export function sevGuestSource(path = SEV_GUEST, open: (path: string) => Device = openDevice): EvidenceSource {
  return {
    kinds: ["snp"],
    name: path,
    absence: () => (existsSync(path) ? undefined : "there is no such device"),
    gather: async ({ userData, workload }) => {
      try {
        using device = open(path);
        const { report, certificates } = readSnpReport(device, userData);
        return snpEvidence(report, certificates, workload);
      } catch (cause) {
        if (cause instanceof AttesterError) throw cause;
        throw new AttesterError(`${path} gives no report`, { cause });
      }
    },
  };
}

/** A report over 64 bytes at VMPL 0, with the host's certificates where it has any. Throws what the device throws, and AttesterError for a refusal. */
export function readSnpReport(
  device: Device,
  userData: Uint8Array,
): { readonly report: Uint8Array; readonly certificates: Uint8Array | undefined } {
  const certificates = new Uint8Array(CERTIFICATES_MAX_BYTES);
  const request = new Uint8Array(EXT_REPORT_REQUEST_BYTES);
  request.set(userData, 0);
  new DataView(request.buffer).setUint32(OFFSET.certificatesLength, certificates.length, true);
  const extended = ask(device, SNP_GET_EXT_REPORT, request, [{ offset: OFFSET.certificatesAddress, buffer: certificates }]);
  if (extended.report !== undefined)
    return { report: extended.report, certificates: certificates.some((byte) => byte !== 0) ? certificates : undefined };
  // A host without certificates, or with more of them than anybody has: the report alone.
  if (extended.vmmError !== INVALID_LENGTH) throw extended.error;
  const plain = new Uint8Array(REPORT_REQUEST_BYTES);
  plain.set(userData, 0);
  const { report, error } = ask(device, SNP_GET_REPORT, plain, []);
  if (report === undefined) throw error;
  return { report, certificates: undefined };
}

function ask(
  device: Device,
  command: bigint,
  request: Uint8Array,
  inside: readonly { readonly offset: number; readonly buffer: Uint8Array }[],
) {
  const structure = new Uint8Array(REQUEST_BYTES);
  structure[0] = MESSAGE_VERSION;
  const response = new Uint8Array(RESPONSE_BYTES);
  let error: unknown;
  try {
    device.control(command, structure, [
      { offset: OFFSET.requestData, buffer: request, ...(inside.length === 0 ? {} : { pointers: inside }) },
      { offset: OFFSET.responseData, buffer: response },
    ]);
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    error = cause;
  }
  const vmmError = new DataView(structure.buffer).getUint32(OFFSET.vmmError, true);
  if (error !== undefined) return { report: undefined, vmmError, error };
  const view = new DataView(response.buffer);
  const [status, size] = [view.getUint32(OFFSET.status, true), view.getUint32(OFFSET.reportSize, true)];
  if (status !== 0 || size > RESPONSE_BYTES - OFFSET.report) {
    throw new AttesterError(`the firmware refuses a report with status 0x${status.toString(16)}`);
  }
  return { report: response.slice(OFFSET.report, OFFSET.report + size), vmmError, error };
}
