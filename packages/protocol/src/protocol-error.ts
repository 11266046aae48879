export type ProtocolErrorCode =
  /** Not even a connection. */
  | "CAS_UNREACHABLE"
  /** The peer is not the CAS that was expected; nothing was sent to it. */
  | "CAS_IDENTITY"
  /** What the CAS says about itself is not signed by it, or answers another question. */
  | "CAS_STATEMENT"
  /** Its evidence proves nothing about it, or cannot be judged. */
  | "CAS_EVIDENCE"
  /** Bytes that are not this protocol, or a frame out of turn. */
  | "PROTOCOL_VIOLATION"
  /** The connection ended before the answer. */
  | "CONNECTION_LOST"
  /** The node agent cannot be reached, refuses, or answers what is no answer. */
  | "NODE_AGENT"
  /** The node agent has not answered yet. */
  | "NODE_AGENT_BUSY"
  /** The CAS judged and refused the service; see {@link RefusedError}. */
  | "SERVICE_REFUSED"
  /** The update waits for others as a proposal; see {@link UpdatePendingError}. */
  | "UPDATE_PENDING"
  /** The client API answered with a problem; see {@link CasProblemError}. */
  | "CAS_PROBLEM"
  /** A signed answer is not what a CAS answered. */
  | "ANSWER_SIGNATURE"
  /** The CAS answered that the reported tag is not the successor of the current one. */
  | "TAG_CONFLICT";

/** A failure outside this program: a peer that is down, is another one than expected, or says no. Anything else thrown is a bug. */
export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode;
  /** What the reader can do about it: one sentence in the imperative. */
  readonly remedy: string | undefined;

  constructor(code: ProtocolErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
  }
}
