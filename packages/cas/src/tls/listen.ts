import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { CasError } from "../cas-error.ts";
import type { ListenAddress } from "../config/availability-config.ts";

export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const MAX_CONNECTIONS = 20_000;

/** Remembers all connections, those without a finished handshake too; the returned function ends them, so that the server can close. */
export function trackConnections(server: Server): () => void {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

/** Listens and returns where: port 0 has become a real one. Throws LISTEN. */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<ListenAddress> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw listenError({ host, port }, cause);
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? { host, port: address.port } : { host, port };
}

export function listenError({ host, port }: ListenAddress, cause: unknown): CasError {
  const reason = cause instanceof Error ? cause.message : "unknown reason";
  return new CasError("LISTEN", `cannot listen on ${host}:${port}: ${reason}`, {
    remedy: "Stop what uses the port, or choose another one.",
    cause,
  });
}
