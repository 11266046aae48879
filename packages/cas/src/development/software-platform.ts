import {
  createSimulatedPlatform,
  type Evidence,
  type SimulatedKind,
  type SimulatedPlatform,
  simulateEvidence,
  type Workload,
} from "@vouchsafe/attestation";
import { openDevelopmentPlatform } from "./development-platform.ts";

const RENEW_MS = 12 * 3_600_000;

/**
 * The software platform: where no TEE is, evidence that looks like that of one, under the development root of this machine's CAS. It proves nothing;
 * the same verifiers judge it. Certificates are made anew twice a day.
 */
export class SoftwarePlatform {
  readonly #directory: string;
  readonly #kind: SimulatedKind;
  #platform: SimulatedPlatform | undefined;
  #madeAt = 0;

  constructor(directory: string, kind: SimulatedKind) {
    this.#directory = directory;
    this.#kind = kind;
  }

  vouchFor(workload: Workload): (userData: Uint8Array) => Evidence {
    return (userData) => simulateEvidence(this.#current(), this.#kind, { userData, workload });
  }

  #current(): SimulatedPlatform {
    const now = new Date();
    if (this.#platform === undefined || now.getTime() - this.#madeAt > RENEW_MS) {
      const { keys, root } = openDevelopmentPlatform(this.#directory, now);
      this.#platform = createSimulatedPlatform(keys, root, now);
      this.#madeAt = now.getTime();
    }
    return this.#platform;
  }
}
