import type { X509Certificate } from "node:crypto";
import type { LookupFunction } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { CasAddress } from "./cas-address.ts";
import { formatCasAddress } from "./cas-address.ts";
import { type CasIdentity, type CasPin, verifyCasChain } from "./cas-chain.ts";
import { ProtocolError } from "./protocol-error.ts";

export interface CasConnectionOptions extends CasAddress {
  readonly pin: CasPin;
  readonly alpn: string;
  /** TLS client certificate (PEM, with chain if any) and its key (PKCS#8 PEM). */
  readonly clientIdentity?: { readonly certificate: string; readonly privateKey: string } | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Resolves the host, where it is a name, instead of the system's resolver: it may refuse addresses. */
  readonly lookup?: LookupFunction | undefined;
}

export interface CasConnection {
  readonly socket: TLSSocket;
  readonly identity: CasIdentity;
}

/** Hybrid first; the classical groups serve peers without ML-KEM. */
export const KEY_EXCHANGE_GROUPS = "X25519MLKEM768:X25519:P-256";

/**
 * Opens a TLS 1.3 connection and verifies the peer before a byte of ours is sent. No resumption: each connection is judged on its own.
 * Throws CAS_UNREACHABLE, CAS_IDENTITY. An abort leaves no socket behind.
 */
export async function connectToCas(options: CasConnectionOptions): Promise<CasConnection> {
  const address = formatCasAddress(options);
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  signal.throwIfAborted();
  const socket = connect({
    host: options.host,
    port: options.port,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    ...(/^[0-9.]+$|:/.test(options.host) ? {} : { servername: options.host }),
    minVersion: "TLSv1.3",
    ecdhCurve: KEY_EXCHANGE_GROUPS,
    ALPNProtocols: [options.alpn],
    rejectUnauthorized: false, // the chain is verified below, by keys instead of names
    ca: [], // so that the hundred roots of the web are not even read
    ...(options.clientIdentity === undefined ? {} : { cert: options.clientIdentity.certificate, key: options.clientIdentity.privateKey }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  const onClose = () => reject(new Error("connection closed during the handshake"));
  socket.once("secureConnect", resolve).once("error", reject).once("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } catch (cause) {
    socket.destroy();
    if (options.signal?.aborted) throw cause;
    const remedy = "Check the address and that the CAS is running: vouchsafe cas status.";
    throw new ProtocolError("CAS_UNREACHABLE", `no connection to the CAS at ${address}: ${reasonOf(cause)}`, { remedy, cause });
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.off("secureConnect", resolve).off("error", reject).off("close", onClose);
  }
  socket.setNoDelay(true);
  try {
    if (socket.alpnProtocol !== options.alpn) {
      throw new ProtocolError("CAS_IDENTITY", `${address} does not speak ${options.alpn}`, { remedy: "Check the port." });
    }
    return { socket, identity: verifyCasChain(peerChain(socket), options.pin, new Date()) };
  } catch (error) {
    socket.on("error", () => {}); // the verdict is already known; what the dying socket says adds nothing
    socket.destroy();
    throw error;
  }
}

/**
 * Who a CAS at the other end of an accepted connection is (C-33): the whole chain of its client certificate is verified. Undefined when the
 * certificate is not that of a CAS.
 */
export function peerCasIdentity(socket: TLSSocket, now: Date): CasIdentity | undefined {
  try {
    return verifyCasChain(peerChain(socket), {}, now);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** The chain as the peer sent it, end entity first, self-signed root last. */
function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < 8 && !chain.some((seen) => seen.fingerprint256 === certificate?.fingerprint256)) {
    chain.push(certificate);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function reasonOf(cause: unknown): string {
  if (cause instanceof DOMException && cause.name === "TimeoutError") return "timed out";
  return cause instanceof Error ? cause.message : "unknown reason";
}
