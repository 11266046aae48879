import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "./errors.ts";
import { decodeEvidence, type EvidenceKind, encodeEvidence } from "./evidence.ts";
import { assertWorkloadMeasured, encodeWorkload, parseWorkload } from "./workload.ts";

const malformed = (message: RegExp) => (error: unknown) =>
  error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED" && message.test(error.message);
const kinds: EvidenceKind[] = ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"];

test("evidence survives the wire", () => {
  const endorsements = fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), fc.uint8Array({ maxLength: 20 }), {
    maxKeys: 5,
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.uint8Array(), endorsements, (kind, bytes, given) => {
      const evidence = { kind, bytes, endorsements: new Map(Object.entries(given)) };
      assert.deepEqual(decodeEvidence(JSON.parse(JSON.stringify(encodeEvidence(evidence)))), evidence);
    }),
  );
  assert.deepEqual(decodeEvidence(encodeEvidence({ kind: "snp", bytes: Uint8Array.of(1) })), { kind: "snp", bytes: Uint8Array.of(1) });
});

const refused: readonly { readonly rule: string; readonly json: unknown; readonly says: RegExp }[] = [
  { rule: "null", json: null, says: /not an object/ },
  { rule: "nothing", json: undefined, says: /not an object/ },
  { rule: "a text", json: "snp", says: /not an object/ },
  { rule: "a list", json: [], says: /not an object/ },
  { rule: "hazard A23: a member that selects something", json: { kind: "snp", evidence: "", root: "x" }, says: /unknown member "root"/ },
  { rule: "an unknown kind", json: { kind: "sev", evidence: "" }, says: /kind is not one of/ },
  { rule: "a kind that is no text", json: { kind: ["snp"], evidence: "" }, says: /kind is not one of/ },
  { rule: "no evidence", json: { kind: "snp" }, says: /evidence is not a string/ },
  { rule: "evidence that is not base64", json: { kind: "snp", evidence: "*" }, says: /not base64/ },
  { rule: "base64 of another spelling", json: { kind: "snp", evidence: "AB==" }, says: /not base64/ },
  { rule: "white space in base64", json: { kind: "snp", evidence: "AA\n==" }, says: /not base64/ },
  { rule: "an endorsement of nothing but white space", json: { kind: "snp", evidence: "", endorsements: { a: " " } }, says: /not base64/ },
  { rule: "more than a megabyte", json: { kind: "snp", evidence: "A".repeat(1_500_000) }, says: /longer than/ },
  { rule: "endorsements in a list", json: { kind: "snp", evidence: "", endorsements: [] }, says: /endorsements is not an object/ },
  { rule: "endorsements that are text", json: { kind: "snp", evidence: "", endorsements: "AAAA" }, says: /endorsements is not an object/ },
  { rule: "endorsements that are null", json: { kind: "snp", evidence: "", endorsements: null }, says: /endorsements is not an object/ },
  {
    rule: "17 endorsements",
    json: { kind: "snp", evidence: "", endorsements: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`e${i}`, ""])) },
    says: /17 endorsements/,
  },
  { rule: "an endorsement that is no text", json: { kind: "snp", evidence: "", endorsements: { a: 1 } }, says: /not a string/ },
];
for (const { rule, json, says } of refused) {
  test(`decodeEvidence refuses ${rule}`, () => {
    assert.throws(() => decodeEvidence(json), malformed(says));
  });
}

const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "00ff", program: "/usr/bin/python3" };

test("a workload survives its descriptor, with and without program and tag", () => {
  for (const each of [workload, { ...workload, fileSystemTag: "" }, { imageDigest: workload.imageDigest, fileSystemTag: "" }]) {
    assert.deepEqual(parseWorkload(encodeWorkload(each)), each);
  }
});

const descriptors: Readonly<Record<string, Uint8Array>> = {
  "another label": Buffer.from(encodeWorkload(workload)).fill("W", 2, 3),
  "an image digest of another form": encodeWorkload({ ...workload, imageDigest: "sha512:00" }),
  "a tag that is not hex": encodeWorkload({ ...workload, fileSystemTag: "xy" }),
  "a program with a line end": encodeWorkload({ ...workload, program: "a\nb" }),
  "bytes behind it": Uint8Array.of(...encodeWorkload(workload), 0),
  "a program that is not UTF-8": Uint8Array.of(...encodeWorkload(workload).subarray(0, -1), 0xff),
  "a field of 64 KiB": Uint8Array.of(0xff, 0xff),
  "half of it": encodeWorkload(workload).subarray(0, 40),
};
for (const [rule, bytes] of Object.entries(descriptors)) {
  test(`parseWorkload refuses ${rule}`, () => {
    assert.throws(() => parseWorkload(bytes), malformed(/^workload: /));
  });
}

test("a workload that was not measured, or nowhere, is refused", () => {
  assertWorkloadMeasured("HOST_DATA", Uint8Array.of(1), Uint8Array.of(1));
  for (const measured of [undefined, Uint8Array.of(2), Uint8Array.of(1, 1)]) {
    assert.throws(() => assertWorkloadMeasured("HOST_DATA", measured, Uint8Array.of(1)), { reason: "runtime-data-mismatch" });
  }
  assert.throws(() => encodeWorkload({ ...workload, program: "p".repeat(1025) }), TypeError);
});

test("hazard A17: a field of a workload of more than 1024 bytes is refused, though the bytes are there", () => {
  const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
  const longest = encodeWorkload({ ...workload, program: "p".repeat(1024) });
  assert.equal(parseWorkload(longest).program?.length, 1024);
  const longer = Buffer.concat([longest, Buffer.from("p")]);
  longer.writeUInt16BE(1025, longest.length - 1026);
  assert.throws(() => parseWorkload(longer), { code: "EVIDENCE_MALFORMED", message: /at most 1024 allowed/ });
});
