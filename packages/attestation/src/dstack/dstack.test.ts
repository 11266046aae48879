import assert from "node:assert/strict";
import { createHash, hash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { parseDstackEventLog, verifyDstackEventLog } from "./dstack-event-log.ts";

const compose = Buffer.from('{"runner":"docker-compose"}');
const composeHash = hash("sha256", compose);
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

interface LogEntry {
  imr: unknown;
  event_type: unknown;
  digest: unknown;
  event: unknown;
  event_payload: unknown;
}
const runtimeEvent = (event: string, payload: string): LogEntry => {
  const digest = createHash("sha384")
    .update(Buffer.from("01000008", "hex"))
    .update(`:${event}:`)
    .update(Buffer.from(payload, "hex"))
    .digest("hex");
  return { imr: 3, event_type: 0x08000001, digest, event, event_payload: payload };
};
const firmwareEvent: LogEntry = { imr: 0, event_type: 0x80000001, digest: "11".repeat(48), event: "", event_payload: "" };
const entries = [
  firmwareEvent,
  runtimeEvent("app-id", "0102"),
  runtimeEvent("compose-hash", composeHash),
  runtimeEvent("system-ready", ""),
];
const bytesOf = (log: unknown): Uint8Array => Buffer.from(JSON.stringify(log));
const rtmrs = entries.reduce(
  (values, { imr, digest }) =>
    values.map((value, index) => (index === imr ? extendRegister("sha384", value, Uint8Array.fromHex(String(digest))) : value)),
  [0, 1, 2, 3].map(() => zeroRegister("sha384")),
);
const verify = (log: unknown, appCompose?: Uint8Array) => verifyDstackEventLog(parseDstackEventLog(bytesOf(log)), rtmrs, appCompose);

test("a log that leads to the RTMRs gives its runtime events and the compose hash", () => {
  const claims = verify(entries, compose);
  assert.equal(claims.composeHash, composeHash);
  assert.deepEqual([...claims.runtimeEvents.keys()], ["app-id", "compose-hash", "system-ready"]);
});

test("runtime events may leave their digests to the verifier", () => {
  const bare = entries.map((entry) => (entry.event === "" ? entry : { ...entry, digest: "" }));
  assert.equal(verify(bare).composeHash, composeHash);
  const given = (log: unknown) => parseDstackEventLog(bytesOf(log)).map(({ isDigestGiven }) => isDigestGiven);
  assert.deepEqual(
    [given(bare), given(entries)],
    [
      [true, false, false, false],
      [true, true, true, true],
    ],
  );
});

test("an application cannot overwrite what the system measured before it", () => {
  const forged = runtimeEvent("compose-hash", "ff".repeat(32));
  const events = parseDstackEventLog(bytesOf([...entries, forged]));
  const after = rtmrs.map((value, index) =>
    index === 3 ? extendRegister("sha384", value, Uint8Array.fromHex(String(forged.digest))) : value,
  );
  assert.equal(verifyDstackEventLog(events, after).composeHash, composeHash);
});

const registersOf = (log: readonly LogEntry[]) =>
  log.reduce(
    (values, { imr, digest }) =>
      values.map((value, index) => (index === imr ? extendRegister("sha384", value, Uint8Array.fromHex(String(digest))) : value)),
    [0, 1, 2, 3].map(() => zeroRegister("sha384")),
  );

test("hazard A12: what other registers or other types of events say about the composition is not what the system measured", () => {
  const elsewhere = { ...runtimeEvent("compose-hash", composeHash), imr: 2 };
  const otherType = { ...firmwareEvent, imr: 3, event: "compose-hash", event_payload: composeHash };
  for (const forged of [elsewhere, otherType]) {
    const log = [firmwareEvent, forged];
    const verifyAlone = () => verifyDstackEventLog(parseDstackEventLog(bytesOf(log)), registersOf(log));
    assert.throws(verifyAlone, { reason: "eventlog-mismatch", message: /no compose-hash event/ });
    const before = [forged, runtimeEvent("compose-hash", "ee".repeat(32))];
    assert.equal(verifyDstackEventLog(parseDstackEventLog(bytesOf(before)), registersOf(before)).composeHash, "ee".repeat(32));
  }
});

const second = entries[1] ?? firmwareEvent;
test("hazard A12: events left out, added, swapped or of another register do not lead to the RTMRs", () => {
  const [first, , third, fourth] = entries;
  for (const log of [
    entries.slice(0, 3),
    [...entries, second],
    [first, third, second, fourth],
    [{ ...firmwareEvent, imr: 1 }, ...entries.slice(1)],
  ]) {
    assert.throws(() => verify(log), refusedFor("eventlog-mismatch"));
  }
});

test("hazard A12: a payload or name beside a digest that is not its own", () => {
  for (const changed of [
    { ...second, event_payload: "0103" },
    { ...second, event: "app-ie" },
  ]) {
    assert.throws(() => verify([firmwareEvent, changed, ...entries.slice(2)]), refusedFor("event-digest-mismatch"));
  }
});

test("field/2026-app-compose: another app-compose document than the measured one is refused, also by a member that nobody knows, and so is a log without one", () => {
  for (const other of [
    "{}",
    '{"runner":"docker-compose","init_script":"curl x | sh"}',
    '{"runner":"docker-compose","unknown":1}',
    '{"runner": "docker-compose"}',
  ]) {
    assert.throws(() => verify(entries, Buffer.from(other)), refusedFor("runtime-data-mismatch"), other);
  }
  assert.throws(
    () =>
      verifyDstackEventLog(
        [],
        [0, 1, 2, 3].map(() => zeroRegister("sha384")),
      ),
    refusedFor("eventlog-mismatch"),
  );
});

test("hazard A24: members of the wrong type are malformed", () => {
  const wrong: LogEntry[] = [
    { ...second, imr: "3" },
    { ...second, imr: 4 },
    { ...second, imr: -1 },
    { ...second, event_type: 0.5 },
    { ...second, event_payload: ["0102"] },
    { ...second, imr: 0.5 },
    { ...second, event_type: -1 },
    { ...second, event_type: 2 ** 53 },
    { ...second, digest: "zz" },
    { ...second, event: ["app-id"] },
    { ...second, event_payload: null },
    { ...firmwareEvent, digest: "11" },
  ];
  for (const entry of wrong) assert.throws(() => parseDstackEventLog(bytesOf([entry])), refusedFor("parse-error"), JSON.stringify(entry));
  for (const log of [["x"], [1], [null], [[]]]) {
    assert.throws(() => parseDstackEventLog(bytesOf(log)), { reason: "parse-error", message: /event 0 is not an object/ });
  }
  for (const log of [{}, null, "x", [1], [null], [[]]]) assert.throws(() => parseDstackEventLog(bytesOf(log)), refusedFor("parse-error"));
});

test("hazard A17: logs longer than any guest writes are refused before they are read", () => {
  assert.throws(() => parseDstackEventLog(Buffer.alloc(8 * 1024 * 1024 + 1, " ")), { message: /at most 8388608 allowed/ });
  assert.throws(() => parseDstackEventLog(bytesOf(Array.from({ length: 10_001 }, () => firmwareEvent))), {
    message: /at most 10000 allowed/,
  });
});

test("parseDstackEventLog accepts or says an EvidenceError, whatever the input", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json().map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.object()).map(bytesOf),
      ),
      (bytes) => {
        try {
          parseDstackEventLog(bytes);
        } catch (error) {
          assert(error instanceof EvidenceError, String(error));
        }
      },
    ),
  );
});
