import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { encodeFrame } from "@vouchsafe/protocol";
import { RuntimeError } from "../runtime-error.ts";
import { readSettings } from "../settings.ts";
import { chooseSource } from "./choose-source.ts";
import { nodeAgentSource } from "./node-agent-source.ts";

const asked = { userData: new Uint8Array(64), workload: undefined, certifyKey: () => assert.fail("no key is certified") };

test("MF-125: an agent that has too much to do may be asked again, one that is not there ends the start", async (t) => {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(encodeFrame({ type: "busy" })));
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const failure = (agent: Parameters<typeof nodeAgentSource>[0]) =>
    nodeAgentSource(agent)
      .gather(asked)
      .catch((error: unknown) => (error instanceof RuntimeError ? [error.code, error.message, error.remedy] : error));
  const remedy = "See the log of the node agent; `vouchsafe doctor` checks it.";
  assert.deepEqual(await failure({ host: "127.0.0.1", port }), ["R-AGENT-BUSY", "the node agent is overloaded", remedy]);
  assert.deepEqual(await failure({ path: "/nowhere/a.sock" }), [
    "R-EVIDENCE",
    "the node agent cannot be reached at /nowhere/a.sock",
    remedy,
  ]);
});

test("C-90: the node's agent is a source where there is one", () => {
  const settings = (more: object) =>
    readSettings({ SCONE_CONFIG_ID: "shop/api", SCONE_CAS_ADDR: "cas", VOUCHSAFE_EVIDENCE: "node", ...more });
  assert.equal(chooseSource(settings({ SCONE_LAS_ADDR: "las" }))?.name, "las:18766");
  assert.throws(() => chooseSource(settings({})), { code: "R-EVIDENCE" });
});
