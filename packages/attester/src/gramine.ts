import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AttesterError } from "./attester-error.ts";
import type { EvidenceSource } from "./evidence-source.ts";

/** Pseudo-files of the Gramine library OS inside an SGX enclave. */
export const GRAMINE = "/dev/attestation";
const USER_REPORT_DATA_BYTES = 64;

/** Evidence of kind `sgx`. Two requests at a time would mix: process 1 makes one after the other. */
export function gramineSource(root = GRAMINE): EvidenceSource {
  const [userReportData, quote] = [join(root, "user_report_data"), join(root, "quote")];
  return {
    kinds: ["sgx"],
    name: root,
    absence: () => (existsSync(userReportData) ? undefined : "there is no such directory; this is no enclave of Gramine"),
    gather: async ({ userData }) => {
      if (userData.length !== USER_REPORT_DATA_BYTES)
        throw new TypeError(`user data of ${userData.length} bytes, not ${USER_REPORT_DATA_BYTES}`);
      try {
        writeFileSync(userReportData, userData);
        return { kind: "sgx", bytes: Uint8Array.from(readFileSync(quote)) };
      } catch (cause) {
        throw new AttesterError(`${root} gives no quote`, {
          cause,
          remedy: 'Set sgx.remote_attestation = "dcap" in the enclave\'s manifest.',
        });
      }
    },
  };
}
