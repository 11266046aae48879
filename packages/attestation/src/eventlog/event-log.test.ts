import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { eventLogBytes, type MintedEvent, sha1LogBytes, specIdHeader } from "../testing/mint-event-log.ts";
import { assertDataMeasured, assertLogExplainsPcrs, assertLogExplainsRtmrs } from "./compare.ts";
import { parseEventLog } from "./event-log.ts";
import { extendRegister, isDataMeasured, replayPcrs, replayRtmrs, zeroRegister } from "./replay.ts";

const digest = (fill: number) => new Uint8Array(48).fill(fill);
const event = (register: number, fill: number, type = 1): MintedEvent => ({
  register,
  type,
  digests: { sha384: digest(fill) },
  data: Buffer.from("data"),
});
const startupLocality = (locality: number): MintedEvent => ({
  ...event(0, 0, 3),
  data: Buffer.concat([Buffer.from("StartupLocality\0"), Uint8Array.of(locality)]),
});
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

test("a CCEL log replays into RTMRs: measurement register n is RTMR n-1, unused ones are zero", () => {
  const log = parseEventLog(eventLogBytes(["sha384"], [event(1, 1), event(1, 2), event(3, 3)]));
  const zero = zeroRegister("sha384");
  const expected = [
    extendRegister("sha384", extendRegister("sha384", zero, digest(1)), digest(2)),
    zero,
    extendRegister("sha384", zero, digest(3)),
    zero,
  ];
  assert.deepEqual(
    replayRtmrs(log).map((value) => value.toHex()),
    expected.map((value) => value.toHex()),
  );
});

test("StartupLocality sets where PCR 0 starts, and only before anything else", () => {
  const replay = (...events: MintedEvent[]) => replayPcrs(parseEventLog(eventLogBytes(["sha384"], events)), "sha384").get(0);
  assert.equal(replay(startupLocality(3))?.toHex(), `${"00".repeat(47)}03`);
  assert.notEqual(replay(startupLocality(3), event(0, 1))?.toHex(), replay(event(0, 1))?.toHex());
  assert.throws(() => replay(event(0, 1), startupLocality(3)), refusedFor("parse-error"));
  assert.throws(() => replay(startupLocality(7)), refusedFor("parse-error"));
  for (const locality of [0, 4]) assert.equal(replay(startupLocality(locality))?.at(-1), locality);
  const longer = { ...startupLocality(3), data: Buffer.concat([startupLocality(3).data, Uint8Array.of(0)]) };
  assert.throws(() => replay(longer), refusedFor("parse-error"));
  // Only an event of that type, of PCR 0, says where PCR 0 starts.
  assert.equal(replay({ ...startupLocality(3), type: 1 })?.toHex(), replay(event(0, 0))?.toHex());
  assert.equal(replay({ ...startupLocality(3), register: 1 }), undefined);
});

test("EV_NO_ACTION extends nothing, whatever register it names", () => {
  const log = parseEventLog(eventLogBytes(["sha384"], [event(0xffffffff, 1, 3), event(2, 1)]));
  assert.deepEqual([...replayPcrs(log, "sha384").keys()], [2]);
});

test("data that the digest does not cover are told apart", () => {
  const data = Buffer.from("separator");
  const measured: MintedEvent = { register: 1, type: 4, digests: { sha384: hash("sha384", data, "buffer") }, data };
  const log = parseEventLog(eventLogBytes(["sha384"], [measured, { ...measured, data: Buffer.from("other") }]));
  assert.deepEqual(
    log.events.slice(1).map((each) => isDataMeasured(each, "sha384")),
    [true, false],
  );
  assert.deepEqual(
    log.events.slice(1).map((each) => isDataMeasured(each, "sha256")),
    [false, false],
  );
});

test("hazard A12: data that were changed behind a measured digest are refused, where the type says that the digest is theirs", () => {
  const data = Buffer.from("SecureBoot is on");
  const banks = { sha256: hash("sha256", data, "buffer"), sha384: hash("sha384", data, "buffer") };
  const assertMeasured = (type: number, changes: Partial<MintedEvent>) =>
    assertDataMeasured(parseEventLog(eventLogBytes(["sha256", "sha384"], [{ register: 7, type, digests: banks, data, ...changes }])));
  for (const type of [0x04, 0x05, 0x80000001, 0x80000006, 0x80000007]) {
    assertMeasured(type, {});
    assert.throws(() => assertMeasured(type, { data: Buffer.from("SecureBoot is of") }), refusedFor("event-digest-mismatch"));
    // One bank is enough: a relying party may read the log by any.
    const changed = { ...banks, sha384: digest(1) };
    assert.throws(() => assertMeasured(type, { digests: changed }), { message: /event 1 do not hash to its sha384 digest/ });
  }
  // An image is measured by its own hash, an IPL event often by a part.
  for (const type of [0x01, 0x0d, 0x80000003]) assertMeasured(type, { digests: { ...banks, sha256: digest(1).subarray(0, 32) } });
});

