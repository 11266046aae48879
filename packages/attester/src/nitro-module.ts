import { existsSync } from "node:fs";
import { encodeNsmAttestation, NSM_RESPONSE_MAX_BYTES, parseNsmAttestation } from "@vouchsafe/attestation";
import { type Device, openDevice } from "@vouchsafe/linux";
import { AttesterError } from "./attester-error.ts";
import type { EvidenceSource } from "./evidence-source.ts";

export const NITRO_MODULE = "/dev/nsm";
/** _IOWR(0x0A, 0, struct nsm_raw): two iovec, of request and response. */
const NSM_IOCTL_RAW = 0xc0200a00n;
const MESSAGE_BYTES = 32;
const OFFSET = { request: 0, requestLength: 8, response: 16, responseLength: 24 } as const;

/** Evidence of kind `nitro` from the Nitro Secure Module of an enclave. */
export function nitroModuleSource(path = NITRO_MODULE, open: (path: string) => Device = openDevice): EvidenceSource {
  return {
    kinds: ["nitro"],
    name: path,
    absence: () => (existsSync(path) ? undefined : "there is no such device"),
    gather: async ({ userData, workload }) => {
      try {
        using device = open(path);
        const bytes = readNitroDocument(device, userData);
        return { kind: "nitro", bytes, endorsements: new Map(workload === undefined ? [] : [["workload", workload]]) };
      } catch (cause) {
        throw new AttesterError(`${path} gives no document`, { cause });
      }
    },
  };
}

/** An attestation document over the user data. Throws what the device throws, and EVIDENCE_MALFORMED for an answer that holds none. */
export function readNitroDocument(device: Device, userData: Uint8Array): Uint8Array {
  const request = encodeNsmAttestation(userData);
  const response = new Uint8Array(NSM_RESPONSE_MAX_BYTES);
  const message = new Uint8Array(MESSAGE_BYTES);
  const view = new DataView(message.buffer);
  view.setBigUint64(OFFSET.requestLength, BigInt(request.length), true);
  view.setBigUint64(OFFSET.responseLength, BigInt(response.length), true);
  device.control(NSM_IOCTL_RAW, message, [
    { offset: OFFSET.request, buffer: request },
    { offset: OFFSET.response, buffer: response },
  ]);
  const length = Number(view.getBigUint64(OFFSET.responseLength, true));
  return parseNsmAttestation(response.subarray(0, Math.min(length, response.length)));
}
