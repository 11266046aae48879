import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { decodeEvidence, NODE_AGENT_MEASUREMENT, verifyNodeStatement } from "@vouchsafe/attestation";
import { AgentReply, encodeFrame, FrameDecoder } from "@vouchsafe/protocol";
import { agentPublicKey, readAgentKey, serveEvidence, vouchAsNode } from "./node-agent.ts";

const directory = mkdtempSync(join(tmpdir(), "agent-"));
after(() => rmSync(directory, { recursive: true }));
const keyFile = join(directory, "state", "agent-key.pem");
const key = readAgentKey(keyFile);
const workload = {
  service: "clinic/api/python3",
  imageDigest: `sha256:${"5a".repeat(32)}`,
  fileSystemTag: "00112233445566778899aabbccddeeff",
  program: "/vouchsafe/bin/launcher",
  instanceCounter: 7n,
};

async function ask(socketPath: string, bytes: Uint8Array): Promise<AgentReply[]> {
  const socket = connect(socketPath);
  const decoder = new FrameDecoder(AgentReply);
  const replies: AgentReply[] = [];
  socket.on("data", (chunk: Buffer) => {
    replies.push(...decoder.push(chunk));
    socket.end();
  });
  socket.write(bytes);
  await once(socket, "close");
  return replies;
}

test("field/2026-08-readable-key: the agent's key is made once, for its owner's eyes only", () => {
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.deepEqual(agentPublicKey(readAgentKey(keyFile)), agentPublicKey(key));
});

test("C-91: the agent signs its own measurement; a caller contributes the user data and nothing else", async (t) => {
  const path = join(directory, "a.sock");
  const server = await serveEvidence(path, process.getuid?.() ?? 0, vouchAsNode(workload, key));
  t.after(() => server.close());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const userData = new Uint8Array(64).fill(9);
  const [reply] = await ask(path, encodeFrame({ type: "evidence", userData: userData.toBase64() }));
  assert(reply?.type === "evidence");
  const { kind, bytes } = decodeEvidence(reply.evidence);
  assert.equal(kind, "node");
  const verified = verifyNodeStatement(bytes, { now: new Date(), agentKeys: [agentPublicKey(key)] });
  assert.deepEqual(
    {
      ...verified,
      userData: verified.userData.toHex(),
      agentMeasurement: verified.agentMeasurement.toHex(),
      issuedAt: 0,
      platformId: 0,
      instanceId: 0,
    },
    {
      ...workload,
      userData: userData.toHex(),
      agentMeasurement: NODE_AGENT_MEASUREMENT.toHex(),
      issuedAt: 0,
      platformId: 0,
      instanceId: 0,
    },
  );
});

const hostile = [
  {
    rule: "a request with a workload of its own",
    bytes: encodeFrame({ type: "evidence", userData: new Uint8Array(64).toBase64(), imageDigest: "sha256:00" }),
  },
  { rule: "user data of another length", bytes: encodeFrame({ type: "evidence", userData: new Uint8Array(63).toBase64() }) },
  { rule: "a frame of 1 GiB", bytes: Buffer.from("40000000", "hex") },
  { rule: "no JSON", bytes: Buffer.from("00000003616263", "hex") },
];
for (const { rule, bytes } of hostile) {
  test(`hazard I5: ${rule} is answered with a failure and no evidence`, async (t) => {
    const path = join(directory, "b.sock");
    const server = await serveEvidence(path, process.getuid?.() ?? 0, vouchAsNode(workload, key));
    t.after(() => server.close());
    const replies = await ask(path, bytes);
    assert.deepEqual(
      replies.map(({ type }) => type),
      ["failure"],
    );
  });
}
