import { createServer } from "node:net";
import { PortForward } from "@kubernetes/client-node";
import type { Cluster } from "../cluster/cluster.ts";

/** A port of a pod, reachable on this machine. */
export interface CasTunnel {
  readonly host: string;
  readonly port: number;
  readonly close: () => void;
}

/**
 * Opens a way to a pod's port through the cluster's API (CL-52): on a free port of loopback, for as long as the tunnel is open. It proves nothing
 * about who answers; the CAS proves that itself.
 */
export async function openCasTunnel(cluster: Cluster, namespace: string, pod: string, podPort: number): Promise<CasTunnel> {
  const forward = new PortForward(cluster.config, true);
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy()); // the client is gone
    forward.portForward(namespace, pod, [podPort], socket, null, socket).then(
      (connection) => {
        const webSocket = typeof connection === "function" ? connection() : connection;
        if (webSocket === null) return socket.destroy();
        webSocket.onclose = () => socket.destroy();
        webSocket.onerror = () => socket.destroy();
        socket.on("close", () => webSocket.close());
        return undefined;
      },
      () => socket.destroy(), // no such pod, or no right: the client sees a closed connection
    );
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", resolve);
  await listening;
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("a TCP server has a port");
  return { host: "127.0.0.1", port: address.port, close: () => server.close() };
}
