import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { encodeNodeStatement } from "./create-node-statement.ts";
import { nodeKeyHash } from "./key-hash.ts";
import { NODE_AGENT_MEASUREMENT, type NodeStatement, parseNodeStatement } from "./node-statement.ts";
import { verifyNodeStatement } from "./verify-node-statement.ts";

const now = new Date("2026-11-25T12:00:00Z");
const statement: NodeStatement = {
  userData: new Uint8Array(64).fill(7),
  agentMeasurement: NODE_AGENT_MEASUREMENT,
  imageDigest: `sha256:${"ab".repeat(32)}`,
  fileSystemTag: "0123456789abcdef0123456789abcdef",
  program: "/usr/bin/python3",
  service: "patients-7/api",
  instanceCounter: 41n,
  issuedAt: new Date(now.getTime() - 1000),
};
const ed25519 = generateKeyPairSync("ed25519");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = (pair: typeof p256): Uint8Array => pair.publicKey.export({ type: "spki", format: "der" });
const refusedWith = (code: string) => (error: unknown) => error instanceof EvidenceError && error.code === code;

for (const [name, pair] of Object.entries({ ed25519, p256 })) {
  test(`C-91: a statement signed with an enrolled ${name} key gives its fields, platform and instance`, () => {
    const verified = verifyNodeStatement(encodeNodeStatement(statement, pair.privateKey), { now, agentKeys: [spki(pair)] });
    const { platformId, instanceId, ...fields } = verified;
    assert.deepEqual(
      { ...fields, userData: Uint8Array.from(fields.userData), agentMeasurement: fields.agentMeasurement.toHex() },
      { ...statement, agentMeasurement: NODE_AGENT_MEASUREMENT.toHex() },
    );
    assert.match(platformId, /^NODE_KEY:[1-9A-HJ-NP-Za-km-z]{50}$/);
    assert.equal(instanceId, `${nodeKeyHash(spki(pair))}/41`);
  });
}

test("SL-173: a node key hash is Base58Check with version byte 1", () => {
  // the SHA-256 of nothing, encoded by an independent implementation
  assert.equal(nodeKeyHash(new Uint8Array(0)), "4g2E2Ejp86H8D4KmuCWTsnvUtAtS2bv3orMTAesmvJcWGcSvJ1");
});

test("hazard A1: a statement with any bit changed is refused", () => {
  const bytes = encodeNodeStatement(statement, ed25519.privateKey);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Uint8Array.from(bytes);
    changed[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => verifyNodeStatement(changed, { now, agentKeys: [spki(ed25519)] }), EvidenceError, `bit ${bit}`);
  }
});

test("hazard A2: a statement cut at any length, or with bytes behind it, is malformed", () => {
  const bytes = encodeNodeStatement(statement, ed25519.privateKey);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => parseNodeStatement(bytes.subarray(0, length)), refusedWith("EVIDENCE_MALFORMED"));
  }
  assert.throws(() => parseNodeStatement(Uint8Array.of(...bytes, 0)), refusedWith("EVIDENCE_MALFORMED"));
});

test("a statement of an agent that is not enrolled is refused, and so is an empty list of agents", () => {
  const bytes = encodeNodeStatement(statement, ed25519.privateKey);
  assert.throws(() => verifyNodeStatement(bytes, { now, agentKeys: [spki(p256)] }), refusedWith("EVIDENCE_SIGNATURE"));
  assert.throws(() => verifyNodeStatement(bytes, { now, agentKeys: [] }), refusedWith("EVIDENCE_SIGNATURE"));
  assert.throws(() => verifyNodeStatement(bytes, { now, agentKeys: [] }), { remedy: "Enrol the node agent's key with the CAS." });
  const forged = Uint8Array.from(bytes, (octet, index) => (index === bytes.length - 1 ? octet ^ 1 : octet));
  assert.throws(() => verifyNodeStatement(forged, { now, agentKeys: [spki(ed25519)] }), {
    reason: "bad-signature",
    remedy: /^Attest again/,
  });
});

test("C-50: an old statement and one from the future are stale", () => {
  const bytes = encodeNodeStatement(statement, ed25519.privateKey);
  for (const seconds of [-302, 302]) {
    const then = new Date(statement.issuedAt.getTime() + seconds * 1000);
    const message = new RegExp(`issued 302 s ${seconds < 0 ? "in the future" : "ago"}`);
    assert.throws(() => verifyNodeStatement(bytes, { now: then, agentKeys: [spki(ed25519)] }), { code: "EVIDENCE_STALE", message });
  }
});

test("hazard A8: keys of other algorithms neither sign nor verify statements", () => {
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  assert.throws(() => encodeNodeStatement(statement, p384.privateKey), TypeError);
  const bytes = encodeNodeStatement(statement, ed25519.privateKey);
  assert.throws(() => verifyNodeStatement(bytes, { now, agentKeys: [spki(p384)] }), TypeError);
});

test("parseNodeStatement accepts or says EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = encodeNodeStatement(statement, ed25519.privateKey);
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 500 }), nearlyValid), (bytes) => {
      try {
        parseNodeStatement(bytes);
      } catch (error) {
        assert(refusedWith("EVIDENCE_MALFORMED")(error), String(error));
      }
    }),
  );
});

test("decoding inverts encoding", () => {
  const anyStatement = fc.record({
    userData: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    agentMeasurement: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    imageDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => `sha256:${digest.toHex()}`),
    fileSystemTag: fc.uint8Array({ maxLength: 32 }).map((tag) => tag.toHex()),
    program: fc.string({ maxLength: 200 }),
    service: fc.string({ maxLength: 200 }),
    instanceCounter: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    issuedAt: fc.date({ min: new Date(0), noInvalidDate: true }),
  });
  fc.assert(
    fc.property(anyStatement, (fields) => {
      const parsed = parseNodeStatement(encodeNodeStatement(fields, ed25519.privateKey)).statement;
      assert.deepEqual(
        { ...parsed, userData: Uint8Array.from(parsed.userData), agentMeasurement: Uint8Array.from(parsed.agentMeasurement) },
        { ...fields },
      );
    }),
    { numRuns: 50 },
  );
});
