import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import type { Evidence } from "../core/evidence.ts";
import { encodeWorkload } from "../core/workload.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { encodeTpmPublic, encodeTpmQuote, encodeTpmSignature } from "../tpm/encode-tpm-quote.ts";
import { encodePcrBank } from "../tpm/pcr-banks.ts";
import { SIMULATED_LAUNCH } from "./simulated-launch.ts";
import type { IssueBelow, SimulatedGuest, SimulatedPlatformKeys } from "./simulated-parts.ts";

/** A TPM that exists on paper; for one that exists in software, see swtpm and evidence of kind `tpm`. */
export interface SimulatedTpm {
  readonly certificate: Uint8Array;
  readonly publicArea: Uint8Array;
  readonly quoting: KeyObject;
}

const WORKLOAD_PCR = 15;

export function createSimulatedTpm(keys: SimulatedPlatformKeys, issue: IssueBelow): SimulatedTpm {
  const publicKey = createPublicKey(keys.quoting);
  const id = hash("sha256", publicKey.export({ type: "spki", format: "der" }), "hex");
  return {
    certificate: issue({ subject: `TPM_EK:${id}`, publicKey, serial: 5n, isCa: false }),
    publicArea: encodeTpmPublic(keys.quoting),
    quoting: keys.quoting,
  };
}

/** A quote with the workload in PCR 15. */
export function simulateTpmQuote(tpm: SimulatedTpm, { userData, workload }: SimulatedGuest): Omit<Evidence, "kind"> {
  const descriptor = encodeWorkload(workload);
  const measured = extendRegister("sha256", zeroRegister("sha256"), hash("sha256", descriptor, "buffer"));
  const pcrs = new Map([...SIMULATED_LAUNCH.tpm(), [WORKLOAD_PCR, measured]]);
  const message = encodeTpmQuote(userData, pcrs);
  const signature = sign("sha256", message, { key: tpm.quoting, dsaEncoding: "ieee-p1363" });
  return {
    bytes: message,
    endorsements: new Map([
      ["signature", encodeTpmSignature(signature)],
      ["attestation-key", tpm.publicArea],
      ["attestation-key-certificate", tpm.certificate],
      ["pcrs", encodePcrBank(pcrs)],
      ["workload", descriptor],
    ]),
  };
}
