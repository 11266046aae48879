import { cached } from "../collateral/verification-cache.ts";
import { type Claims, codeIdentity } from "../core/claims.ts";
import type { Evidence } from "../core/evidence.ts";
import type { VerificationContext } from "../core/trust.ts";
import { assertWorkloadMeasured, parseWorkload } from "../core/workload.ts";
import { hash } from "../crypto/current-provider.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { verifyNitroDocument } from "./verify-nitro-document.ts";

const WORKLOAD_PCR = 16;

/**
 * Kind `nitro`: bytes are the attestation document, its user data the channel binding. Endorsement `workload`: its SHA-384 must be all that
 * PCR 16 was extended with. Trust anchor is the AWS Nitro Enclaves root.
 */
export function verifyNitroEvidence({ bytes, endorsements }: Evidence, { now, trustAnchors, cache }: VerificationContext): Claims {
  const anchors = (trustAnchors.nitro ?? []).map((der) => cached(cache, "certificate", [der], () => parseCertificate(der)));
  const document = verifyNitroDocument(bytes, { anchors, now, ...(cache === undefined ? {} : { cache }) });
  const descriptor = endorsements?.get("workload");
  if (descriptor !== undefined) {
    const extended = extendRegister("sha384", zeroRegister("sha384"), hash("sha384", descriptor));
    assertWorkloadMeasured(`PCR ${WORKLOAD_PCR}`, document.pcrs.get(WORKLOAD_PCR), extended);
  }
  const workload = descriptor === undefined ? undefined : parseWorkload(descriptor);
  // PCR 0: image file, 1: kernel and boot, 2: application
  const launchMeasurement = hash("sha384", ...[0, 1, 2].map((index) => document.pcrs.get(index) ?? new Uint8Array(48)));
  return {
    kind: "nitro",
    userData: document.userData ?? new Uint8Array(0),
    codeIdentity: codeIdentity("nitro", launchMeasurement, workload),
    launchMeasurement,
    debug: document.debug,
    platformId: `NITRO_MODULE:${document.moduleId}`,
    tcb: { status: "UpToDate", advisories: [] },
    ...(workload === undefined ? {} : { workload }),
    instanceId: `${document.moduleId}/${document.timestamp.getTime()}`,
    details: {
      timestamp: document.timestamp.toISOString(),
      ...(document.nonce === undefined ? {} : { nonce: document.nonce.toHex() }),
      ...(document.publicKey === undefined ? {} : { publicKey: document.publicKey.toHex() }),
      ...Object.fromEntries([...document.pcrs].map(([index, value]) => [`pcr${index}`, value.toHex()])),
    },
  };
}
