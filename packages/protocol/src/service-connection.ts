import type { TLSSocket } from "node:tls";
import { encodeFrame, FrameDecoder } from "./frames.ts";
import { CasMessage, type InstanceMessage, type OpeningMessage, type Renewal, type TagTarget } from "./messages.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Answers to what a connection begins with. */
type Answer = Extract<CasMessage, { type: "configuration" | "refusal" | "credential" | "key-certified" }>;
type Reply = Exclude<CasMessage, Answer | Renewal>;
/** `Omit` that keeps the members of a union apart. */
type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

const KEEP_ALIVE_MS = 20_000;
/** No answer to a ping within this time: the connection is dead, whatever TCP believes. */
const ANSWER_TIMEOUT_MS = 30_000;

/**
 * The open connection of an attested instance. Every request waits for its own answer; a lost connection rejects them all with
 * CONNECTION_LOST and resolves `closed`.
 */
export class ServiceConnection implements Disposable {
  readonly #socket: TLSSocket;
  readonly #decoder = new FrameDecoder(CasMessage);
  readonly #waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }>();
  #answer = Promise.withResolvers<Answer>();
  readonly #closed = Promise.withResolvers<ProtocolError | undefined>();
  /** An opening message was sent and not answered yet. */
  #isAsking = false;
  #isClosing = false;
  #isOver = false;
  #nextId = 1;
  #pinger: NodeJS.Timeout | undefined;
  #renewalListener: ((renewal: Renewal) => void) | undefined;
  #pendingRenewals: Renewal[] = [];

  /** Takes over the socket. */
  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (cause) =>
      this.#end(new ProtocolError("CONNECTION_LOST", `connection to the CAS failed: ${cause.message}`, { cause })),
    );
    socket.on("close", () => this.#end(new ProtocolError("CONNECTION_LOST", "the CAS closed the connection")));
  }

  /** Resolves when the connection is over: with the reason, or undefined after `close()`. */
  get closed(): Promise<ProtocolError | undefined> {
    return this.#closed.promise;
  }

  /** Sends an opening message and waits for its answer; one at a time, by `attestService`. Throws CONNECTION_LOST and what aborted. */
  async open(message: OpeningMessage, signal: AbortSignal): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    this.#answer = answer;
    const onAbort = () => answer.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (this.#isOver) throw new ProtocolError("CONNECTION_LOST", "the connection to the CAS is closed");
      this.#isAsking = true;
      this.#socket.write(encodeFrame(message));
      return await answer.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Gets every renewal (SL-134), also those that came before this call. One listener. */
  onRenewal(listener: (renewal: Renewal) => void): void {
    this.#renewalListener = listener;
    for (const renewal of this.#pendingRenewals.splice(0)) listener(renewal);
  }

  /**
   * Compare and swap of a tag (C-51). Returns when the CAS has it on disk (C-54). Throws TAG_CONFLICT, CONNECTION_LOST: after either, the
   * caller must not treat the change as done.
   */
  async reportTag(target: TagTarget, oldTag: string | null, newTag: string): Promise<void> {
    const reply = await this.#ask({ type: "tag", target, oldTag, newTag });
    if (reply.type !== "tag-result") throw unexpected(reply);
    if (reply.outcome !== "accepted")
      throw new ProtocolError("TAG_CONFLICT", reply.message, { remedy: "Stop the program and start it again." });
  }

  /** Tells how the program ended (C-47). */
  async reportExit(code: number | null, signal: string | null): Promise<void> {
    const reply = await this.#ask({ type: "exit", code, signal });
    if (reply.type !== "exit-recorded") throw unexpected(reply);
  }

  /** Value of a secret in all its formats, by `NAME[:FORMAT]`; undefined unless the session provides it (SL-170). */
  async readSecret(name: string): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
    const reply = await this.#ask({ type: "secret", name });
    if (reply.type !== "secret-value") throw unexpected(reply);
    if (reply.values === null) return undefined;
    return new Map(Object.entries(reply.values).map(([format, value]) => [format, Uint8Array.fromBase64(value)]));
  }

  /** Round trip to the CAS; shows that it still listens. */
  async ping(): Promise<void> {
    const reply = await this.#ask({ type: "ping" });
    if (reply.type !== "pong") throw unexpected(reply);
  }

  /** Starts to ping while idle, so that both ends notice a dead peer. The timer keeps no process alive. */
  keepAlive(): void {
    this.#pinger ??= setInterval(() => {
      this.ping().catch(() => this.#socket.destroy()); // the reason arrives through `closed`
    }, KEEP_ALIVE_MS).unref();
  }

  /** Harmless when called twice. */
  close(): void {
    this.#isClosing = true;
    this.#end(new ProtocolError("CONNECTION_LOST", "the connection was closed"));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #ask(message: WithoutId<InstanceMessage>): Promise<Reply> {
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    if (this.#socket.destroyed) {
      reject(new ProtocolError("CONNECTION_LOST", "the connection to the CAS is closed"));
      return promise;
    }
    const timer = setTimeout(() => {
      this.#end(new ProtocolError("CONNECTION_LOST", `the CAS did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
    }, ANSWER_TIMEOUT_MS).unref();
    this.#waiting.set(id, { resolve, reject, timer });
    this.#socket.write(encodeFrame({ ...message, id }));
    return promise;
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const message of this.#decoder.push(chunk)) this.#dispatch(message);
    } catch (error) {
      this.#end(error instanceof ProtocolError ? error : new ProtocolError("PROTOCOL_VIOLATION", "unreadable message", { cause: error }));
    }
  }

  #dispatch(message: CasMessage): void {
    if (isAnswer(message)) {
      if (!this.#isAsking) throw unexpected(message);
      this.#isAsking = false;
      this.#answer.resolve(message);
    } else if (message.type === "renewal") {
      if (this.#renewalListener === undefined) this.#pendingRenewals.push(message);
      else this.#renewalListener(message);
    } else {
      const waiting = this.#waiting.get(message.id);
      if (waiting === undefined) throw unexpected(message);
      this.#waiting.delete(message.id);
      clearTimeout(waiting.timer);
      waiting.resolve(message);
    }
  }

  #end(reason: ProtocolError): void {
    clearInterval(this.#pinger);
    this.#isOver = true;
    this.#answer.promise.catch(() => {}); // awaited in `open`, or nobody asked
    this.#answer.reject(reason);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#waiting.clear();
    this.#closed.resolve(this.#isClosing ? undefined : reason);
    this.#socket.destroy();
  }
}

const isAnswer = (message: CasMessage): message is Answer =>
  message.type === "configuration" || message.type === "refusal" || message.type === "credential" || message.type === "key-certified";

function unexpected(reply: { readonly type: string }): ProtocolError {
  return new ProtocolError("PROTOCOL_VIOLATION", `unexpected ${reply.type} from the CAS`);
}
