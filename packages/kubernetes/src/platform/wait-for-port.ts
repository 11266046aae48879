import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const INTERVAL_MS = 2_000;
const TRY_TIMEOUT_MS = 5_000;

/** Returns when a TCP connection succeeds; tries every 2 s, without limit (MF-121). Says once what it waits for. */
export async function waitForPort(host: string, port: number, say: (line: string) => void, intervalMs = INTERVAL_MS): Promise<void> {
  for (let tries = 0; !(await isOpen(host, port)); tries++) {
    if (tries === 0) say(`waiting for ${host}:${port}`);
    await sleep(intervalMs);
  }
  say(`${host}:${port} accepts connections`);
}

function isOpen(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port, timeout: TRY_TIMEOUT_MS });
  const end = (open: boolean) => {
    resolve(open);
    socket.destroy();
  };
  socket.on("connect", () => end(true));
  socket.on("timeout", () => end(false));
  socket.on("error", () => end(false));
  return promise;
}
