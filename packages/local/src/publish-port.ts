import type { Server } from "node:net";
import { relay } from "./relay.ts";

const TRIES = 200;

/**
 * Publishes a socket on the loopback interface, at the wanted port or the next free one above it (a machine may run two applications with the same
 * port). Privileged ports are moved up by 8000 for a user who may not open them.
 */
export async function publishPort(wanted: number, socketPath: string): Promise<{ readonly server: Server; readonly address: string }> {
  let port = wanted;
  for (let attempt = 0; ; attempt++) {
    try {
      const server = await relay({ host: "127.0.0.1", port }, () => ({ path: socketPath }));
      return { server, address: `127.0.0.1:${port}` };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (attempt >= TRIES || (code !== "EADDRINUSE" && code !== "EACCES")) throw error;
      port = code === "EACCES" ? wanted + 8000 : port + 1;
      if (port > 65_535) port = 1024 + (port % 64_511);
    }
  }
}
