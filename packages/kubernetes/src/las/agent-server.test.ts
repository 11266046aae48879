import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AgentReply, encodeFrame, FrameDecoder } from "@vouchsafe/protocol";
import fc from "fast-check";
import { KubernetesError } from "../kubernetes-error.ts";
import { openAgentKey } from "./agent-key.ts";
import { type AgentDecision, createAgentServer, describeAgent } from "./agent-server.ts";
import { askAgentIdentity } from "./ask-agent.ts";

const key = generateKeyPairSync("ed25519").privateKey;

async function startAgent(t: TestContext, decisions: AgentDecision[] = []): Promise<{ readonly server: Server; readonly port: number }> {
  const inspect = () => Promise.reject(new KubernetesError("E-AGENT-CALLER", "no container here"));
  const server = createAgentServer({
    key,
    identity: () => describeAgent(key, "1.2.3"),
    measuring: { inspect, findNamedDigest: async () => undefined, machine: { proc: "/proc", root: "" } },
    now: () => new Date(),
    onDecision: (decision) => decisions.push(decision),
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port }; // it listens on TCP
}

/** Sends bytes, and gives what came back when the connection ended. `isLast`: nothing more will come, which the agent is told. */
function exchange(port: number, bytes: Uint8Array, isLast: boolean): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const received: Buffer[] = [];
  const socket = connect(port, "127.0.0.1", () => (isLast ? socket.end(bytes) : socket.write(bytes)));
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  socket.on("error", () => resolve(Buffer.concat(received)));
  socket.on("close", () => resolve(Buffer.concat(received)));
  return promise;
}

test("C-91: a process outside a container gets no evidence, and the reason", async (t) => {
  const decisions: AgentDecision[] = [];
  const { port } = await startAgent(t, decisions);
  const answer = await exchange(port, encodeFrame({ type: "evidence", userData: new Uint8Array(64).toBase64() }), false);
  const [reply] = new FrameDecoder(AgentReply).push(answer);
  assert.equal(reply?.type, "failure");
  assert.match(reply?.type === "failure" ? reply.message : "", /not one container of this machine/);
  assert.equal(decisions[0]?.kind, "refused");
});

test("CL-60: the agent tells who it is to whoever asks", async (t) => {
  const { server, port } = await startAgent(t);
  assert.deepEqual(await askAgentIdentity("127.0.0.1", port), describeAgent(key, "1.2.3"));
  server.close();
  assert.equal(await askAgentIdentity("127.0.0.1", port), undefined);
});

test("hazard I5: half messages, huge frames and noise get no answer and do no harm", async (t) => {
  const { port } = await startAgent(t);
  const hostile = [
    Uint8Array.of(0, 0),
    Uint8Array.of(0x40, 0, 0, 0), // one GiB announced
    encodeFrame({ type: "evidence", userData: "AAAA" }),
    encodeFrame({ type: "evidence", userData: new Uint8Array(64).toBase64(), imageDigest: "sha256:00" }),
    encodeFrame({ type: "other" }),
  ];
  const isHarmless = (answer: Buffer) => new FrameDecoder(AgentReply).push(answer).every((reply) => reply.type === "failure");
  for (const bytes of hostile) assert(isHarmless(await exchange(port, bytes, true)));
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      assert.equal((await exchange(port, bytes, true)).length, 0);
    }),
    { numRuns: 50 },
  );
  assert.notEqual(await askAgentIdentity("127.0.0.1", port), undefined);
});

test("hazard I10: the agent's key survives a restart, for its eyes only", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "agent-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const first = openAgentKey(directory);
  assert.equal(statSync(join(directory, "agent-key.pem")).mode & 0o777, 0o600);
  assert(first.equals(openAgentKey(directory)));
  writeFileSync(join(directory, "agent-key.pem"), "no key", { mode: 0o600 });
  assert.throws(() => openAgentKey(directory), { code: "E-AGENT-KEY" });
});
