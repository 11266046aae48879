import { createPublicKey, hash, type KeyObject } from "node:crypto";
import type { Evidence } from "../core/evidence.ts";
import { encodeWorkload } from "../core/workload.ts";
import { encodeSnpReport } from "../snp/encode-snp-report.ts";
import { DEVELOPMENT_ORGANIZATION } from "./development-root.ts";
import { SIMULATED_LAUNCH } from "./simulated-launch.ts";
import type { IssueBelow, SimulatedGuest, SimulatedPlatformKeys, Validity } from "./simulated-parts.ts";
import { issueSnpCertificate } from "./snp-endorsement-certificate.ts";

/** A processor of AMD that exists on paper. */
export interface SimulatedSnp {
  readonly signer: Uint8Array;
  readonly endorsementKey: Uint8Array;
  readonly chipId: Uint8Array;
  readonly processor: KeyObject;
}

const SIGNER_NAME = "Vouchsafe simulated SEV-SNP signer";
const TCB = { bootLoader: 4, tee: 0, snp: 24, microcode: 219 };
const TCB_VERSION = 0xdb18000000000004n;

export function createSimulatedSnp(keys: SimulatedPlatformKeys, chipId: Uint8Array, validity: Validity, issue: IssueBelow): SimulatedSnp {
  return {
    signer: issue({ subject: SIGNER_NAME, publicKey: createPublicKey(keys.authority), serial: 2n, isCa: true }),
    endorsementKey: issueSnpCertificate({
      ...{ kind: "VCEK", product: "Milan", tcb: TCB, hardwareId: chipId, key: keys.processor, ...validity },
      ...{ issuer: SIGNER_NAME, issuerKey: keys.authority, organization: DEVELOPMENT_ORGANIZATION },
    }),
    chipId,
    processor: keys.processor,
  };
}

/** A report with the workload in HOST_DATA. */
export function simulateSnpReport(snp: SimulatedSnp, { userData, workload }: SimulatedGuest): Omit<Evidence, "kind"> {
  const descriptor = encodeWorkload(workload);
  const fields = {
    reportData: userData,
    measurement: SIMULATED_LAUNCH.snp(),
    hostData: hash("sha256", descriptor, "buffer"),
    tcb: TCB_VERSION,
    chipId: snp.chipId,
  };
  return {
    bytes: encodeSnpReport(fields, snp.processor),
    endorsements: new Map([
      ["endorsement-key", snp.endorsementKey],
      ["signer", snp.signer],
      ["workload", descriptor],
    ]),
  };
}