for (const [name, filler] of [
  ["zeros", 0],
  ["0xff", 0xff],
] as const) {
  test(`a log may be followed by ${name} up to the size of its table`, () => {
    const bytes = eventLogBytes(["sha384"], [event(1, 1)]);
    const padded = Buffer.concat([bytes, new Uint8Array(4096).fill(filler)]);
    const { events, paddingBytes } = parseEventLog(padded);
    assert.deepEqual([events.length, paddingBytes], [2, 4096]);
  });
}

test("a log of TCG 1.2 has SHA-1 digests only", () => {
  const log = parseEventLog(
    sha1LogBytes([{ register: 4, type: 1, digests: { sha1: new Uint8Array(20).fill(1) }, data: new Uint8Array(3) }]),
  );
  assert.equal(log.format, "tcg-1.2");
  assert.equal(replayPcrs(log, "sha1").get(4)?.toHex(), extendRegister("sha1", zeroRegister("sha1"), new Uint8Array(20).fill(1)).toHex());
  assert.throws(() => replayRtmrs(log), refusedFor("parse-error"));
  const first = { register: 0, type: 3, digests: {}, data: Buffer.from("Spec ID Event02\0") };
  assert.equal(parseEventLog(sha1LogBytes([first])).format, "tcg-1.2");
});

test("a log without SHA-384 digests explains no RTMR, not even of a guest that extended none", () => {
  assert.throws(() => replayRtmrs(parseEventLog(eventLogBytes(["sha256"], []))), refusedFor("parse-error"));
});

test("hazard A12: swapped events replay to other registers", () => {
  const replay = (...events: MintedEvent[]) => replayRtmrs(parseEventLog(eventLogBytes(["sha384"], events)))[0]?.toHex();
  assert.notEqual(replay(event(1, 1), event(1, 2)), replay(event(1, 2), event(1, 1)));
  for (const register of [0, 5]) assert.throws(() => replay(event(register, 1)), refusedFor("parse-error"));
});

test("hazard A2: a log cut inside an event is malformed", () => {
  const bytes = eventLogBytes(
    ["sha256", "sha384"],
    [{ ...event(1, 1), digests: { sha256: new Uint8Array(32).fill(1), sha384: digest(1) } }],
  );
  const boundary = eventLogBytes(["sha256", "sha384"], []).length;
  for (let length = boundary + 1; length < bytes.length; length++) {
    // A prefix of which nothing but filler is left beyond the boundary cannot be told from padding; here event 1 begins with 01.
    assert.throws(() => parseEventLog(bytes.subarray(0, length)), refusedFor("parse-error"), `length ${length}`);
  }
});

const sha384 = { id: 12, size: 48 };
const refusedLogs: readonly { readonly rule: string; readonly bytes: Uint8Array }[] = [
  { rule: "no digest algorithm", bytes: specIdHeader([]) },
  {
    rule: "more digest algorithms than there are",
    bytes: specIdHeader(Array.from({ length: 9 }, (_, index) => ({ id: index, size: 20 }))),
  },
  { rule: "an unknown digest algorithm", bytes: specIdHeader([{ id: 99, size: 48 }]) },
  { rule: "a digest of another size", bytes: specIdHeader([{ id: 12, size: 32 }]) },
  { rule: "a digest algorithm twice", bytes: specIdHeader([sha384, sha384]) },
  { rule: "bytes behind the vendor info", bytes: specIdHeader([sha384], { behind: Uint8Array.of(1) }) },
  { rule: "an algorithm less than announced", bytes: specIdHeader([sha384], { count: 2 }) },
  { rule: "an event with fewer digests than banks", bytes: Buffer.concat([specIdHeader([sha384, { id: 11, size: 32 }]), eventWith([12])]) },
  { rule: "an event with a digest twice", bytes: Buffer.concat([specIdHeader([sha384, { id: 11, size: 32 }]), eventWith([12, 12])]) },
  { rule: "an event with a digest that was not announced", bytes: Buffer.concat([specIdHeader([sha384]), eventWith([13])]) },
  { rule: "hazard A17: more bytes than any firmware writes", bytes: new Uint8Array(16 * 1024 * 1024 + 1) },
  { rule: "hazard A17: more events than any firmware writes", bytes: Buffer.alloc(100_001 * 33, eventBytes()) },
  { rule: "hazard A17: an event of more than 4 MiB", bytes: Buffer.concat([specIdHeader([sha384]), eventWith([12], 5 * 1024 * 1024)]) },
];
for (const { rule, bytes } of refusedLogs) {
  test(`parseEventLog refuses ${rule}`, () => {
    assert.throws(() => parseEventLog(bytes), refusedFor("parse-error"));
  });
}

