import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from "node:net";

const CONNECTIONS_MAX = 4096;

/**
 * Accepts connections in one network namespace and carries them on into another. `target` is asked anew for each connection. Bytes pass
 * unchanged: TLS ends where it always ended, in the two programs.
 */
export async function relay(listen: { path: string } | { host: string; port: number }, target: () => NetConnectOpts): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => join(near, target()));
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(listen);
  await once(server, "listening");
  return server;
}

function join(near: Socket, target: NetConnectOpts): void {
  const far = connect({ ...target, allowHalfOpen: true, noDelay: true });
  near.setNoDelay(true);
  const end = () => {
    near.destroy();
    far.destroy();
  };
  near.on("error", end);
  far.on("error", end); // the other side sees the connection break, as it would without a relay
  far.once("connect", () => {
    near.pipe(far);
    far.pipe(near);
  });
}
