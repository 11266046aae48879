import { createServer, type Server, type TLSSocket } from "node:tls";
import {
  type AttestRequest,
  type CertifyKeyRequest,
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  encodeFrame,
  FrameDecoder,
  InstanceMessage,
  KEY_EXCHANGE_GROUPS,
  OpeningMessage,
  type PendingCertification,
  ProtocolError,
  SERVICE_ALPN,
} from "@vouchsafe/protocol";
import type { ListenAddress } from "../config/availability-config.ts";
import type { TlsIdentity } from "../identity/cas-identity.ts";
import type { Log } from "../log-line.ts";
import { stopOnBrokenRandomness } from "../operation/stop-on-broken-randomness.ts";
import { HANDSHAKE_TIMEOUT_MS, listen, MAX_CONNECTIONS, trackConnections } from "../tls/listen.ts";
import { serverTlsOptions } from "../tls/server-tls-options.ts";
import type { AttestedInstance } from "./attested-instance.ts";
import { Refused, refusalFrame } from "./refusal.ts";

export interface ServiceHandlers {
  /** Makes a credential for a TPM's attestation key, which is certified when the credential was opened. Throws Refused. */
  certify(request: CertifyKeyRequest): PendingCertification;
  /** Judges the first request. Throws Refused. */
  attest(
    request: AttestRequest,
    exporter: Uint8Array,
    peer: string,
  ): Promise<{ readonly instance: AttestedInstance; readonly answer: object }>;
  /** Answers what an attested instance says. */
  handle(instance: AttestedInstance, message: InstanceMessage): Promise<object>;
  /** The connection of an attested instance is over: ended by its side or by its silence, or broken on the way. */
  closed(instance: AttestedInstance, how: "ended" | "broken"): void;
}

export interface ServiceServer extends AsyncDisposable {
  readonly address: ListenAddress;
  replaceIdentity(identity: TlsIdentity): void;
}

/** From connection to first request. Gathering Evidence on slow hardware takes seconds. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Three keep-alive intervals without a word: the instance is gone (C-47). */
const IDLE_TIMEOUT_MS = 75_000;
/** Unanswered requests of one instance. */
const MAX_IN_FLIGHT = 64;

/** Serves attestation: TLS 1.3 without client certificates, tickets or resumption; one request, then the connection stays for its instance. */
export async function startServiceServer(
  address: ListenAddress,
  identity: TlsIdentity,
  handlers: ServiceHandlers,
  log: Log,
): Promise<ServiceServer> {
  const server: Server = createServer(
    {
      ...serverTlsOptions(identity),
      ecdhCurve: KEY_EXCHANGE_GROUPS,
      ALPNProtocols: [SERVICE_ALPN],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
    (socket) => serve(socket, handlers, log),
  );
  server.maxConnections = MAX_CONNECTIONS;
  const closeConnections = trackConnections(server);
  const bound = await listen(server, address);
  return {
    address: bound,
    replaceIdentity: (next) => server.setSecureContext(serverTlsOptions(next)),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closeConnections();
      await closed;
    },
  };
}

function serve(socket: TLSSocket, handlers: ServiceHandlers, log: Log): void {
  const peer = socket.remoteAddress ?? "unknown";
  let phase: "request" | "judging" | AttestedInstance = "request";
  let certification: PendingCertification | "none" | "done" = "none";
  let inFlight = 0;
  let decoder: FrameDecoder<OpeningMessage> | FrameDecoder<InstanceMessage> = new FrameDecoder(OpeningMessage);
  const deadline = setTimeout(() => socket.destroy(), REQUEST_TIMEOUT_MS);
  socket.setNoDelay(true);
  let how: "ended" | "broken" = "ended";
  socket.on("error", () => {
    how = "broken"; // "close" follows
  });
  socket.once("close", () => {
    clearTimeout(deadline);
    if (typeof phase === "object") handlers.closed(phase, how);
  });
  const send = (message: object) => {
    if (!socket.destroyed) socket.write(encodeFrame(message));
  };
  const refuse = (refused: Refused) => {
    socket.end(encodeFrame(refusalFrame(refused)));
    setTimeout(() => socket.destroy(), REQUEST_TIMEOUT_MS).unref();
  };
  const fail = (error: unknown) => {
    if (error instanceof Refused) return refuse(error);
    if (error instanceof ProtocolError) return refuse(new Refused("protocol", undefined, error.message));
    stopOnBrokenRandomness(error, log);
    log.error(`service interface: ${error instanceof Error ? (error.stack ?? error.message) : "unknown failure"}`);
    refuse(new Refused("unavailable", undefined, "the CAS failed; its log tells why"));
  };
  const judge = async (request: AttestRequest) => {
    phase = "judging";
    const exporter = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
    const { instance, answer } = await handlers.attest(request, exporter, peer);
    clearTimeout(deadline);
    if (socket.destroyed) return handlers.closed(instance, how);
    phase = instance;
    decoder = new FrameDecoder(InstanceMessage, 64 * 1024);
    instance.attach(send, () => socket.destroy());
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    send(answer);
  };
  const answer = async (instance: AttestedInstance, message: InstanceMessage) => {
    inFlight += 1;
    try {
      send(await handlers.handle(instance, message));
    } finally {
      inFlight -= 1;
    }
  };
  /** One dialogue to certify a key at most, then the request. */
  const begin = (message: OpeningMessage) => {
    if (message.type === "attest") return void judge(message).catch(fail);
    if (message.type === "certify-key" && certification === "none") {
      certification = handlers.certify(message);
      return send({ type: "credential", ...certification.credential });
    }
    if (message.type === "activation" && typeof certification === "object") {
      const certificate = certification.finish(Buffer.from(message.secret, "base64"));
      certification = "done";
      return send({ type: "key-certified", certificate });
    }
    throw new Refused("protocol", undefined, `${message.type} has no place here`);
  };
  const receive = (chunk: Buffer) => {
    if (phase === "judging") throw new Refused("protocol", undefined, "a second message before the answer to the first");
    if (phase === "request") {
      const [opening, second] = decoder.push(chunk) as OpeningMessage[]; // the decoder changes together with the phase
      if (second !== undefined || (opening !== undefined && decoder.isMidFrame)) {
        throw new Refused("protocol", undefined, "a second message before the answer to the first");
      }
      if (opening !== undefined) begin(opening);
      return;
    }
    for (const message of decoder.push(chunk) as InstanceMessage[]) {
      if (inFlight >= MAX_IN_FLIGHT) throw new Refused("protocol", undefined, `more than ${MAX_IN_FLIGHT} unanswered requests`);
      answer(phase, message).catch(fail);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      receive(chunk);
    } catch (error) {
      fail(error);
    }
  });
}
