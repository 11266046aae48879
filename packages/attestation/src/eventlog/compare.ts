import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { DigestAlgorithm, EventLog } from "./event-log.ts";
import { replayPcrs, replayRtmrs } from "./replay.ts";

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
