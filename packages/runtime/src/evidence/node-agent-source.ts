import { connect } from "node:net";
import { decodeEvidence, type Evidence } from "@vouchsafe/attestation";
import type { EvidenceSource } from "@vouchsafe/attester";
import { AgentReply, encodeFrame, FrameDecoder } from "@vouchsafe/protocol";
import { RuntimeError, type RuntimeErrorCode } from "../runtime-error.ts";
import type { AgentAddress } from "../settings.ts";

const ANSWER_TIMEOUT_MS = 20_000;

/** Evidence of the node agent, which measures this container itself; in development of the software platform, which imitates hardware. */
export function nodeAgentSource(agent: AgentAddress): EvidenceSource {
  const name = "path" in agent ? agent.path : `${agent.host}:${agent.port}`;
  return { kinds: ["node", "simulated"], name, absence: () => undefined, gather: ({ userData }) => askAgent(agent, userData, name) };
}

function askAgent(agent: AgentAddress, userData: Uint8Array, name: string): Promise<Evidence> {
  const { promise, resolve, reject } = Promise.withResolvers<Evidence>();
  const refuse = (message: string, cause?: unknown, code: RuntimeErrorCode = "R-EVIDENCE") =>
    reject(new RuntimeError(code, message, { cause, remedy: "See the log of the node agent; `vouchsafe doctor` checks it." }));
  const decoder = new FrameDecoder(AgentReply);
  const socket = connect(agent);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
    socket.destroy();
    refuse(`the node agent did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`, undefined, "R-AGENT-BUSY");
  });
  socket.on("connect", () => socket.write(encodeFrame({ type: "evidence", userData: userData.toBase64() })));
  socket.on("error", (cause) => refuse(`the node agent cannot be reached at ${name}`, cause));
  socket.on("close", () => refuse("the node agent closed the connection without an answer"));
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const reply of decoder.push(chunk)) {
        if (reply.type === "failure") refuse(`the node agent refuses: ${reply.message}`);
        else resolve(decodeEvidence(reply.evidence));
        socket.destroy();
      }
    } catch (cause) {
      refuse("the node agent's answer cannot be read", cause);
      socket.destroy();
    }
  });
  return promise;
}
