import { createPublicKey, hash } from "node:crypto";
import type { Evidence } from "../core/evidence.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { DEVELOPMENT_ORGANIZATION, ROOT_NAME } from "./development-root.ts";
import { createSimulatedIntel, type SimulatedIntel, simulateQuote } from "./simulated-intel.ts";
import type { SimulatedKind } from "./simulated-launch.ts";
import type { IssueBelow, SimulatedGuest, SimulatedPlatformKeys } from "./simulated-parts.ts";
import { createSimulatedSnp, type SimulatedSnp, simulateSnpReport } from "./simulated-snp.ts";
import { createSimulatedTpm, type SimulatedTpm, simulateTpmQuote } from "./simulated-tpm.ts";

/** Hardware that exists on paper. Whoever trusts its root trusts whoever holds these keys. */
export interface SimulatedPlatform {
  /** DER; the trust anchor for kind `simulated`. */
  readonly root: Uint8Array;
  readonly keys: SimulatedPlatformKeys;
  readonly snp: SimulatedSnp;
  readonly intel: SimulatedIntel;
  readonly tpm: SimulatedTpm;
}

const DAY_MS = 86_400_000;
/** Short, so that what was made for a demonstration does not live on. */
const LIFE_DAYS = 30;

/** Certifies the keys as those of simulated hardware of every kind below `root` (`createDevelopmentRoot`), from a day before `now` on for 30 days. */
export function createSimulatedPlatform(keys: SimulatedPlatformKeys, root: Uint8Array, now: Date): SimulatedPlatform {
  const validity = { notBefore: new Date(now.getTime() - DAY_MS), notAfter: new Date(now.getTime() + LIFE_DAYS * DAY_MS) };
  const issue: IssueBelow = ({ issuer = { name: ROOT_NAME, key: keys.root }, ...request }) =>
    issueCertificate({ ...request, ...validity, issuer: issuer.name, issuerKey: issuer.key, organization: DEVELOPMENT_ORGANIZATION });
  const chipId = hash("sha512", createPublicKey(keys.processor).export({ type: "spki", format: "der" }), "buffer");
  return {
    root,
    keys,
    snp: createSimulatedSnp(keys, chipId, validity, issue),
    intel: createSimulatedIntel(keys, root, now, validity, issue),
    tpm: createSimulatedTpm(keys, issue),
  };
}

/** Evidence of kind `simulated`: well-formed evidence of the kind it imitates, of a guest that does not exist. */
export function simulateEvidence(platform: SimulatedPlatform, kind: SimulatedKind, guest: SimulatedGuest): Evidence {
  const { bytes, endorsements } = imitate(platform, kind, guest);
  const imitated = Buffer.from(kind);
  return {
    kind: "simulated",
    bytes: Buffer.concat([Uint8Array.of(imitated.length), imitated, bytes]),
    endorsements: new Map(endorsements),
  };
}

function imitate(platform: SimulatedPlatform, kind: SimulatedKind, guest: SimulatedGuest): Omit<Evidence, "kind"> {
  switch (kind) {
    case "snp":
      return simulateSnpReport(platform.snp, guest);
    case "tpm":
      return simulateTpmQuote(platform.tpm, guest);
    case "sgx":
    case "tdx":
      return simulateQuote(platform.intel, kind, guest);
    default:
      return kind satisfies never;
  }
}
