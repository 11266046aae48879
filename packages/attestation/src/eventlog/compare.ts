import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { DigestAlgorithm, EventLog } from "./event-log.ts";
import { isDataMeasured, replayPcrs, replayRtmrs } from "./replay.ts";

/**
 * Event types whose digest is the hash of their data (TCG PC Client Platform Firmware Profile §10.4.1): EV_SEPARATOR, EV_ACTION,
 * EV_EFI_VARIABLE_DRIVER_CONFIG, EV_EFI_GPT_EVENT, EV_EFI_ACTION. Of others a part, an image or something else is measured.
 */
const MEASURED_BY_DATA: readonly number[] = [0x04, 0x05, 0x80000001, 0x80000006, 0x80000007];

const mismatch = (register: string, expected: Uint8Array, replayed: Uint8Array) =>
  new EvidenceError("EVIDENCE_SIGNATURE", `event log: the events do not lead to ${register}`, {
    reason: "eventlog-mismatch",
    field: register,
    expected: expected.toHex(),
    found: `${replayed.toHex()} by the events`,
    remedy: "Take log and quote at the same time, and leave no event out.",
  });

/**
 * That a log explains quoted PCRs: every PCR that it extends and that was quoted has the value it leads to. PCRs that were not quoted prove
 * nothing and are not compared. Throws EVIDENCE_SIGNATURE `eventlog-mismatch`.
 */
export function assertLogExplainsPcrs(log: EventLog, bank: DigestAlgorithm, quoted: ReadonlyMap<number, Uint8Array>): void {
  for (const [index, value] of replayPcrs(log, bank)) {
    const expected = quoted.get(index);
    if (expected !== undefined && !isSameBytes(expected, value)) throw mismatch(`PCR ${index} of the ${bank} bank`, expected, value);
  }
}

/**
 * That a CCEL log leads to the RTMRs of a TDX guest, RTMR 0 first; later entries than were given are not compared (RTMR 3 belongs to the
 * running system, whose events no firmware logs). Throws EVIDENCE_SIGNATURE `eventlog-mismatch`.
 */
export function assertLogExplainsRtmrs(log: EventLog, rtmrs: readonly Uint8Array[]): void {
  for (const [index, value] of replayRtmrs(log).entries()) {
    const expected = rtmrs[index];
    if (expected !== undefined && !isSameBytes(expected, value)) throw mismatch(`RTMR${index}`, expected, value);
  }
}

/**
 * That what a log says is what was measured, for the types of event where the specification makes the digest the hash of the data: Secure Boot's
 * variables, separators, partition tables, actions. Registers prove digests alone, so compare those first and call this before reading such
 * data. Throws EVIDENCE_SIGNATURE `event-digest-mismatch`.
 */
export function assertDataMeasured(log: EventLog): void {
  for (const event of log.events) {
    if (!MEASURED_BY_DATA.includes(event.type)) continue;
    const bank = [...event.digests.keys()].find((algorithm) => !isDataMeasured(event, algorithm));
    if (bank === undefined) continue;
    throw new EvidenceError("EVIDENCE_SIGNATURE", `event log: the data of event ${event.number} do not hash to its ${bank} digest`, {
      reason: "event-digest-mismatch",
      field: `${bank} digest of event ${event.number}`,
      expected: `${event.digests.get(bank)?.toHex()}, as it was measured`,
      found: "data with another hash",
      remedy: "Take the log again from the machine: this one was changed after it was written.",
    });
  }
}
