import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Connection, findConnectionOwners, findContainerId, identifyProcess } from "./tcp-owner.ts";

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

/** A machine's tables, as far as they matter here: one process in a network namespace of its own. */
class Tables {
  readonly proc: string;
  constructor(t: TestContext) {
    this.proc = mkdtempSync(join(tmpdir(), "proc-"));
    t.after(() => rmSync(this.proc, { recursive: true }));
  }
  add(pid: number, { namespace = pid, net = {} as Readonly<Record<string, string>>, inode = "77", hasStat = true }): void {
    for (const directory of ["ns", "net", "fd"]) mkdirSync(join(this.proc, `${pid}`, directory), { recursive: true });
    symlinkSync(`net:[${namespace}]`, join(this.proc, `${pid}/ns/net`));
    symlinkSync(`socket:[${inode}]`, join(this.proc, `${pid}/fd/3`));
    if (hasStat) writeFileSync(join(this.proc, `${pid}/stat`), `${pid} (a) S ${Array(18).fill("0").join(" ")} 4711 0`);
    for (const [table, text] of Object.entries(net)) writeFileSync(join(this.proc, `${pid}/net/${table}`), text);
  }
  owners(connection: Connection): readonly number[] {
    return findConnectionOwners(connection, this.proc).map(({ pid }) => pid);
  }
}
const lines = (...rows: readonly string[]) => ["  sl  local_address", ...rows, ""].join("\n");
const row = (local: string, remote: string, { state = "01", inode = "77" } = {}) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 65532 0 ${inode} 1 0`;
const ENDS = ["0800F40A:C350", "01000A0A:4949"] as const;
const IPV4 = { localAddress: "10.244.0.8", localPort: 50_000, remoteAddress: "10.10.0.1", remotePort: 18_761 };

test("C-91: only a connection that is established and has a socket counts", (t) => {
  const tables = new Tables(t);
  const rows = [row(...ENDS, { state: "06" }), row(...ENDS, { inode: "0" }), `   0: ${ENDS.join(" ")} 01`];
  tables.add(11, { net: { tcp: lines(...rows) } });
  assert.deepEqual(tables.owners(IPV4), []);
  tables.add(12, { net: { tcp: lines(...rows, row(...ENDS)) } });
  assert.deepEqual(tables.owners(IPV4), [12]);
});

test("C-91: of the processes of a namespace those hold the connection that have its socket and still run", (t) => {
  const tables = new Tables(t);
  const net = { tcp: lines(row(...ENDS)) };
  tables.add(11, { namespace: 1, net, inode: "78" });
  tables.add(12, { namespace: 1, net, hasStat: false });
  tables.add(13, { namespace: 1, net });
  assert.deepEqual(tables.owners(IPV4), [13]);
});

test("C-91: loopback addresses are everybody's, whatever the kernel lists", (t) => {
  const tables = new Tables(t);
  tables.add(11, { net: { tcp: lines(row("0500007F:C350", "0100007F:4949")), fib_trie: "     |-- 127.0.0.1\n" } });
  assert.deepEqual(tables.owners({ ...IPV4, localAddress: "127.0.0.5", remoteAddress: "127.0.0.1" }), [11]);
});

test("C-91: addresses of IPv6 are told apart, those that stand for IPv4 too", (t) => {
  const tables = new Tables(t);
  const wide = { localAddress: "fd00::8", localPort: 50_000, remoteAddress: "fd00::1", remotePort: 18_761 };
  const ends = ["000000FD000000000000000008000000:C350", "000000FD000000000000000001000000:4949"] as const;
  tables.add(11, { net: { tcp6: lines(row(...ends)), if_inet6: "fd000000000000000000000000000009 02 40 00 80 eth0\n" } });
  tables.add(12, { net: { tcp6: lines(row(...ends)), if_inet6: "fd000000000000000000000000000008 02 40 00 80 eth0\n" } });
  assert.deepEqual(tables.owners(wide), [12]);
  const mapped = (address: string) => `0000000000000000FFFF0000${address}`;
  tables.add(13, { net: { tcp6: lines(row(mapped(ENDS[0]), mapped(ENDS[1]))) } });
  for (const [local, remote] of [
    ["10.244.0.8", "10.10.0.1"],
    ["::ffff:10.244.0.8", "::ffff:10.10.0.1"],
    ["::ffff:af4:8", "::ffff:a0a:1"],
  ] as const)
    assert.deepEqual(tables.owners({ ...IPV4, localAddress: local, remoteAddress: remote }), [13], local);
  const others = [
    ["::abcd:10.244.0.8", "::abcd:10.10.0.1"],
    ["", ""],
  ] as const;
  for (const [localAddress, remoteAddress] of others) assert.deepEqual(tables.owners({ ...IPV4, localAddress, remoteAddress }), []);
});

test("hazard I4: a process is named by its start time too", () => {
  const own = identifyProcess(process.pid);
  assert.match(own?.startTime ?? "", /^[0-9]+$/);
  assert.equal(identifyProcess(2 ** 22 + 1), undefined);
});

test("a process has the container id that its control groups agree on", (t) => {
  assert.equal(findContainerId(process.pid), undefined);
  const { proc } = new Tables(t);
  const [id, other] = ["ab".repeat(32), "cd".repeat(32)];
  const idOf = (...groups: readonly string[]) => {
    mkdirSync(join(proc, "7"), { recursive: true });
    writeFileSync(join(proc, "7/cgroup"), groups.map((group) => `${group}\n`).join(""));
    return findContainerId(7, proc);
  };
  for (const group of [`0::/kubepods/pod1/${id}`, `0::/kubepods.slice/cri-containerd-${id}.scope`, `0::/${id}`])
    assert.equal(idOf(group), id, group);
  assert.equal(idOf(`2:cpu:/pod/${id}`, `1:memory:/pod/${id}`, "0::/"), id);
  assert.equal(idOf(`2:cpu:/pod/${id}`, `1:memory:/pod/${other}`), undefined);
  for (const group of [`0::/pod/${id}/inner`, `0::/pod/x${id}`, `0::/pod/${id.slice(1)}`, `0::/pod/${id}.slice`])
    assert.equal(idOf(group), undefined, group);
});
