import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const REGISTRY_USER = "builder";
export const REGISTRY_PASSWORD = "correct horse";

/** Debian's docker-registry with a password file, on loopback; disposing it ends the process and removes what it stored. */
export interface TestRegistry extends Disposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
}

/** A port of loopback that nobody uses at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is no text
  server.close();
  await once(server, "close");
  return port;
}

const started = (server: ChildProcess): Promise<unknown> =>
  Promise.race([
    once(server, "spawn"),
    once(server, "error").then(([cause]) =>
      Promise.reject(new Error("docker-registry is missing: scripts/setup.sh test installs it", { cause })),
    ),
  ]);

export async function startRegistry(): Promise<TestRegistry> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  writeFileSync(join(directory, "htpasswd"), execFileSync("htpasswd", ["-nbB", REGISTRY_USER, REGISTRY_PASSWORD]));
  const settings = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: { addr: host },
    auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } },
  };
  writeFileSync(join(directory, "config.yml"), JSON.stringify(settings));
  const server = spawn("docker-registry", ["serve", join(directory, "config.yml")], { stdio: "ignore" });
  await started(server);
  const isUp = () =>
    fetch(`http://${host}/v2/`).then(
      ({ status }) => status === 401,
      () => false,
    );
  for (let attempt = 0; !(await isUp()); attempt++) {
    assert(attempt < 600 && server.exitCode === null, "docker-registry does not start");
    await sleep(50);
  }
  return {
    host,
    [Symbol.dispose]: () => {
      server.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
