import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const NOBODY = 65_534;
const READY_TIMEOUT_MS = 20_000;

/** A real PostgreSQL on a socket in a directory of its own, gone after the test. Needs Debian's package `postgresql`. */
export async function startPostgres(t: TestContext): Promise<pg.PoolConfig> {
  const bin = findPrograms();
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-pg-"));
  // The server refuses to run as root.
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  const data = join(directory, "data");
  const options = { ...identity, cwd: "/", stdio: "ignore" as const };
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "cas", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], options);
  const server = spawn(join(bin, "postgres"), ["-D", data, "-k", directory, "-c", "listen_addresses="], options);
  t.after(async () => {
    const exited = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGQUIT");
    await exited;
    rmSync(directory, { recursive: true, force: true });
  });
  const connection = { host: directory, user: "cas", database: "postgres" };
  for (const deadline = Date.now() + READY_TIMEOUT_MS; ; await sleep(50)) {
    const client = new pg.Client(connection);
    try {
      await client.connect();
      await client.end();
      return connection;
    } catch (error) {
      await client.end().catch(() => {}); // not connected
      if (Date.now() > deadline) throw error;
    }
  }
}

function findPrograms(): string {
  const base = "/usr/lib/postgresql";
  try {
    const [newest] = readdirSync(base).toSorted((a, b) => Number(b) - Number(a));
    if (newest !== undefined) return join(base, newest, "bin");
  } catch {
    // told below
  }
  throw new Error(`PostgreSQL is not installed for ${userInfo().username}: run scripts/setup.sh test`);
}
