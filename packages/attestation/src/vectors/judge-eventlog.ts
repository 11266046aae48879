import { isSameBytes } from "../core/bytes.ts";
import { assertDataMeasured, assertLogExplainsPcrs, assertLogExplainsRtmrs } from "../eventlog/compare.ts";
import { type DigestAlgorithm, type EventLog, parseEventLog } from "../eventlog/event-log.ts";
import { replayPcrs, replayRtmrs } from "../eventlog/replay.ts";
import { parseQuote } from "../sgx/quote.ts";
import { type Answer, answerOf, type Fields, fieldsOf, judgeAnswer } from "./answer.ts";
import { fileOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

const TD_REPORT_BYTES = 1024;
/** RTMR 3 belongs to the running system, whose events no firmware logs. */
const FIRMWARE_RTMRS = 3;

/** Family `eventlog`: a firmware log, and registers that it has to lead to. */
export function judgeEventLogCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => replayCase(vectorCase)),
    fieldsOf(() => logFields(vectorCase, parseEventLog(fileOf(vectorCase, "eventlog.bin")))),
  );
}

function replayCase(vectorCase: VectorCase): Answer {
  const log = parseEventLog(fileOf(vectorCase, "eventlog.bin"));
  const reference = registersOf(vectorCase.expected["reference"]);
  if (reference.rtmrs.length > 0) assertLogExplainsRtmrs(log, reference.rtmrs);
  for (const [bank, pcrs] of reference.banks) assertLogExplainsPcrs(log, bank, pcrs);
  const guest = guestRegisters(vectorCase);
  if (guest !== undefined) assertLogExplainsRtmrs(log, guest.rtmrs.slice(0, FIRMWARE_RTMRS));
  assertDataMeasured(log);
  if (isCcel(vectorCase)) return { outcome: "ok", facts: { format: "ccel" } };
  for (const bank of log.algorithms) replayPcrs(log, bank);
  return { outcome: "ok", facts: { format: FORMATS[log.format] } };
}

const FORMATS = { "crypto-agile": "tcg-tpm2-crypto-agile", "tcg-1.2": "tcg-1.2-sha1" } as const;

/** A log of a TDX guest has the format of a TPM's: only the case says which registers it is about. */
const isCcel = ({ expected }: VectorCase): boolean => expected["format"] === "ccel" || registersOf(expected["fields"]).rtmrs.length > 0;

/** A log's fields in the spelling of the collection. */
function logFields(vectorCase: VectorCase, log: EventLog): Fields {
  const counts = { eventCount: log.events.length, trailingBytes: log.paddingBytes };
  if (!isCcel(vectorCase)) return { ...counts, pcrs: Object.fromEntries(log.algorithms.map((bank) => [bank, bankFields(log, bank)])) };
  const rtmrs = Object.fromEntries(replayRtmrs(log).map((value, index) => [`rtmr${index}`, value.toHex()]));
  return { ...counts, ...rtmrs, digestAlgorithm: "sha384", ...guestFields(vectorCase, guestRegisters(vectorCase)) };
}

interface GuestRegisters {
  readonly rtmrs: readonly Uint8Array[];
  readonly mrTd: Uint8Array;
  readonly reportData: Uint8Array;
}

/** Registers of the guest that wrote the log, from its quote or its TDREPORT; neither is verified here. */
function guestRegisters({ files }: VectorCase): GuestRegisters | undefined {
  const quote = files.get("quote.bin");
  if (quote !== undefined) {
    const { body } = parseQuote(quote);
    return body.kind === "SgxEnclave" ? undefined : body.report;
  }
  const report = files.get("tdreport.bin");
  if (report === undefined || report.length < TD_REPORT_BYTES) return undefined;
  // TDREPORT_STRUCT: REPORTMACSTRUCT with report data at 128, TDINFO_STRUCT at 512 (Intel TDX Module ABI)
  const at = (offset: number, length: number) => report.subarray(offset, offset + length);
  return { reportData: at(128, 64), mrTd: at(528, 48), rtmrs: [0, 1, 2, 3].map((index) => at(720 + 48 * index, 48)) };
}

function guestFields({ files }: VectorCase, guest: GuestRegisters | undefined): Fields {
  if (guest === undefined) return {};
  const nonce = files.get("nonce.bin");
  return {
    mrtd: guest.mrTd.toHex(),
    quoteRtmr2: guest.rtmrs[2]?.toHex(),
    quoteRtmr3: guest.rtmrs[3]?.toHex(),
    ...(nonce === undefined ? {} : { reportDataEqualsNonce: isSameBytes(guest.reportData.subarray(0, nonce.length), nonce) }),
  };
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
