import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
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

test("hazard I4: a process is named by its start time too", () => {
  const own = identifyProcess(process.pid);
  assert.match(own?.startTime ?? "", /^[0-9]+$/);
  assert.equal(identifyProcess(2 ** 22 + 1), undefined);
});

test("a process outside a container has no container id", () => {
  assert.equal(findContainerId(process.pid), undefined);
});
