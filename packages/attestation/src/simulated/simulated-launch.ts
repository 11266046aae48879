import { concat, encodeUtf8 } from "../core/bytes.ts";
import { codeIdentity } from "../core/claims.ts";
import type { Workload } from "../core/evidence.ts";
import { encodeWorkload } from "../core/workload.ts";
import { hash } from "../crypto/current-provider.ts";
import { BOOT_PCRS, bootMeasurement } from "../tpm/boot-measurement.ts";

/** Kinds that the software platform imitates. */
export const SIMULATED_KINDS = ["sgx", "tdx", "snp", "tpm"] as const;
export type SimulatedKind = (typeof SIMULATED_KINDS)[number];

const GUEST = hash("sha384", encodeUtf8("vouchsafe/simulated-guest/1"));

/** What the software platform says was launched, by kind: the same guest for every workload, but an enclave of its own for each (MRENCLAVE). */
export const SIMULATED_LAUNCH = {
  /** MRENCLAVE. */
  sgx: (workload: Workload): Uint8Array => hash("sha256", encodeUtf8("vouchsafe/simulated-enclave/1\0"), encodeWorkload(workload)),
  /** MRTD; RTMR 0 to 2 are zero. */
  tdx: (): Uint8Array => GUEST,
  /** Launch digest. */
  snp: (): Uint8Array => GUEST,
  /** Boot PCRs: nothing was measured. */
  tpm: (): ReadonlyMap<number, Uint8Array> => new Map(BOOT_PCRS.map((pcr) => [pcr, new Uint8Array(32)])),
} as const;

/** The code identity that simulated evidence of this kind gives for a workload: what policies list as `mrenclave`. */
export function simulatedCodeIdentity(kind: SimulatedKind, workload: Workload): string {
  switch (kind) {
    case "sgx":
      return codeIdentity(kind, SIMULATED_LAUNCH.sgx(workload));
    case "tdx":
      return codeIdentity(kind, concat(SIMULATED_LAUNCH.tdx(), new Uint8Array(3 * 48)), workload);
    case "snp":
      return codeIdentity(kind, SIMULATED_LAUNCH.snp(), workload);
    case "tpm":
      return codeIdentity(kind, bootMeasurement(SIMULATED_LAUNCH.tpm()), workload);
    default:
      return kind satisfies never;
  }
}
