import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { answerQuery, type Zone } from "./dns-message.ts";

const UDP_REPLY_BYTES = 512;
const TCP_MESSAGE_BYTES = 65_535;
const IDLE_MS = 10_000;
const CONNECTIONS_MAX = 256;

/** Answers for the names of a mesh, over UDP and TCP. Knows nothing of the world outside and asks nobody. */
export async function serveNames(zone: Zone, address: string, port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const tcp = createServer((socket) => serveConnection(socket, zone));
  tcp.maxConnections = CONNECTIONS_MAX;
  tcp.listen(port, address);
  await once(tcp, "listening");
  const bound = tcp.address();
  const chosen = typeof bound === "object" && bound !== null ? bound.port : port;
  const udp = createSocket("udp4");
  udp.on("message", (message, { address: to, port: toPort }) => {
    const reply = answerQuery(message, zone, UDP_REPLY_BYTES);
    if (reply !== undefined) udp.send(reply, toPort, to, () => {}); // a client that is gone needs no answer
  });
  udp.bind(chosen, address);
  await once(udp, "listening");
  return {
    port: chosen,
    [Symbol.asyncDispose]: async () => {
      udp.close();
      tcp.close();
    },
  };
}

/** RFC 1035 §4.2.2: each message is preceded by its length in two bytes. */
function serveConnection(socket: Socket, zone: Zone): void {
  let buffered: Uint8Array = new Uint8Array();
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    const all = Buffer.concat([buffered, chunk]);
    let at = 0;
    while (all.length - at >= 2 && all.length - at >= 2 + all.readUInt16BE(at)) {
      const end = at + 2 + all.readUInt16BE(at);
      const reply = answerQuery(all.subarray(at + 2, end), zone, TCP_MESSAGE_BYTES);
      at = end;
      if (reply === undefined) {
        socket.destroy();
        return;
      }
      const size = Buffer.alloc(2);
      size.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([size, reply]));
    }
    buffered = all.subarray(at);
  });
}
