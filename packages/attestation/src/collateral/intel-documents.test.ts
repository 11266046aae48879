import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { type JsonDocument, mintIntel } from "../testing/mint-intel.ts";
import { readQeIdentity } from "./qe-identity.ts";
import { splitSignedJson } from "./signed-json.ts";
import { readTcbInfo } from "./tcb-info.ts";
import { VerificationCache } from "./verification-cache.ts";

const { collateral } = mintIntel({ tee: "tdx" });
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("utf8");
const infoText = textOf(collateral.tcbInfo);
const fresh = () => splitSignedJson(Buffer.from(infoText), "tcbInfo").value as JsonDocument; // minted as an object
const firstLevel = (document: JsonDocument) => (document["tcbLevels"] as JsonDocument[])[0] ?? {};
const firstModule = (document: JsonDocument) => (document["tdxModuleIdentities"] as JsonDocument[])[0] ?? {};

const firstOf = (owner: JsonDocument, list: string) => (owner[list] as JsonDocument[])[0] ?? {};
const tcbOf = (level: JsonDocument) => level["tcb"] as JsonDocument;

const refused: readonly { rule: string; change: (document: JsonDocument) => void }[] = [
  { rule: "a level that is no object", change: (d) => void Object.assign(d, { tcbLevels: [null] }) },
  { rule: "a level that is a list", change: (d) => void Object.assign(d, { tcbLevels: [[]] }) },
  { rule: "hazard A17: 257 levels", change: (d) => void Object.assign(d, { tcbLevels: Array(257).fill(firstLevel(d)) }) },
  { rule: "levels that are no list", change: (d) => void Object.assign(d, { tcbLevels: {} }) },
  { rule: "a missing member", change: (d) => void delete d["pceId"] },
  { rule: "hazard A24: a number where text belongs", change: (d) => void Object.assign(d, { fmspc: 906 }) },
  { rule: "an FMSPC of 5 bytes", change: (d) => void Object.assign(d, { fmspc: "0090606ed5" }) },
  { rule: "an FMSPC that is not hex", change: (d) => void Object.assign(d, { fmspc: "00906ed5000g" }) },
  { rule: "a text of a thousand characters", change: (d) => void Object.assign(firstLevel(d), { tcbStatus: "x".repeat(1000) }) },
  { rule: "hazard A24: an SVN beyond 65535", change: (d) => void Object.assign(d, { tcbEvaluationDataNumber: 65_536 }) },
  { rule: "hazard A24: a number that is no number", change: (d) => void Object.assign(d, { tcbEvaluationDataNumber: Number.NaN }) },
  { rule: "a date without time", change: (d) => void Object.assign(d, { nextUpdate: "2026-07-01" }) },
  { rule: "a date that does not exist", change: (d) => void Object.assign(d, { nextUpdate: "2026-13-01T00:00:00Z" }) },
  { rule: "an advisory with other characters", change: (d) => void Object.assign(firstLevel(d), { advisoryIDs: ["<b>"] }) },
  { rule: "an advisory that is no text", change: (d) => void Object.assign(firstLevel(d), { advisoryIDs: [615] }) },
  { rule: "hazard A18: an unknown member in a module", change: (d) => void Object.assign(firstModule(d), { extra: 1 }) },
  { rule: "a module listed twice", change: (d) => void Object.assign(d, { tdxModuleIdentities: [firstModule(d), firstModule(d)] }) },
  ...(
    [
      ["the levels of a platform", (d) => firstLevel(d)],
      ["the SVNs of a platform", (d) => tcbOf(firstLevel(d))],
      ["a component", (d) => firstOf(tcbOf(firstLevel(d)), "sgxtcbcomponents")],
      ["the first module", (d) => d["tdxModule"] as JsonDocument],
      ["the levels of a module", (d) => firstOf(firstModule(d), "tcbLevels")],
      ["the SVN of a module", (d) => tcbOf(firstOf(firstModule(d), "tcbLevels"))],
    ] satisfies readonly (readonly [string, (document: JsonDocument) => JsonDocument])[]
  ).map(([place, find]) => ({
    rule: `hazard A18: an unknown member in ${place}`,
    change: (d: JsonDocument) => void Object.assign(find(d), { extra: 1 }),
  })),
  {
    rule: "a label of more than 100 characters",
    change: (d) => void Object.assign(firstOf(tcbOf(firstLevel(d)), "sgxtcbcomponents"), { category: "x".repeat(101) }),
  },
  {
    rule: "hazard A5: an SVN named twice",
    change: (d) => void (firstModule(d)["tcbLevels"] as unknown[]).push((firstModule(d)["tcbLevels"] as unknown[])[0]),
  },
];

for (const { rule, change } of refused) {
  test(`TCB Info with ${rule} is refused`, () => {
    const document = fresh();
    change(document);
    assert.throws(() => readTcbInfo(document), { code: "EVIDENCE_MALFORMED", reason: "parse-error" });
  });
}

test("a TCB Info of another type than an object is refused", () => {
  for (const value of [undefined, null, [], "x", 1]) {
    assert.throws(() => readTcbInfo(value), { code: "EVIDENCE_MALFORMED", message: "tcbInfo is not an object" });
  }
  const { pceId: _, ...rest } = fresh();
  assert.throws(() => readTcbInfo(rest), { message: "tcbInfo: pceId is missing" });
});

