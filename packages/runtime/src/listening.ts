import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const LISTEN_STATE = "0A";
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
const LOOK_INTERVAL_MS = 100;

/** Whether one of the kernel's socket tables (proc_net_tcp(5)) shows a socket that listens on the port, at any address. */
export function listensOn(tables: readonly string[], port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return tables.some((table) =>
    table.split("\n").some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN_STATE && local?.endsWith(wanted) === true;
    }),
  );
}

/**
 * Looks until something in this network namespace listens on the port; says whether it came within the time. Nothing is sent to the program:
 * a connection that is closed at once would be an error in the log of one that expects TLS.
 */
export async function untilListening(port: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; ; ) {
    if (listensOn(TABLES.map(readTable), port)) return true;
    if (signal.aborted || performance.now() > end) return false;
    await sleep(LOOK_INTERVAL_MS, undefined, { ref: false });
  }
}

function readTable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // a kernel without IPv6
  }
}
