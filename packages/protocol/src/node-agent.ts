import { connect } from "node:net";
import { decodeEvidence, type Evidence } from "@vouchsafe/attestation";
import { encodeFrame, FrameDecoder } from "./frames.ts";
import { AgentReply } from "./messages.ts";
import { ProtocolError, type ProtocolErrorCode } from "./protocol-error.ts";

/** Port of the node agent on its node (C-90). */
export const NODE_AGENT_PORT = 18_766;
const ANSWER_TIMEOUT_MS = 20_000;

/** Where a node agent is: a Unix socket made for one service alone, or a port of the node. */
export type AgentAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export const describeAgent = (agent: AgentAddress): string => ("path" in agent ? agent.path : `${agent.host}:${agent.port}`);

/**
 * Evidence of the node agent about the caller, over these 64 bytes. Throws NODE_AGENT_BUSY where it does not answer in time or has too much to do, and
 * NODE_AGENT where it cannot be reached, refuses, or answers what is no answer.
 */
export function askNodeAgent(agent: AgentAddress, userData: Uint8Array): Promise<Evidence> {
  const { promise, resolve, reject } = Promise.withResolvers<Evidence>();
  const refuse = (message: string, cause?: unknown, code: ProtocolErrorCode = "NODE_AGENT") =>
    reject(new ProtocolError(code, message, { cause, remedy: "See the log of the node agent; `vouchsafe doctor` checks it." }));
  const decoder = new FrameDecoder(AgentReply);
  const socket = connect(agent);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
    socket.destroy();
    refuse(`the node agent did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`, undefined, "NODE_AGENT_BUSY");
  });
  socket.on("connect", () => socket.write(encodeFrame({ type: "evidence", userData: userData.toBase64() })));
  socket.on("error", (cause) => refuse(`the node agent cannot be reached at ${describeAgent(agent)}`, cause));
  socket.on("close", () => refuse("the node agent closed the connection without an answer"));
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const reply of decoder.push(chunk)) {
        if (reply.type === "failure") refuse(`the node agent refuses: ${reply.message}`);
        else if (reply.type === "busy") refuse("the node agent is overloaded", undefined, "NODE_AGENT_BUSY");
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
