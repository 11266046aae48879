import { connect } from "node:net";
import { encodeFrame, FrameDecoder } from "@vouchsafe/protocol";
import { AgentIdentity } from "./agent-server.ts";

const TIMEOUT_MS = 3_000;

/** Asks the agent on a node who it is; undefined when it does not answer in time or does not speak the protocol. */
export function askAgentIdentity(host: string, port: number): Promise<AgentIdentity | undefined> {
  const { promise, resolve } = Promise.withResolvers<AgentIdentity | undefined>();
  const decoder = new FrameDecoder(AgentIdentity, 8192);
  const socket = connect({ host, port, timeout: TIMEOUT_MS });
  const give = (answer: AgentIdentity | undefined) => {
    resolve(answer);
    socket.destroy();
  };
  socket.on("connect", () => socket.write(encodeFrame({ type: "identity" })));
  socket.on("timeout", () => give(undefined));
  socket.on("error", () => give(undefined));
  socket.on("close", () => resolve(undefined));
  socket.on("data", (chunk: Buffer) => {
    try {
      const [answer] = decoder.push(chunk);
      if (answer !== undefined) give(answer);
    } catch {
      give(undefined);
    }
  });
  return promise;
}