test("more digest algorithms than any firmware has are refused before they are read", () => {
  const announced = specIdHeader(Array.from({ length: 9 }, (_, index) => ({ id: index, size: 20 })));
  assert.throws(() => parseEventLog(announced), { message: /9 digest algorithms, 1 to 8 allowed/ });
});

/** A TCG_PCR_EVENT2 with SHA-384 sized digests under the given algorithm numbers. */
function eventWith(algorithms: readonly number[], dataBytes = 0): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(1, 0);
  head.writeUInt32LE(1, 4);
  head.writeUInt32LE(algorithms.length, 8);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(dataBytes);
  return Buffer.concat([
    head,
    ...algorithms.flatMap((id) => [Uint8Array.of(id, 0), new Uint8Array(48).fill(1)]),
    size,
    new Uint8Array(dataBytes).fill(1),
  ]);
}

/** One event of TCG 1.2 with a byte of data. */
function eventBytes(): Uint8Array {
  return sha1LogBytes([{ register: 4, type: 1, digests: { sha1: new Uint8Array(20).fill(1) }, data: Uint8Array.of(7) }]);
}

test("registers that no TPM has are not extended, banks that the log lacks are not replayed", () => {
  assert.throws(() => replayPcrs(parseEventLog(eventLogBytes(["sha384"], [event(32, 1)])), "sha384"), refusedFor("parse-error"));
  assert.throws(() => replayPcrs(parseEventLog(eventLogBytes(["sha384"], [event(3, 1)])), "sha256"), refusedFor("parse-error"));
});

test("hazard A12: a log explains registers only when it leads to exactly their values", () => {
  const log = parseEventLog(eventLogBytes(["sha384"], [event(1, 1), event(4, 2)]));
  const value = (fill: number) => extendRegister("sha384", zeroRegister("sha384"), digest(fill));
  const zero = zeroRegister("sha384");
  assertLogExplainsRtmrs(log, [value(1), zero, zero, value(2)]);
  assertLogExplainsRtmrs(log, [value(1), zero, zero]);
  assert.throws(() => assertLogExplainsRtmrs(log, [value(1), zero, zero, zero]), refusedFor("eventlog-mismatch"));
  assertLogExplainsPcrs(
    log,
    "sha384",
    new Map([
      [1, value(1)],
      [9, value(3)],
    ]),
  );
  assert.throws(() => assertLogExplainsPcrs(log, "sha384", new Map([[1, value(2)]])), refusedFor("eventlog-mismatch"));
});

test("hazard A17: sizes of 4 GiB and 2^32 digests are refused without work", () => {
  const bytes = Buffer.from(eventLogBytes(["sha384"], [event(1, 1)]));
  bytes.writeUInt32LE(0xfffffff0, bytes.length - 8); // size of the last event
  assert.throws(() => parseEventLog(bytes), refusedFor("parse-error"));
  const header = eventLogBytes(["sha384"], []).length;
  bytes.writeUInt32LE(0xffffffff, header + 8); // its digest count
  assert.throws(() => parseEventLog(bytes), refusedFor("parse-error"));
});

test("parseEventLog and replay accept or say EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = eventLogBytes(["sha384"], [startupLocality(3), event(1, 1), event(2, 2)]);
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), nearlyValid), (bytes) => {
      try {
        const log = parseEventLog(bytes);
        replayPcrs(log, "sha384");
        replayRtmrs(log);
      } catch (error) {
        assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
      }
    }),
  );
});
