import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, hash, sign } from "node:crypto";
import { test } from "node:test";
import { codeIdentity } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { VerificationContext } from "../core/trust.ts";
import { verifyEvidence } from "../core/verify.ts";
import { createNodeStatement, encodeNodeStatement } from "./create-node-statement.ts";
import { NODE_AGENT_MEASUREMENT, type NodeStatement, parseNodeStatement } from "./node-statement.ts";

const now = new Date("2026-11-25T12:00:00Z");
const agent = generateKeyPairSync("ed25519");
const context: VerificationContext = {
  now,
  trustAnchors: { node: [agent.publicKey.export({ type: "spki", format: "der" })] },
  collateral: {},
};
const statement: NodeStatement = {
  userData: new Uint8Array(64).fill(7),
  agentMeasurement: NODE_AGENT_MEASUREMENT,
  imageDigest: `sha256:${"ab".repeat(32)}`,
  fileSystemTag: "0123",
  program: "/usr/bin/python3",
  service: "patients-7/api",
  instanceCounter: 3n,
  issuedAt: now,
};
const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

test("C-91: claims of a node statement name image, tag, program, service, node and instance", () => {
  const claims = verifyEvidence(createNodeStatement(statement, agent.privateKey), context);
  const workload = { imageDigest: statement.imageDigest, fileSystemTag: "0123" };
  assert.deepEqual(claims.workload, workload);
  assert.equal(claims.codeIdentity, codeIdentity("node", NODE_AGENT_MEASUREMENT, workload));
  assert.deepEqual(claims.details, { program: statement.program, service: statement.service });
  assert.match(claims.platformId, /^NODE_KEY:/);
  assert.match(claims.instanceId ?? "", /\/3$/);
});

test("an agent that measures by another procedure is not believed", () => {
  const other = createNodeStatement({ ...statement, agentMeasurement: new Uint8Array(32) }, agent.privateKey);
  assert.throws(() => verifyEvidence(other, context), refusedFor("unsupported-version"));
});

test("hazard A21: roots of hardware vendors do not make an agent, nor the reverse", () => {
  const { node = [] } = context.trustAnchors;
  assert.throws(
    () => verifyEvidence(createNodeStatement(statement, agent.privateKey), { ...context, trustAnchors: { snp: node } }),
    refusedFor("bad-signature"),
  );
});

/** Fields written by hand, and signed: what a well-behaved agent would never write. */
function written(format: string, program: Uint8Array, tagBytes: number, issuedAt: bigint): Uint8Array {
  const counted = (bytes: Uint8Array) => Buffer.concat([Uint8Array.of(bytes.length & 0xff, bytes.length >> 8), bytes]);
  const u64 = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };
  const keyId = hash("sha256", createPublicKey(agent.privateKey).export({ type: "spki", format: "der" }), "buffer");
  const fixed = [new Uint8Array(64), NODE_AGENT_MEASUREMENT, new Uint8Array(32)];
  const texts = [counted(new Uint8Array(tagBytes)), counted(program), counted(Buffer.from("s"))];
  const signed = Buffer.concat([counted(Buffer.from(format)), ...fixed, ...texts, u64(1n), u64(issuedAt), keyId]);
  return Buffer.concat([signed, sign(null, signed, agent.privateKey)]);
}
const FORMAT = "vouchsafe/node-statement/1";
const program = Buffer.from("/bin/true");

test("statements written by hand parse like those of agents", () => {
  assert.equal(parseNodeStatement(written(FORMAT, program, 16, 0n)).statement.program, "/bin/true");
});

const refused = {
  "another format": written("vouchsafe/node-statement/2", program, 16, 0n),
  "a program path of 1025 bytes": written(FORMAT, new Uint8Array(1025).fill(97), 16, 0n),
  "a tag of 65 bytes": written(FORMAT, program, 65, 0n),
  "a program path that is not UTF-8": written(FORMAT, Uint8Array.of(0xff), 16, 0n),
  "a time beyond all dates": written(FORMAT, program, 16, 2n ** 63n),
};
for (const [rule, bytes] of Object.entries(refused)) {
  test(`parseNodeStatement refuses ${rule}, signed or not`, () => {
    assert.throws(() => parseNodeStatement(bytes), refusedFor("parse-error"));
  });
}

test("an image digest of another form is named as the mistake", () => {
  assert.throws(() => encodeNodeStatement({ ...statement, imageDigest: "sha512:00" }, agent.privateKey), {
    message: /imageDigest is not sha256/,
  });
});

test("a field that cannot be written is a mistake of the caller", () => {
  const wrong: Partial<NodeStatement>[] = [
    { userData: new Uint8Array(63) },
    { agentMeasurement: new Uint8Array(31) },
    { imageDigest: "sha512:00" },
    { fileSystemTag: "xyz" },
    { fileSystemTag: "00".repeat(65) },
    { program: "p".repeat(1025) },
  ];
  for (const change of wrong)
    assert.throws(() => encodeNodeStatement({ ...statement, ...change }, agent.privateKey), TypeError, JSON.stringify(change));
});
