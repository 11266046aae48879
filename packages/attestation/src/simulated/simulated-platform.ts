import { createPublicKey, hash, type KeyObject } from "node:crypto";
import type { Evidence, Workload } from "../core/evidence.ts";
import { encodeWorkload } from "../core/workload.ts";
import { encodeSnpReport } from "../snp/encode-snp-report.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { issueSnpCertificate } from "./snp-endorsement-certificate.ts";

/** Keys of a make-believe processor maker and one of its processors: three P-384 private keys, made by the caller. */
export interface SimulatedPlatformKeys {
  readonly root: KeyObject;
  readonly signer: KeyObject;
  readonly processor: KeyObject;
}

/** A processor that exists on paper. Whoever trusts its root trusts whoever holds these keys. */
export interface SimulatedPlatform {
  /** DER; the trust anchor for kind `simulated`. */
  readonly root: Uint8Array;
  readonly signer: Uint8Array;
  readonly endorsementKey: Uint8Array;
  readonly chipId: Uint8Array;
  readonly processor: KeyObject;
}

export interface SimulatedGuest {
  /** 64 bytes. */
  readonly userData: Uint8Array;
  /** 48 bytes that stand for the initial memory. */
  readonly measurement: Uint8Array;
  readonly workload: Workload;
}

const ROOT_NAME = "Vouchsafe simulated platform root: proves nothing";
const SIGNER_NAME = "Vouchsafe simulated platform signer: proves nothing";
const DAY_MS = 86_400_000;
/** Short, so that what was made for a demonstration does not live on. */
const LIFE_DAYS = 30;
const TCB = { bootLoader: 4, tee: 0, snp: 24, microcode: 219 };
const TCB_VERSION = 0xdb18000000000004n;

/** Certifies the keys as those of a simulated SEV-SNP platform, from a day before `now` on for 30 days. */
export function createSimulatedPlatform(keys: SimulatedPlatformKeys, now: Date): SimulatedPlatform {
  const validity = { notBefore: new Date(now.getTime() - DAY_MS), notAfter: new Date(now.getTime() + LIFE_DAYS * DAY_MS) };
  const authority = { issuer: ROOT_NAME, issuerKey: keys.root, isCa: true, ...validity };
  const chipId = hash("sha512", createPublicKey(keys.processor).export({ type: "spki", format: "der" }), "buffer");
  return {
    root: issueCertificate({ ...authority, subject: ROOT_NAME, publicKey: createPublicKey(keys.root), serial: 1n }),
    signer: issueCertificate({ ...authority, subject: SIGNER_NAME, publicKey: createPublicKey(keys.signer), serial: 2n }),
    endorsementKey: issueSnpCertificate({
      kind: "VCEK",
      product: "Milan",
      tcb: TCB,
      hardwareId: chipId,
      key: keys.processor,
      issuer: SIGNER_NAME,
      issuerKey: keys.signer,
      ...validity,
    }),
    chipId,
    processor: keys.processor,
  };
}

/** Evidence of kind `simulated`: a well-formed SEV-SNP report of a guest that does not exist, workload in HOST_DATA. */
export function simulateSnpEvidence(platform: SimulatedPlatform, { userData, measurement, workload }: SimulatedGuest): Evidence {
  const descriptor = encodeWorkload(workload);
  const hostData = hash("sha256", descriptor, "buffer");
  const fields = { reportData: userData, measurement, hostData, tcb: TCB_VERSION, chipId: platform.chipId };
  const report = encodeSnpReport(fields, platform.processor);
  const imitated = Buffer.from("snp");
  return {
    kind: "simulated",
    bytes: Buffer.concat([Uint8Array.of(imitated.length), imitated, report]),
    endorsements: new Map([
      ["endorsement-key", platform.endorsementKey],
      ["signer", platform.signer],
      ["workload", descriptor],
    ]),
  };
}