test("a TCB Info of version 2 numbers its components and is always of SGX", () => {
  const { id: _, tdxModule, tdxModuleIdentities, ...members } = fresh();
  const numbered = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`sgxtcbcomp${String(index + 1).padStart(2, "0")}svn`, index]),
  );
  const level = { tcb: { ...numbered, pcesvn: 13 }, tcbDate: "2026-03-01T00:00:00Z", tcbStatus: "UpToDate" };
  const info = readTcbInfo({ ...members, version: 2, tcbLevels: [level] });
  assert.deepEqual([info.tee, info.version, info.tdxModule, info.tdxModuleIdentities], ["sgx", 2, undefined, []]);
  assert.deepEqual(info.levels[0]?.sgxComponents, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  const stranger = { ...members, version: 2, tcbLevels: [level], tdxModuleIdentities };
  assert.throws(() => readTcbInfo(stranger), { message: 'tcbInfo: unknown member "tdxModuleIdentities"' });
  assert.deepEqual(readTcbInfo({ ...members, id: "TDX", tdxModule }).tdxModuleIdentities, [], "version 3 may leave the list out");
});

test("components may say what they stand for, as Intel's do; the numbers count", () => {
  const document = fresh();
  const components = tcbOf(firstLevel(document))["sgxtcbcomponents"] as JsonDocument[];
  for (const component of components) Object.assign(component, { category: "BIOS", type: "Early Microcode Update" });
  assert.deepEqual(readTcbInfo(document), readTcbInfo(fresh()));
  for (const label of ["category", "type"]) {
    Object.assign(components[0] ?? {}, { category: "BIOS", type: "x", [label]: 7 });
    assert.throws(() => readTcbInfo(document), { code: "EVIDENCE_MALFORMED", message: new RegExp(`${label} is not a text`) });
  }
});

test("an identity of another enclave or version is refused", () => {
  const identity = () => splitSignedJson(Buffer.from(textOf(collateral.qeIdentity)), "enclaveIdentity").value as JsonDocument; // minted as an object
  assert.equal(readQeIdentity(identity()).tee, "tdx");
  assert.throws(() => readQeIdentity({ ...identity(), id: "QVE" }), { reason: "collateral-mismatch" });
  assert.throws(() => readQeIdentity({ ...identity(), id: "X" }), { reason: "parse-error" });
  assert.throws(() => readQeIdentity({ ...identity(), version: 1 }), { reason: "unsupported-collateral-version" });
  assert.throws(() => readQeIdentity({ ...identity(), extra: true }), { reason: "parse-error" });
});

test("a signed document has one form; another one, bad UTF-8 and deep nesting are refused", () => {
  const split = (text: string | Uint8Array) => splitSignedJson(Buffer.from(text as string), "tcbInfo");
  assert.equal(split(`${infoText}\n`).signature.length, 64);
  const wrong = [
    "",
    "{}",
    infoText.replace("tcbInfo", "tcbinfo"),
    infoText.slice(0, -2),
    `${infoText}x`,
    ` ${infoText}`,
    infoText.replace('"signature"', '"sig"'),
  ];
  for (const text of wrong) assert.throws(() => split(text), { code: "EVIDENCE_MALFORMED" });
  const tail = infoText.slice(infoText.lastIndexOf(',"signature"'));
  for (const inner of ["{", `${"[".repeat(100_000)}`, `"\xff"`]) {
    assert.throws(() => split(Buffer.from(`{"tcbInfo":${inner}${tail}`, "latin1")), { code: "EVIDENCE_MALFORMED" });
  }
  assert.throws(() => splitSignedJson(new Uint8Array(1024 * 1024 + 1), "tcbInfo"), { message: /at most/ });
});

test("whatever stands in a document, it is read or refused with a typed error", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(fresh())), (value, member) => {
      try {
        readTcbInfo({ ...fresh(), [member]: value });
      } catch (error) {
        assert.ok(error instanceof EvidenceError, String(error));
      }
    }),
  );
});

test("what is used again is not the first to be forgotten", () => {
  const cache = new VerificationCache();
  const bytes = (index: number) => Buffer.from(String(index));
  const read = (index: number, made: number) => cache.get("test", [bytes(index)], () => made);
  for (let index = 0; index < 4096; index++) read(index, index);
  assert.equal(read(0, -1), 0);
  read(4096, 4096);
  assert.deepEqual([read(0, -1), read(1, -1)], [0, -1]);
});

test("the cache is bounded, forgets the oldest, and does not keep what failed", () => {
  const cache = new VerificationCache();
  const bytes = (index: number) => Buffer.from(String(index));
  for (let index = 0; index < 5000; index++) cache.get("test", [bytes(index)], () => index);
  assert.equal(cache.size, 4096);
  assert.equal(
    cache.get("test", [bytes(4999)], () => -1),
    4999,
  );
  assert.equal(
    cache.get("test", [bytes(0)], () => -1),
    -1,
  );
  assert.equal(
    cache.get("other", [bytes(4999)], () => -2),
    -2,
  );
  assert.throws(
    () =>
      cache.get("test", [bytes(9999)], () => {
        throw new RangeError("no");
      }),
    RangeError,
  );
  assert.equal(
    cache.get("test", [bytes(9999)], () => 7),
    7,
  );
});
