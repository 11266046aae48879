import { decodeAscii, isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { HashAlgorithm } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { type DigestAlgorithm, EV_NO_ACTION, type EventLog, type LoggedEvent } from "./event-log.ts";

const DIGEST_BYTES: Record<DigestAlgorithm, number> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64, "sm3-256": 32 };
const HASHES: Record<DigestAlgorithm, HashAlgorithm> = {
  sha1: "sha1",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
  "sm3-256": "sm3",
};
const REGISTERS_MAX = 32;
const STARTUP_LOCALITY = "StartupLocality\0";
const RTMRS = 4;

/** extend: new value = hash(old value || digest). */
export function extendRegister(algorithm: DigestAlgorithm, value: Uint8Array, digest: Uint8Array): Uint8Array {
  return hash(HASHES[algorithm], value, digest);
}

/**
 * Whether the digest of an event is the hash of its data. Only then do the registers prove what the data say; for many types they do not: kernels and
 * drivers are measured by their image, some firmware measures a part of the data.
 */
export function isDataMeasured(event: LoggedEvent, algorithm: DigestAlgorithm): boolean {
  const digest = event.digests.get(algorithm);
  return digest !== undefined && isSameBytes(hash(HASHES[algorithm], event.data), digest);
}

/** Value of a register after TPM reset or TD launch. */
export const zeroRegister = (algorithm: DigestAlgorithm): Uint8Array => new Uint8Array(DIGEST_BYTES[algorithm]);

/**
 * Replays a log into the PCRs of one bank, by index; PCRs without an event are absent. A StartupLocality event sets where PCR 0 starts
 * (TCG PC Client Platform Firmware Profile §10.4.5.3). Throws EVIDENCE_MALFORMED for registers that no TPM has.
 */
export function replayPcrs(log: EventLog, algorithm: DigestAlgorithm): ReadonlyMap<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (const event of log.events) {
    const locality = startupLocality(event);
    if (locality !== undefined) {
      if (pcrs.has(0)) throw malformed(`StartupLocality in event ${event.number} comes after PCR 0 was set or extended`);
      const start = Uint8Array.from(zeroRegister(algorithm));
      start[start.length - 1] = locality;
      pcrs.set(0, start);
    }
    extend(pcrs, event, algorithm);
  }
  return pcrs;
}

/** Replays a CCEL log into RTMR 0 to 3 of a TDX guest (SHA-384); measurement register n of the log is RTMR n-1. */
export function replayRtmrs(log: EventLog): readonly Uint8Array[] {
  if (!log.algorithms.includes("sha384")) throw malformed("the log has no SHA-384 digests, which RTMRs are extended with");
  const registers = new Map<number, Uint8Array>();
  for (const event of log.events) {
    if (event.type !== EV_NO_ACTION && (event.register < 1 || event.register > RTMRS)) {
      throw malformed(`event ${event.number} extends measurement register ${event.register}; a TDX guest extends 1 to ${RTMRS}`);
    }
    extend(registers, event, "sha384");
  }
  return Array.from({ length: RTMRS }, (_, index) => registers.get(index + 1) ?? zeroRegister("sha384"));
}

function extend(registers: Map<number, Uint8Array>, event: LoggedEvent, algorithm: DigestAlgorithm): void {
  if (event.type === EV_NO_ACTION) return; // information for the reader, by definition not extended
  if (event.register >= REGISTERS_MAX)
    throw malformed(`event ${event.number} extends register ${event.register}; there are ${REGISTERS_MAX}`);
  const digest = event.digests.get(algorithm);
  if (digest === undefined) throw malformed(`event ${event.number} has no ${algorithm} digest`);
  registers.set(event.register, extendRegister(algorithm, registers.get(event.register) ?? zeroRegister(algorithm), digest));
}

function startupLocality(event: LoggedEvent): number | undefined {
  const text = decodeAscii(event.data.subarray(0, STARTUP_LOCALITY.length));
  if (event.type !== EV_NO_ACTION || event.register !== 0 || text !== STARTUP_LOCALITY) return undefined;
  const locality = event.data[STARTUP_LOCALITY.length];
  if (event.data.length !== STARTUP_LOCALITY.length + 1 || (locality !== 0 && locality !== 3 && locality !== 4)) {
    throw malformed(`StartupLocality in event ${event.number} does not name locality 0, 3 or 4`);
  }
  return locality;
}

const malformed = (detail: string): Error => new EvidenceError("EVIDENCE_MALFORMED", `event log: ${detail}`, { reason: "parse-error" });
