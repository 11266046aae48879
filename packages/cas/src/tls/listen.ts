import { once } from "node:events";
import type { Server } from "node:net";
import { CasError } from "../cas-error.ts";
import type { ListenAddress } from "../config/availability-config.ts";

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
