import { connect } from "node:net";
import { type AgentAddress, encodeFrame, type StartNote } from "@vouchsafe/protocol";

const TIMEOUT_MS = 2_000;
const MESSAGE_MAX_CHARACTERS = 2_000;

/**
 * Tells the node agent why this service does not start, so that the reason shows as an event of its pod. A courtesy: returns when it was sent, or
 * after two seconds, or when it cannot be; the same words are in the log anyway. The local engine's agent (a Unix socket) has no use for it.
 */
export async function tellAgent(agent: AgentAddress | undefined, phase: StartNote["phase"], message: string): Promise<void> {
  if (agent === undefined || "path" in agent) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const note: StartNote = { type: "note", phase, message: message.slice(0, MESSAGE_MAX_CHARACTERS) };
  const socket = connect(agent);
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.on("connect", () => socket.write(encodeFrame(note)));
  socket.on("data", () => undefined);
  socket.on("error", () => resolve()); // no agent: its own failure is told elsewhere
  socket.on("close", () => resolve());
  return promise;
}
