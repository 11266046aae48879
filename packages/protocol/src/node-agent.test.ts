import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type Evidence, encodeEvidence } from "@vouchsafe/attestation";
import { encodeFrame } from "./frames.ts";
import type { AgentReply } from "./messages.ts";
import { askNodeAgent } from "./node-agent.ts";

/** A node agent that gives one answer, whatever it is asked. */
async function agentThatSays(t: TestContext, answer: Uint8Array) {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(answer));
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return { host: "127.0.0.1", port };
}
const evidence: Evidence = { kind: "node", bytes: Uint8Array.of(1, 2, 3) };
const ask = async (t: TestContext, reply: AgentReply) => askNodeAgent(await agentThatSays(t, encodeFrame(reply)), new Uint8Array(64));

test("C-90: evidence of the node agent is taken as it comes", async (t) => {
  assert.deepEqual(await ask(t, { type: "evidence", evidence: encodeEvidence(evidence) }), evidence);
});

test("MF-125: an agent that refuses is told from one that has too much to do, which may be asked again", async (t) => {
  await assert.rejects(ask(t, { type: "failure", message: "no" }), { code: "NODE_AGENT", message: "the node agent refuses: no" });
  await assert.rejects(ask(t, { type: "busy" }), { code: "NODE_AGENT_BUSY", message: "the node agent is overloaded" });
});

test("an agent that says nothing, or nothing that can be read, or is not there, gives no evidence", async (t) => {
  const nothing = await agentThatSays(t, new Uint8Array(0));
  await assert.rejects(askNodeAgent(nothing, new Uint8Array(64)), {
    code: "NODE_AGENT",
    message: /closed the connection without an answer/,
  });
  const noise = await agentThatSays(t, Uint8Array.of(0, 0, 0, 2, 1, 1));
  await assert.rejects(askNodeAgent(noise, new Uint8Array(64)), { code: "NODE_AGENT", message: /answer cannot be read/ });
  await assert.rejects(askNodeAgent({ path: "/nowhere/agent.sock" }, new Uint8Array(64)), {
    ...{ code: "NODE_AGENT", message: /cannot be reached at \/nowhere\/agent.sock/ },
  });
});
