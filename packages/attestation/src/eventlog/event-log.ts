import { ByteCursor } from "../core/byte-cursor.ts";
import { decodeAscii } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";

/** Banks that firmware writes digests for. */
export type DigestAlgorithm = "sha1" | "sha256" | "sha384" | "sha512" | "sm3-256";

/** One measurement: `register` is a PCR of a TPM, or a measurement register of a TDX guest (n stands for RTMR n-1). */
export interface LoggedEvent {
  /** Position in the log, from 0. */
  readonly number: number;
  readonly register: number;
  readonly type: number;
  readonly digests: ReadonlyMap<DigestAlgorithm, Uint8Array>;
  readonly data: Uint8Array;
}

/** A firmware event log: parsed, nothing about it is verified. Views into the input. */
export interface EventLog {
  readonly format: "crypto-agile" | "tcg-1.2";
  readonly algorithms: readonly DigestAlgorithm[];
  /** With the header event of a crypto agile log, which is number 0. */
  readonly events: readonly LoggedEvent[];
  /** Bytes behind the last event, all 0x00 or all 0xff: the unused rest of the firmware's table. */
  readonly paddingBytes: number;
}

export const EV_NO_ACTION = 3;
const LOG_MAX_BYTES = 16 * 1024 * 1024;
const EVENTS_MAX = 100_000;
const EVENT_MAX_BYTES = 4 * 1024 * 1024;
const ALGORITHMS_MAX = 8;
const SPEC_ID = "Spec ID Event03\0";
const ALGORITHMS = new Map<number, { readonly name: DigestAlgorithm; readonly size: number }>([
  [0x04, { name: "sha1", size: 20 }],
  [0x0b, { name: "sha256", size: 32 }],
  [0x0c, { name: "sha384", size: 48 }],
  [0x0d, { name: "sha512", size: 64 }],
  [0x12, { name: "sm3-256", size: 32 }],
]);

const malformed = (detail: string): Error => new EvidenceError("EVIDENCE_MALFORMED", `event log: ${detail}`, { reason: "parse-error" });

/**
 * Splits an event log as firmware hands it over: the crypto agile format (TCG PC Client Platform Firmware Profile §10.2, also used by
 * CCEL), or that of TCG 1.2 with SHA-1 only. Throws EVIDENCE_MALFORMED.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  if (bytes.length > LOG_MAX_BYTES) throw malformed(`${bytes.length} bytes, at most ${LOG_MAX_BYTES} allowed`);
  const padding = paddingStart(bytes);
  const cursor = new ByteCursor(bytes, malformed);
  const first = takeSha1Event(cursor, 0);
  const algorithms = first.type === EV_NO_ACTION ? parseSpecId(first.data) : undefined;
  const events = [first];
  while (bytes.length - cursor.left < padding) {
    if (events.length === EVENTS_MAX) throw malformed(`more than ${EVENTS_MAX} events`);
    events.push(algorithms === undefined ? takeSha1Event(cursor, events.length) : takeEvent(cursor, events.length, algorithms));
  }
  const format = algorithms === undefined ? "tcg-1.2" : "crypto-agile";
  return {
    format,
    algorithms: algorithms === undefined ? ["sha1"] : [...algorithms.values()].map(({ name }) => name),
    events,
    paddingBytes: cursor.left,
  };
}

/** Offset from which on all bytes are the same 0x00 or 0xff: an event that begins there is none. */
function paddingStart(bytes: Uint8Array): number {
  const last = bytes.at(-1);
  if (last !== 0x00 && last !== 0xff) return bytes.length;
  return bytes.findLastIndex((byte) => byte !== last) + 1;
}

type Algorithms = ReadonlyMap<number, { readonly name: DigestAlgorithm; readonly size: number }>;

/** TCG_EfiSpecIDEvent; undefined when the first event is another one, as in TCG 1.2 logs. */
function parseSpecId(data: Uint8Array): Algorithms | undefined {
  if (decodeAscii(data.subarray(0, SPEC_ID.length)) !== SPEC_ID) return undefined;
  const cursor = new ByteCursor(data, (detail) => malformed(`Spec ID event: ${detail}`));
  cursor.take(SPEC_ID.length + 4 + 3 + 1, "signature, platform class, version, uintn size");
  const count = cursor.uint(4, "number of algorithms");
  if (count === 0 || count > ALGORITHMS_MAX) throw malformed(`${count} digest algorithms, 1 to ${ALGORITHMS_MAX} allowed`);
  const algorithms = new Map<number, { name: DigestAlgorithm; size: number }>();
  for (let index = 0; index < count; index++) {
    const id = cursor.uint(2, "algorithm id");
    const size = cursor.uint(2, "digest size");
    const known = ALGORITHMS.get(id);
    if (known === undefined || known.size !== size)
      throw malformed(`digest algorithm 0x${id.toString(16)} with ${size} bytes is not known`);
    if (algorithms.has(id)) throw malformed(`digest algorithm ${known.name} is listed twice`);
    algorithms.set(id, known);
  }
  cursor.take(cursor.uint(1, "vendor info size"), "vendor info");
  if (cursor.left > 0) throw malformed(`${cursor.left} bytes follow the vendor info of the Spec ID event`);
  return algorithms;
}

/** TCG_PCR_EVENT. */
function takeSha1Event(cursor: ByteCursor, number: number): LoggedEvent {
  const register = cursor.uint(4, `register of event ${number}`);
  const type = cursor.uint(4, `type of event ${number}`);
  const digest = cursor.take(20, `digest of event ${number}`);
  return { number, register, type, digests: new Map([["sha1", digest]]), data: takeData(cursor, number) };
}

/** TCG_PCR_EVENT2. */
function takeEvent(cursor: ByteCursor, number: number, algorithms: Algorithms): LoggedEvent {
  const register = cursor.uint(4, `register of event ${number}`);
  const type = cursor.uint(4, `type of event ${number}`);
  const count = cursor.uint(4, `digest count of event ${number}`);
  // One digest for each bank, else the replay of a bank would silently leave an event out.
  if (count !== algorithms.size) throw malformed(`event ${number} has ${count} digests, the header announces ${algorithms.size}`);
  const digests = new Map<DigestAlgorithm, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const id = cursor.uint(2, `algorithm of event ${number}`);
    const algorithm = algorithms.get(id);
    if (algorithm === undefined)
      throw malformed(`event ${number} has a digest of algorithm 0x${id.toString(16)}, which the header does not announce`);
    if (digests.has(algorithm.name)) throw malformed(`event ${number} has two ${algorithm.name} digests`);
    digests.set(algorithm.name, cursor.take(algorithm.size, `digest of event ${number}`));
  }
  return { number, register, type, digests, data: takeData(cursor, number) };
}

function takeData(cursor: ByteCursor, number: number): Uint8Array {
  const size = cursor.uint(4, `size of event ${number}`);
  if (size > EVENT_MAX_BYTES) throw malformed(`event ${number} has ${size} bytes, at most ${EVENT_MAX_BYTES} allowed`);
  return cursor.take(size, `data of event ${number}`);
}
