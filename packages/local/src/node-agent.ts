import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { createNodeStatement, type Evidence, encodeEvidence, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { type AgentReply, AgentRequest, encodeFrame, FrameDecoder } from "@vouchsafe/protocol";

/** What the agent has found out about one container by itself. */
export interface MeasuredWorkload {
  /** `SESSION/SERVICE`. */
  readonly service: string;
  readonly imageDigest: string;
  readonly fileSystemTag: string;
  /** Path of the program that the engine starts in the container. */
  readonly program: string;
  readonly instanceCounter: bigint;
}

/** Evidence about one container over these 64 bytes. */
export type Vouch = (userData: Uint8Array) => Evidence;

const REQUEST_MAX_BYTES = 4096;
const IDLE_MS = 10_000;
const CONNECTIONS_MAX = 8;

/** The agent's Ed25519 key; made with mode 0600 at first use. Whoever can read it can vouch for any program on this machine. */
export function readAgentKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
    return privateKey;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    return createPrivateKey(readFileSync(file)); // another engine was faster
  }
}

/** DER SubjectPublicKeyInfo of the agent: what a CAS enrols. */
export const agentPublicKey = (key: KeyObject): Uint8Array => createPublicKey(key).export({ type: "spki", format: "der" });

/**
 * Answers requests for evidence on a socket that one container alone can reach: it lies in a directory that is mounted there only, and belongs to
 * `owner`, the container's first process, so that the program itself (another user) cannot connect. The workload is the agent's own knowledge;
 * all that a caller contributes is the user data.
 */
export async function serveEvidence(socketPath: string, owner: number, vouch: Vouch): Promise<Server> {
  rmSync(socketPath, { force: true });
  const server = createServer((socket) => serveConnection(socket, vouch));
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(socketPath);
  await once(server, "listening");
  chmodSync(socketPath, 0o600);
  chownSync(socketPath, owner, owner);
  return server;
}

function serveConnection(socket: Socket, vouch: Vouch): void {
  const decoder = new FrameDecoder(AgentRequest, REQUEST_MAX_BYTES);
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    let replies: AgentReply[];
    try {
      replies = decoder.push(chunk).map(({ userData }) => answer(Uint8Array.fromBase64(userData), vouch));
    } catch (error) {
      socket.end(encodeFrame({ type: "failure", message: error instanceof Error ? error.message : "unreadable request" }));
      return;
    }
    for (const reply of replies) socket.write(encodeFrame(reply));
  });
}

function answer(userData: Uint8Array, vouch: Vouch): AgentReply {
  if (userData.length !== 64) return { type: "failure", message: `user data has ${userData.length} bytes, 64 are needed` };
  const { endorsements, ...evidence } = encodeEvidence(vouch(userData));
  return { type: "evidence", evidence: { ...evidence, ...(endorsements === undefined ? {} : { endorsements: { ...endorsements } }) } };
}

/** Evidence of kind `node`: the agent's signed statement about what it measured. */
export const vouchAsNode =
  (workload: MeasuredWorkload, key: KeyObject): Vouch =>
  (userData) =>
    createNodeStatement({ ...workload, userData, agentMeasurement: NODE_AGENT_MEASUREMENT, issuedAt: new Date() }, key);
