import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findConnectionOwners, findContainerId, identifyProcess } from "./tcp-owner.ts";

/** A connection to a server of this test, as the server sees it: the owner of the other end is searched. */
async function accept(host: string, start: (port: number) => void): Promise<{ readonly peer: Socket; readonly close: () => void }> {
  const server = createServer();
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object");
  start(address.port);
  const [peer] = (await once(server, "connection")) as [Socket]; // the event's documented argument
  const close = () => {
    peer.destroy();
    server.close();
  };
  return { peer, close };
}

const otherEnd = (peer: Socket) => ({
  localAddress: peer.remoteAddress ?? "",
  localPort: peer.remotePort ?? 0,
  remoteAddress: peer.localAddress ?? "",
  remotePort: peer.localPort ?? 0,
});

for (const host of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
  test(`C-91: the process at the other end of a connection to ${host} is found by the kernel's tables`, async () => {
    const client: { socket?: Socket } = {};
    const { peer, close } = await accept(host === "::ffff:127.0.0.1" ? "::" : host, (port) => {
      client.socket = connect(port, host.replace("::ffff:", ""));
    });
    assert.deepEqual(findConnectionOwners(otherEnd(peer)), [identifyProcess(process.pid)]);
    client.socket?.destroy();
    close();
  });
}

test("C-91: a connection inherited by a child belongs to both processes", async () => {
  let child = 0;
  const { peer, close } = await accept("127.0.0.1", (port) => {
    const shell = spawn("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; sleep 30 & wait`], { stdio: "ignore" });
    child = shell.pid ?? 0;
  });
  await new Promise((resolve) => setTimeout(resolve, 300)); // the shell starts its own child
  const owners = findConnectionOwners(otherEnd(peer));
  assert.equal(owners.length, 2);
  assert(owners.some(({ pid }) => pid === child));
  for (const { pid } of owners) process.kill(pid, "SIGKILL");
  close();
});

test("C-91: a connection that nobody on this machine holds has no owner", () => {
  const nobody = { localAddress: "192.0.2.1", localPort: 9, remoteAddress: "192.0.2.2", remotePort: 10 };
  assert.deepEqual(findConnectionOwners(nobody), []);
});

test("C-91: of two namespaces that list one connection, the one that has its address counts; where that cannot be told, neither", (t) => {
  const proc = mkdtempSync(join(tmpdir(), "proc-"));
  t.after(() => rmSync(proc, { recursive: true }));
  const line = "   0: 0800F40A:C350 01000A0A:4949 01 00000000:00000000 00:00000000 00000000 65532 0 77 1 0 20 4 30 10 -1";
  const process = (pid: number, address: string) => {
    for (const directory of ["ns", "net", "fd"]) mkdirSync(join(proc, `${pid}`, directory), { recursive: true });
    symlinkSync(`net:[${pid}]`, join(proc, `${pid}/ns/net`));
    symlinkSync("socket:[77]", join(proc, `${pid}/fd/3`));
    writeFileSync(join(proc, `${pid}/stat`), `${pid} (a) S ${Array(18).fill("0").join(" ")} 4711 0`);
    writeFileSync(join(proc, `${pid}/net/tcp`), `  sl  local_address\n${line}\n`);
    writeFileSync(join(proc, `${pid}/net/fib_trie`), `Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- ${address}\n        /32 host LOCAL\n`);
  };
  process(11, "10.244.0.80");
  process(12, "10.244.0.8");
  const connection = { localAddress: "10.244.0.8", localPort: 50_000, remoteAddress: "10.10.0.1", remotePort: 18_761 };
  assert.deepEqual(
    findConnectionOwners(connection, proc).map(({ pid }) => pid),
    [12],
  );
  rmSync(join(proc, "11/net/fib_trie"));
  assert.throws(() => findConnectionOwners(connection, proc), /two network namespaces/);
});

test("hazard I4: a process is named by its start time too", () => {
  const own = identifyProcess(process.pid);
  assert.match(own?.startTime ?? "", /^[0-9]+$/);
  assert.equal(identifyProcess(2 ** 22 + 1), undefined);
});

test("a process outside a container has no container id", () => {
  assert.equal(findContainerId(process.pid), undefined);
});
