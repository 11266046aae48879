import { existsSync, readFileSync } from "node:fs";
import { encodeQgsRequest, parseQgsAnswer, QGS_LENGTH_BYTES, readQgsLength, TD_LOCAL_REPORT_BYTES } from "@vouchsafe/attestation";
import { connectHost, type Device, type HostConnection, openDevice } from "@vouchsafe/linux";
import { AttesterError } from "./attester-error.ts";
import type { EvidenceSource } from "./evidence-source.ts";

export const TDX_GUEST = "/dev/tdx_guest";
/** Where Intel's own library looks for the port of the host's service. */
const QGS_CONFIGURATION = "/etc/tdx-attest.conf";
const QGS_PORT = 4050;
const QGS_TIMEOUT_MS = 30_000;
/** _IOWR('T', 1, struct tdx_report_req), linux/tdx-guest.h: 64 bytes of report data, then the report. */
const TDX_GET_REPORT0 = 0xc4405401n;
const USER_DATA_BYTES = 64;

/** What the driver and the host give; tests put recorded answers in their place. */
export interface TdxGuestParts {
  readonly open: (path: string) => Device;
  readonly connect: (port: number, timeoutMs: number) => HostConnection;
  /** Text of the configuration; undefined where there is none. */
  readonly readConfiguration: () => string | undefined;
}

const KERNEL: TdxGuestParts = { open: openDevice, connect: connectHost, readConfiguration };

/** Evidence of kind `tdx` from kernels without configfs-tsm: the driver's local report, made a quote by the host's service over vsock. */
export function tdxGuestSource(path = TDX_GUEST, parts: TdxGuestParts = KERNEL): EvidenceSource {
  return {
    kinds: ["tdx"],
    name: path,
    absence: () => (existsSync(path) ? undefined : "there is no such device"),
    gather: async ({ userData, workload }) => {
      try {
        const bytes = readTdxQuote(path, userData, parts);
        return { kind: "tdx", bytes, endorsements: new Map(workload === undefined ? [] : [["workload", workload]]) };
      } catch (cause) {
        throw new AttesterError(`${path} gives no quote`, {
          cause,
          remedy: "Use a kernel with configfs-tsm (6.7), or have the host run Intel's Quote Generation Service with vsock.",
        });
      }
    },
  };
}

/** Throws what device and host throw, and EVIDENCE_MALFORMED for an answer that holds no quote. */
export function readTdxQuote(path: string, userData: Uint8Array, { open, connect, readConfiguration: read }: TdxGuestParts): Uint8Array {
  if (userData.length !== USER_DATA_BYTES) throw new TypeError(`user data of ${userData.length} bytes, not ${USER_DATA_BYTES}`);
  const request = new Uint8Array(USER_DATA_BYTES + TD_LOCAL_REPORT_BYTES);
  request.set(userData);
  {
    using device = open(path);
    device.control(TDX_GET_REPORT0, request);
  }
  using host = connect(qgsPort(read()), QGS_TIMEOUT_MS);
  host.write(encodeQgsRequest(request.subarray(USER_DATA_BYTES)));
  return parseQgsAnswer(host.read(readQgsLength(host.read(QGS_LENGTH_BYTES))));
}

/** `port = 4050` on a line of its own. */
function qgsPort(configuration: string | undefined): number {
  const port = Number(/^[ \t]*port[ \t]*=[ \t]*(\d{1,10})[ \t]*$/m.exec(configuration ?? "")?.[1] ?? 0);
  return port > 0 && port <= 0xffff_ffff ? port : QGS_PORT;
}

function readConfiguration(): string | undefined {
  try {
    return readFileSync(QGS_CONFIGURATION, "utf8");
  } catch {
    return undefined; // its defaults hold
  }
}
