import type { core } from "zod/mini";
import { safeParse } from "zod/mini";
import { PROTOCOL_VERSION } from "./messages.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Largest payload of one frame. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const HEADER_BYTES = 4;

/** One message as sent: its length as u32 big-endian, then UTF-8 JSON. */
export function encodeFrame(message: object): Uint8Array {
  const payload = Buffer.from(JSON.stringify(message));
  if (payload.length > MAX_FRAME_BYTES) {
    throw new ProtocolError("PROTOCOL_VIOLATION", `message of ${payload.length} bytes, at most ${MAX_FRAME_BYTES} fit into a frame`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** Cuts a stream into frames and reads each with one schema. Keeps at most one frame in memory. */
export class FrameDecoder<T> {
  readonly #schema: core.$ZodType<T>;
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #buffered = 0;

  constructor(schema: core.$ZodType<T>, maxBytes = MAX_FRAME_BYTES) {
    this.#schema = schema;
    this.#maxBytes = maxBytes;
  }

  /** True in the middle of a frame: an end of the stream now is a truncation. */
  get isMidFrame(): boolean {
    return this.#buffered > 0;
  }

  /** Messages that `chunk` completes. Throws PROTOCOL_VIOLATION; the stream is unusable afterwards. */
  push(chunk: Uint8Array): T[] {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const messages: T[] = [];
    while (this.#buffered >= HEADER_BYTES) {
      const length = this.#peekLength();
      if (length > this.#maxBytes) throw violation(`frame of ${length} bytes announced, at most ${this.#maxBytes} allowed`);
      if (this.#buffered < HEADER_BYTES + length) break;
      messages.push(this.#parse(this.#take(HEADER_BYTES + length).subarray(HEADER_BYTES)));
    }
    return messages;
  }

  #peekLength(): number {
    const [first] = this.#chunks;
    if (first === undefined || first.length < HEADER_BYTES) this.#chunks = [Buffer.concat(this.#chunks)];
    const head = this.#chunks[0] ?? new Uint8Array(HEADER_BYTES);
    return new DataView(head.buffer, head.byteOffset, HEADER_BYTES).getUint32(0);
  }

  #take(length: number): Uint8Array {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? new Uint8Array()) : Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#buffered -= length;
    return all.subarray(0, length);
  }

  #parse(payload: Uint8Array): T {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    } catch (cause) {
      throw violation("frame is not UTF-8 JSON", cause);
    }
    const parsed = safeParse(this.#schema, value);
    if (parsed.success) return parsed.data;
    const skew = versionSkew(value);
    if (skew !== undefined) throw violation(skew);
    const issue = parsed.error.issues[0];
    throw violation(`frame does not fit the protocol: ${issue?.path.join(".") ?? ""}: ${issue?.code ?? "invalid"}`);
  }
}

/** Says who is older where a message states another version of the protocol (hazard L4). */
function versionSkew(value: unknown): string | undefined {
  const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
  if (typeof version !== "number" || version === PROTOCOL_VERSION) return undefined;
  const older = version > PROTOCOL_VERSION ? "receiver" : "sender";
  return `the message has version ${version} of the protocol, its receiver speaks version ${PROTOCOL_VERSION}: update the ${older}`;
}

function violation(message: string, cause?: unknown): ProtocolError {
  return new ProtocolError("PROTOCOL_VIOLATION", message, { cause });
}
