import { assertLogExplainsPcrs, assertLogExplainsRtmrs } from "../eventlog/compare.ts";
import { type DigestAlgorithm, type EventLog, parseEventLog } from "../eventlog/event-log.ts";
import { replayPcrs, replayRtmrs } from "../eventlog/replay.ts";
import { type Answer, answerOf, judgeAnswer } from "./answer.ts";
import { fileOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `eventlog`: a firmware log, and registers that it has to lead to. */
export function judgeEventLogCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => replayCase(vectorCase)),
  );
}

function replayCase(vectorCase: VectorCase): Answer {
  const log = parseEventLog(fileOf(vectorCase, "eventlog.bin"));
  const reference = registersOf(vectorCase.expected["reference"]);
  if (reference.rtmrs.length > 0) assertLogExplainsRtmrs(log, reference.rtmrs);
  for (const [bank, pcrs] of reference.banks) assertLogExplainsPcrs(log, bank, pcrs);
  const expected = registersOf(vectorCase.expected["fields"]);
  const counts = { eventCount: log.events.length, trailingBytes: log.paddingBytes };
  if (vectorCase.expected["format"] === "ccel" || expected.rtmrs.length > 0) {
    const rtmrs = Object.fromEntries(replayRtmrs(log).map((value, index) => [`rtmr${index}`, value.toHex()]));
    return { outcome: "ok", fields: { ...counts, ...rtmrs, digestAlgorithm: "sha384" } };
  }
  return { outcome: "ok", fields: { ...counts, pcrs: Object.fromEntries(log.algorithms.map((bank) => [bank, bankFields(log, bank)])) } };
}

const bankFields = (log: EventLog, bank: DigestAlgorithm): Record<string, string> =>
  Object.fromEntries([...replayPcrs(log, bank)].map(([index, value]) => [String(index), value.toHex()]));

/** `rtmr0` to `rtmr3` and `pcrs` of an object from `expected.json`. */
function registersOf(value: unknown): {
  rtmrs: readonly Uint8Array[];
  banks: readonly (readonly [DigestAlgorithm, ReadonlyMap<number, Uint8Array>])[];
} {
  const registers = (value ?? {}) as Readonly<Record<string, unknown>>; // members are looked at one by one
  const rtmrs = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"].flatMap((name) =>
    typeof registers[name] === "string" ? [Uint8Array.fromHex(registers[name])] : [],
  );
  const pcrs = (registers["pcrs"] ?? {}) as Readonly<Record<DigestAlgorithm, Readonly<Record<string, string>>>>; // as the collection's page describes it
  const banks = Object.entries(pcrs).map(
    ([bank, values]) =>
      [bank as DigestAlgorithm, new Map(Object.entries(values).map(([index, hex]) => [Number(index), Uint8Array.fromHex(hex)]))] as const,
  );
  return { rtmrs, banks };
}
