import { encodeUtf8, isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type Mismatch } from "../core/errors.ts";
import { isIntegerWithin } from "../core/integer.ts";
import { hash } from "../crypto/current-provider.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";

/** One entry of a dstack guest's JSON event log. */
export interface DstackEvent {
  /** RTMR index, 0 to 3. */
  readonly imr: number;
  readonly type: number;
  /** SHA-384; for runtime events computed from name and payload. */
  readonly digest: Uint8Array;
  /** Newer guests leave the digests of runtime events out. */
  readonly isDigestGiven: boolean;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** What a dstack guest measured, proved by the RTMRs of its quote. */
export interface DstackClaims {
  readonly rtmrs: readonly Uint8Array[];
  /** Payloads of runtime events by name; of a name that occurs twice the first counts, because the system writes before the application. */
  readonly runtimeEvents: ReadonlyMap<string, Uint8Array>;
  /** SHA-256 of app-compose.json in hex. */
  readonly composeHash: string;
}

const RUNTIME_EVENT = 0x08000001;
const LOG_MAX_BYTES = 8 * 1024 * 1024;
const EVENTS_MAX = 10_000;
const RTMRS = 4;
const RUNTIME_RTMR = 3;
const DIGEST_BYTES = 48;

type Reason = "parse-error" | "event-digest-mismatch" | "eventlog-mismatch" | "runtime-data-mismatch";
const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `dstack event log: ${detail}`, { reason: "parse-error" });
const refused = (detail: string, reason: Reason, mismatch: Mismatch = {}) =>
  new EvidenceError("EVIDENCE_SIGNATURE", `dstack event log: ${detail}`, { reason, ...mismatch });

/** Reads a log and recomputes the digests of runtime events. Throws EVIDENCE_MALFORMED, and EVIDENCE_SIGNATURE for a digest that is not the event's. */
export function parseDstackEventLog(bytes: Uint8Array): readonly DstackEvent[] {
  if (bytes.length > LOG_MAX_BYTES) throw malformed(`${bytes.length} bytes, at most ${LOG_MAX_BYTES} allowed`);
  const json = parseJson(bytes);
  if (!Array.isArray(json)) throw malformed("not a list");
  if (json.length > EVENTS_MAX) throw malformed(`${json.length} events, at most ${EVENTS_MAX} allowed`);
  return json.map(readEvent);
}

/** That the log is what the RTMRs of a verified quote were extended with. Throws EVIDENCE_SIGNATURE. */
export function verifyDstackEventLog(events: readonly DstackEvent[], rtmrs: readonly Uint8Array[], appCompose?: Uint8Array): DstackClaims {
  const replayed = replay(events);
  const wrong = replayed.findIndex((value, index) => !isSameBytes(value, rtmrs[index] ?? new Uint8Array(0)));
  if (wrong >= 0) {
    const found = `${replayed[wrong]?.toHex()} by the events`;
    const compared = { field: `RTMR${wrong}`, expected: rtmrs[wrong]?.toHex() ?? "a value", found };
    throw refused(`the events do not lead to RTMR${wrong} of the quote`, "eventlog-mismatch", compared);
  }
  const runtimeEvents = readRuntimeEvents(events);
  const composeHash = runtimeEvents.get("compose-hash")?.toHex();
  if (composeHash === undefined) throw refused("no compose-hash event: what runs in the guest was not measured", "eventlog-mismatch");
  if (appCompose !== undefined && hash("sha256", appCompose).toHex() !== composeHash) {
    throw refused("the app-compose document is not the one that was measured", "runtime-data-mismatch", {
      field: "SHA-256 of app-compose",
      expected: composeHash,
      found: hash("sha256", appCompose).toHex(),
    });
  }
  return { rtmrs: replayed, runtimeEvents, composeHash };
}

/** Payloads of the events of RTMR 3 by name, the first of each name. Proves nothing: the log has to lead to the registers. */
export function readRuntimeEvents(events: readonly DstackEvent[]): ReadonlyMap<string, Uint8Array> {
  const payloads = new Map<string, Uint8Array>();
  for (const { imr, type, name, payload } of events) {
    if (type === RUNTIME_EVENT && imr === RUNTIME_RTMR && !payloads.has(name)) payloads.set(name, payload);
  }
  return payloads;
}

function replay(events: readonly DstackEvent[]): readonly Uint8Array[] {
  const rtmrs = Array.from({ length: RTMRS }, () => zeroRegister("sha384"));
  for (const { imr, digest } of events) rtmrs[imr] = extendRegister("sha384", rtmrs[imr] ?? zeroRegister("sha384"), digest);
  return rtmrs;
}

function readEvent(value: unknown, number: number): DstackEvent {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`event ${number} is not an object`);
  const { imr, event_type: type, digest, event: name, event_payload: payloadHex } = value as Record<string, unknown>; // an object that is no array has string keys
  if (!isIntegerWithin(imr, 0, RTMRS - 1)) throw malformed(`imr of event ${number} is not 0 to 3`);
  if (!isIntegerWithin(type, 0, 0xffffffff)) throw malformed(`event_type of event ${number} is not 32 bits`);
  if (typeof name !== "string") throw malformed(`event of event ${number} is not a text`);
  const payload = readHex(payloadHex, `event_payload of event ${number}`);
  const given = readHex(digest, `digest of event ${number}`);
  if (type !== RUNTIME_EVENT) {
    if (given.length !== DIGEST_BYTES) throw malformed(`digest of event ${number} has ${given.length} bytes`);
    return { imr, type, digest: given, isDigestGiven: true, name, payload };
  }
  // Only the digest is extended: unless it is that of name and payload, anybody could write another payload beside it.
  const computed = runtimeEventDigest(name, payload);
  if (given.length !== 0 && !isSameBytes(given, computed))
    throw refused(`event ${number} does not hash to its digest`, "event-digest-mismatch", {
      field: `digest of event ${number}`,
      expected: computed.toHex(),
      found: given.toHex(),
    });
  return { imr, type, digest: computed, isDigestGiven: given.length > 0, name, payload };
}

/** SHA-384 over type (u32 little-endian), name and payload with colons between. */
function runtimeEventDigest(name: string, payload: Uint8Array): Uint8Array {
  const type = new Uint8Array(4);
  new DataView(type.buffer).setUint32(0, RUNTIME_EVENT, true);
  return hash("sha384", type, encodeUtf8(`:${name}:`), payload);
}

function readHex(value: unknown, field: string): Uint8Array {
  if (typeof value !== "string" || !/^(?:[0-9A-Fa-f]{2})*$/.test(value)) throw malformed(`${field} is not hex`);
  return Uint8Array.fromHex(value);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "dstack event log: not JSON", { reason: "parse-error", cause });
  }
}
