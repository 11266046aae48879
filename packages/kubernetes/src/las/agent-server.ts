import { createPublicKey, type KeyObject } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { createNodeStatement, encodeEvidence, NODE_AGENT_MEASUREMENT, nodeKeyHash } from "@vouchsafe/attestation";
import { type AgentReply, AgentRequest, encodeFrame, FrameDecoder, StartNote } from "@vouchsafe/protocol";
import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";
import type { RunningContainer } from "./container-runtime.ts";
import { type CallerMeasurement, identifyCaller, type Measuring, measureCaller } from "./measure-caller.ts";
import { Semaphore } from "./semaphore.ts";
import type { Connection } from "./tcp-owner.ts";

/** What the agent answers to whoever asks who it is: nothing secret. */
export const AgentIdentity = z.strictObject({
  type: z.literal("identity"),
  version: z.string().max(64),
  /** SubjectPublicKeyInfo, DER, base64. */
  publicKey: z.base64().max(1024),
  keyHash: z.string().max(64),
  evidence: z.array(z.string().max(32)),
  /** What the cluster says about this key; absent while it said nothing. */
  statement: z.string().max(4096).exactOptional(),
  /** Why services could not start on this node, with what to do; absent when they can. */
  problem: z.string().max(1024).exactOptional(),
});
export type AgentIdentity = z.infer<typeof AgentIdentity>;
export const IdentityRequest = z.strictObject({ type: z.literal("identity") });
const Request = z.discriminatedUnion("type", [AgentRequest, IdentityRequest, StartNote]);

export interface AgentOptions {
  readonly key: KeyObject;
  readonly measuring: Measuring;
  readonly now: () => Date;
  /** What the agent says about itself at the moment. */
  readonly identity: () => AgentIdentity;
  /** Told of every decision; the error is a RefusedCaller where the container is known. */
  readonly onDecision: (decision: AgentDecision) => void;
}

export type AgentDecision =
  | { readonly kind: "vouched"; readonly measurement: CallerMeasurement }
  | { readonly kind: "refused"; readonly error: KubernetesError; readonly peer: string }
  /** A launcher said why its service does not start. */
  | { readonly kind: "noted"; readonly container: RunningContainer; readonly phase: StartNote["phase"]; readonly message: string };

const REQUEST_MAX_BYTES = 4096;
const CONNECTION_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 512;
/** Measuring asks the container runtime and reads many small files: a flood must wait instead of taking all of the machine. */
const MAX_MEASUREMENTS = 16;
const MAX_WAITING = 256;

export function describeAgent(key: KeyObject, version: string): AgentIdentity {
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  return { type: "identity", version, publicKey: publicKey.toBase64(), keyHash: nodeKeyHash(publicKey), evidence: ["node"] };
}

/** The node agent's service: one request, one answer, then the connection ends. Listens when the caller says so. */
export function createAgentServer(options: AgentOptions): Server {
  const limit = new Semaphore(MAX_MEASUREMENTS, MAX_WAITING);
  const server = createServer((socket) => {
    socket.setTimeout(CONNECTION_TIMEOUT_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy()); // the caller is gone: nobody to tell
    const decoder = new FrameDecoder(Request, REQUEST_MAX_BYTES);
    let isAnswered = false;
    socket.on("data", (chunk: Buffer) => {
      if (isAnswered) return;
      let request: z.infer<typeof Request> | undefined;
      try {
        [request] = decoder.push(chunk);
      } catch {
        socket.destroy(); // not our protocol: no answer that could help to find out more
        return;
      }
      if (request === undefined) return;
      isAnswered = true;
      socket.setTimeout(0); // from now on the caller waits for us
      if (request.type === "identity") socket.end(encodeFrame(options.identity()));
      else if (request.type === "note") void limit.run(() => takeNote(socket, request, options)).finally(() => socket.end());
      else
        void limit
          .run(async () => {
            await setImmediate(); // measuring leaves no time to hear of others that ended
            return isGone(socket) ? OVERLOADED : answerEvidence(socket, request.userData, options); // others wait behind those that are gone
          })
          .then((reply) => socket.end(encodeFrame(reply ?? OVERLOADED)));
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

const OVERLOADED: AgentReply = { type: "busy" };

const isGone = (socket: Socket): boolean => socket.destroyed || socket.readableEnded;

/** The caller's end of the connection: what is remote to us is local to it. */
function callersEnd({ remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 }: Socket): Connection {
  return { localAddress: remoteAddress, localPort: remotePort, remoteAddress: localAddress, remotePort: localPort };
}

async function takeNote(socket: Socket, { phase, message }: StartNote, options: AgentOptions): Promise<void> {
  try {
    const { container } = await identifyCaller(callersEnd(socket), options.measuring);
    options.onDecision({ kind: "noted", container, phase, message: message.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ") });
  } catch (error) {
    // Whoever is no container here has no pod that could be told.
    if (!(error instanceof KubernetesError)) refuse(socket, error, options);
  }
}

/** A caller may bring about any failure, so none may end the agent. */
function refuse({ remoteAddress, remotePort }: Socket, error: unknown, { onDecision }: AgentOptions): KubernetesError {
  const known =
    error instanceof KubernetesError ? error : new KubernetesError("E-AGENT-CALLER", "the caller could not be measured", { cause: error });
  onDecision({ kind: "refused", error: known, peer: `${remoteAddress}:${remotePort}` });
  return known;
}

async function answerEvidence(socket: Socket, userData: string, options: AgentOptions): Promise<AgentReply> {
  try {
    const measurement = await measureCaller(callersEnd(socket), options.measuring);
    const evidence = createNodeStatement(
      {
        userData: Uint8Array.fromBase64(userData, { lastChunkHandling: "strict" }),
        agentMeasurement: NODE_AGENT_MEASUREMENT,
        imageDigest: measurement.imageDigest,
        fileSystemTag: measurement.fileSystemTag,
        program: measurement.program,
        service: measurement.service,
        // When the container was made, in nanoseconds: another for each, and still the same after the agent was restarted.
        instanceCounter: measurement.container.createdAt,
        issuedAt: options.now(),
      },
      options.key,
    );
    options.onDecision({ kind: "vouched", measurement });
    return { type: "evidence", evidence: encodeEvidence(evidence) };
  } catch (error) {
    const { message, remedy } = refuse(socket, error, options);
    const help = remedy === undefined ? "" : ` (${remedy})`;
    return { type: "failure", message: `${message}${help}`.slice(0, 4096) };
  }
}
