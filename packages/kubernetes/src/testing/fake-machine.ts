import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { RunningContainer } from "../las/container-runtime.ts";
import type { Measuring } from "../las/measure-caller.ts";
import type { Connection } from "../las/tcp-owner.ts";

export const CONTAINER_ID = "ab".repeat(32);
export const IMAGE_DIGEST = `sha256:${"1".repeat(64)}`;
/** The caller's end of the one connection of the machine, unless a test has a real one. */
export const CONNECTION: Connection = {
  ...{ localAddress: "10.244.0.8", localPort: 50_000, remoteAddress: "10.10.0.1", remotePort: 18_761 },
};

/** An end of a connection as the kernel prints it: the bytes of the address backwards, the port. */
const end = (address: string, port: number): string =>
  [Uint8Array.from(address.split(".").map(Number)).reverse().toHex(), port.toString(16).padStart(4, "0")].join(":").toUpperCase();

/** The files of a machine with one container, as a node agent sees them; every part can be made another. */
export class FakeMachine {
  readonly directory: string;
  container: RunningContainer;
  onInspect: () => void = () => undefined;
  named: string | undefined;

  constructor(t: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), "machine-"));
    t.after(() => rmSync(this.directory, { recursive: true }));
    this.container = {
      ...{ id: CONTAINER_ID, pid: 12, createdAt: 7n, pod: { name: "shop", namespace: "default", uid: "u" }, containerName: "api" },
      imageDigests: [IMAGE_DIGEST],
      process: {
        ...{ arguments: ["/usr/bin/python3", "app.py"], userId: 65_532, capabilities: [], noNewPrivileges: true },
        environment: new Map([
          ["SCONE_CONFIG_ID", "shop/api@123456"],
          ["PATH", "/opt/none:/usr/bin:/bin"],
        ]),
      },
      mounts: ["/proc", "/dev/shm", "/etc/hosts", "/run/secrets/kubernetes.io/serviceaccount"].map((destination) => ({
        ...{ destination, source: "x", type: "bind" },
      })),
    };
    for (const [path, text] of [
      ["vouchsafe/bin/launcher", "the launcher"],
      ["usr/bin/python3", "the launcher"],
      ["vouchsafe/mesh/service.json", JSON.stringify({ format: 1, fileSystem: { tag: "0f".repeat(16) }, more: true })],
      ["bin/sh", "a shell"],
      ["app/main.py", "code"],
    ] as const)
      this.write(`machine/lower/${path}`, text);
    mkdirSync(join(this.directory, "machine/upper"));
    this.addProcess(12);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    writeFileSync(join(this.directory, path), text);
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    rmSync(join(this.directory, path), { force: true });
    symlinkSync(target, join(this.directory, path));
  }

  move(from: string, to: string): void {
    mkdirSync(dirname(join(this.directory, to)), { recursive: true });
    renameSync(join(this.directory, from), join(this.directory, to));
  }

  remove(path: string): void {
    rmSync(join(this.directory, path), { recursive: true });
  }

  addProcess(pid: number, { id = CONTAINER_ID, startTime = "4711", connections = [CONNECTION] } = {}): void {
    const rows = connections.map(
      ({ localAddress, localPort, remoteAddress, remotePort }) =>
        `   0: ${end(localAddress, localPort)} ${end(remoteAddress, remotePort)} 01 00000000:00000000 00:00000000 00000000 65532 0 77 1 0\n`,
    );
    this.link(`proc/${pid}/ns/net`, "net:[1]");
    this.link(`proc/${pid}/fd/3`, "socket:[77]");
    this.link(`proc/${pid}/exe`, "/vouchsafe/runtime/bin/node");
    this.link(`proc/${pid}/root`, join(this.directory, "machine/lower"));
    this.write(`proc/${pid}/stat`, `${pid} (a) S ${Array(18).fill("0").join(" ")} ${startTime} 0`);
    this.write(`proc/${pid}/cgroup`, id === "" ? "0::/user.slice\n" : `0::/kubepods.slice/cri-containerd-${id}.scope\n`);
    this.write(`proc/${pid}/net/tcp`, `  sl  local_address\n${rows.join("")}`);
    this.write(`proc/${pid}/net/fib_trie`, connections.map(({ localAddress }) => `     |-- ${localAddress}\n`).join(""));
    this.write(`proc/${pid}/mountinfo`, "1 0 0:1 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/upper,workdir=/work\n");
  }

  /** Changes what the container runtime says of the container. */
  say(more: Partial<RunningContainer>, process: Partial<RunningContainer["process"]> = {}): void {
    this.container = { ...this.container, ...more, process: { ...this.container.process, ...process } };
  }

  mount(...destinations: readonly string[]): void {
    const added = destinations.map((destination) => ({ destination, source: "x", type: "bind" }));
    this.say({ mounts: [...this.container.mounts, ...added] });
  }

  get measuring(): Measuring {
    return {
      inspect: async (id) => {
        assert.equal(id, CONTAINER_ID);
        this.onInspect();
        return this.container;
      },
      findNamedDigest: async () => this.named,
      machine: { proc: join(this.directory, "proc"), root: join(this.directory, "machine") },
    };
  }
}
