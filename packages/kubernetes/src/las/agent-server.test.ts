import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { inspectEvidence, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { AgentReply, encodeFrame, FrameDecoder } from "@vouchsafe/protocol";
import fc from "fast-check";
import { KubernetesError } from "../kubernetes-error.ts";
import { FakeMachine } from "../testing/fake-machine.ts";
import { openAgentKey } from "./agent-key.ts";
import { type AgentDecision, createAgentServer, describeAgent } from "./agent-server.ts";
import { askAgentIdentity } from "./ask-agent.ts";
import { type Measuring, RefusedCaller } from "./measure-caller.ts";
import type { Connection } from "./tcp-owner.ts";

const key = generateKeyPairSync("ed25519").privateKey;

const inspect = () => Promise.reject(new KubernetesError("E-AGENT-CALLER", "no container here"));
const HERE: Measuring = { inspect, findNamedDigest: async () => undefined, machine: { proc: "/proc", root: "" } };
const NOW = new Date("2026-11-28T12:00:00Z");

async function startAgent(
  t: TestContext,
  decisions: AgentDecision[] = [],
  { measuring = HERE, identity = () => describeAgent(key, "1.2.3") } = {},
): Promise<{ readonly server: Server; readonly port: number }> {
  const onDecision = (decision: AgentDecision) => decisions.push(decision);
  const server = createAgentServer({ key, identity, measuring, now: () => NOW, onDecision });
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

/** An agent on a machine whose one container is at the other end of each connection. */
async function startAgentBeside(t: TestContext, machine: FakeMachine, decisions: AgentDecision[], measuring = machine.measuring) {
  const { server, port } = await startAgent(t, decisions, { measuring });
  const connections: Connection[] = [];
  server.on("connection", ({ remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 }: Socket) => {
    connections.push({ localAddress: remoteAddress, localPort: remotePort, remoteAddress: localAddress, remotePort: localPort });
    machine.addProcess(12, { connections });
  });
  return { server, port };
}
const userData = new Uint8Array(64).fill(5);
const REQUEST = encodeFrame({ type: "evidence", userData: userData.toBase64() });
const NOTE = encodeFrame({ type: "note", phase: "failed", message: "no\u001b[31m\u2028 CAS" });
const replyIn = (answer: Uint8Array): AgentReply => new FrameDecoder(AgentReply).push(answer)[0] ?? assert.fail("no answer");

test("C-91: a container is vouched for by a statement about what was found, and the decision is told", async (t) => {
  const machine = new FakeMachine(t);
  const decisions: AgentDecision[] = [];
  const { server, port } = await startAgentBeside(t, machine, decisions);
  const timeouts: unknown[] = [];
  server.on("connection", (socket) => {
    machine.onInspect = () => timeouts.push(socket.timeout);
  });
  const reply = replyIn(await exchange(port, REQUEST, false));
  assert(reply.type === "evidence");
  const { fields, format } = inspectEvidence(Buffer.from(JSON.stringify(reply.evidence)));
  const [decision] = decisions;
  assert(format === "node" && decision?.kind === "vouched" && fields instanceof Object);
  const { keyId: _, ...said } = { keyId: undefined, ...fields };
  assert.deepEqual(said, {
    userData: userData.toHex(),
    agentMeasurement: NODE_AGENT_MEASUREMENT.toHex(),
    imageDigest: decision.measurement.imageDigest,
    fileSystemTag: decision.measurement.fileSystemTag,
    program: decision.measurement.program,
    service: "shop/api",
    instanceCounter: "0x7",
    issuedAt: NOW.toISOString(),
  });
  assert.deepEqual(timeouts, [0], "a caller that waits is not given up");
});

test("C-91: a refusal says why and what to do, to the caller and to the agent's log", async (t) => {
  const machine = new FakeMachine(t);
  machine.say({}, { userId: 0 });
  const decisions: AgentDecision[] = [];
  const { port } = await startAgentBeside(t, machine, decisions);
  const reply = replyIn(await exchange(port, REQUEST, false));
  assert.match(reply.type === "failure" ? reply.message : "", /^the container runs as root \(Run the pod with .*, as the chart does\.\)$/);
  const [decision] = decisions;
  assert(decision?.kind === "refused" && decision.error instanceof RefusedCaller);
  assert.match(decision.peer, /^127\.0\.0\.1:\d+$/);
});

test("MF-125: what a launcher says of its start is told with its container, on one line and without an answer", async (t) => {
  const machine = new FakeMachine(t);
  const decisions: AgentDecision[] = [];
  const { port } = await startAgentBeside(t, machine, decisions);
  assert.equal((await exchange(port, NOTE, false)).length, 0);
  assert.deepEqual(decisions, [{ kind: "noted", container: machine.container, phase: "failed", message: "no [31m  CAS" }]);
});

test("hazard I5: what whoever is no container says is told to nobody, and nothing that a caller brings about ends the agent", async (t) => {
  const [decisions, none]: [AgentDecision[], AgentDecision[]] = [[], []];
  const outside = await startAgent(t, none);
  assert.equal((await exchange(outside.port, NOTE, false)).length, 0);
  assert.equal(none.length, 0);
  const machine = new FakeMachine(t);
  const { server, port } = await startAgentBeside(t, machine, decisions);
  // A namespace of the caller's own making, with the addresses of another.
  server.on("connection", ({ remotePort = 0, localPort = 0 }: Socket) => {
    const ends = { localAddress: "127.0.0.1", localPort: remotePort, remoteAddress: "127.0.0.1", remotePort: localPort };
    machine.addProcess(13, { connections: [ends] });
    machine.link("proc/13/ns/net", "net:[2]");
  });
  assert.equal((await exchange(port, NOTE, false)).length, 0);
  assert.deepEqual(replyIn(await exchange(port, REQUEST, false)), { type: "failure", message: "the caller could not be measured" });
  assert.deepEqual(
    decisions.map((decision) => decision.kind === "refused" && [decision.error.code, String(decision.error.cause)]),
    Array(2).fill(["E-AGENT-CALLER", "Error: two network namespaces claim the same connection"]),
  );
});

test("hazard I5: a connection is worth one answer, ends at once where it speaks otherwise, and is given up where it says nothing", async (t) => {
  let asked = 0;
  const identity = () => {
    asked += 1;
    return describeAgent(key, "1.2.3");
  };
  const { server, port } = await startAgent(t, [], { identity });
  const ended: Promise<string>[] = [];
  server.on("connection", (socket: Socket) => {
    let why = "closed";
    socket.on("timeout", () => {
      why = "given up";
    });
    ended.push(once(socket, "close").then(() => why));
  });
  const twice = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => twice.write(encodeFrame({ type: "identity" })));
  twice.once("data", () => twice.end(encodeFrame({ type: "identity" })));
  await once(twice, "close");
  await exchange(port, Uint8Array.of(0x40, 0, 0, 0), false);
  server.once("connection", (socket: Socket) => {
    assert.equal(socket.timeout, 10_000);
    socket.emit("timeout");
  });
  await exchange(port, Uint8Array.of(0), false);
  assert.deepEqual([await Promise.all(ended), asked], [["closed", "closed", "given up"], 1]);
});

test("hazard I5: a caller that breaks off while others are measured is not measured, and harms nobody", async (t) => {
  const machine = new FakeMachine(t);
  const gate = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let measured = 0;
  const inspectLater = async () => {
    measured += 1;
    if (measured === 16) full.resolve();
    await gate.promise;
    return machine.container;
  };
  const decisions: AgentDecision[] = [];
  const { server, port } = await startAgentBeside(t, machine, decisions, { ...machine.measuring, inspect: inspectLater });
  const answers = Array.from({ length: 16 }, () => exchange(port, REQUEST, false));
  await full.promise;
  const gone = Promise.withResolvers<void>();
  server.once("connection", (socket: Socket) => {
    socket.once("close", () => gone.resolve());
    socket.once("data", () => hasty.resetAndDestroy());
  });
  const hasty = connect(port, "127.0.0.1", () => hasty.write(REQUEST));
  await gone.promise;
  const last = exchange(port, REQUEST, false);
  gate.resolve();
  for (const answer of [...answers, last]) assert.equal(replyIn(await answer).type, "evidence");
  assert.equal(measured, 17);
  assert.deepEqual(
    decisions.map(({ kind }) => kind),
    Array(17).fill("vouched"),
    "nothing is decided about who is gone",
  );
});

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
