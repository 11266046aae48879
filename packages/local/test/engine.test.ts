import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { MeshRecord } from "@vouchsafe/mesh";
import { startDetached, waitWhileAlive } from "../src/detached-process.ts";
import { type EngineStatus, readEngineStatus } from "../src/engine-status.ts";
import { listApplications, readLogs, stopApplication } from "../src/index.ts";
import { hardwareAddressOf } from "../src/mesh-layout.ts";
import { identifyProcess, isAlive } from "../src/process-identity.ts";
import { applicationPaths } from "../src/state-paths.ts";
import { makeImage, makeRecord } from "./test-mesh.ts";

const PROGRAMS = [
  "/usr/bin/id",
  "/bin/ls",
  "/bin/cat",
  "/usr/bin/touch",
  "/bin/sleep",
  "/usr/bin/redis-server",
  "/usr/bin/redis-cli",
  "/usr/bin/grep",
];
const REDIS = `touch /run/vouchsafe/ready; exec redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save ''`;
const scratch = mkdtempSync(join(tmpdir(), "engine-"));
const stateDir = join(scratch, "state");
const images = { redis: "", client: "", exits: "", looks: "" };
const digests = new Map<string, { digest: string; layoutDir: string; reference: string }>();

before(async () => {
  const make = async (name: keyof typeof images, launcher: string) => {
    digests.set(name, await makeImage(join(scratch, "images"), `vouchsafe.local/${name}:1`, { launcher, programs: PROGRAMS }));
  };
  await make("redis", REDIS);
  await make("client", `redis-cli -h $HOST-redis set from "$HOST"; redis-cli -h $HOST-redis.default.svc.cluster.local get from; ${REDIS}`);
  await make("exits", "exit 7");
  await make(
    "looks",
    `id -u; ls /; ls /dev; cat /proc/sys/kernel/hostname; ls /proc | grep -c '^[0-9]'; touch /usr/x; cat /etc/passwd; touch /run/vouchsafe/ready
trap 'echo got TERM; exit 0' TERM; sleep 1000 & wait`,
  );
});
after(async () => {
  for (const { status } of listApplications(stateDir)) await stopApplication(status.release, stateDir);
  rmSync(scratch, { recursive: true, force: true });
});

const image = (name: keyof typeof images) => {
  const found = digests.get(name);
  assert(found !== undefined);
  return found;
};

/** Starts an engine as `up` does, without a CAS: these containers ask for none. */
async function start(release: string, record: MeshRecord, isEnough: (status: EngineStatus) => boolean): Promise<EngineStatus> {
  const paths = applicationPaths(stateDir, release);
  mkdirSync(paths.directory, { recursive: true });
  const cas = { host: "127.0.0.1", servicePort: 1, clientPort: 1 };
  writeFileSync(paths.order, JSON.stringify({ release, targetDir: scratch, stateDir, record, cas, environment: { HOST: release } }));
  const engine = startDetached(fileURLToPath(import.meta.resolve("../src/engine-main.ts")), [paths.order], paths.engineLog);
  assert(engine !== undefined);
  const look = () => {
    const status = readEngineStatus(paths.status);
    return status !== undefined && (status.phase === "failed" || isEnough(status)) ? status : undefined;
  };
  const status = await waitWhileAlive(engine, look, { timeoutMs: 30_000 });
  assert(
    status !== undefined && status.phase !== "failed",
    `${JSON.stringify(readEngineStatus(paths.status))} ${readFileSync(paths.engineLog, "utf8")}`,
  );
  return status;
}
const allReady = (count: number) => (status: EngineStatus) => status.instances.filter(({ state }) => state === "ready").length === count;

async function logOf(release: string, service: string): Promise<string[]> {
  const lines: string[] = [];
  await readLogs({ stateDir, release, services: [service], follow: false }, (_, text) => lines.push(text));
  return lines;
}

/** One command to a Redis at a published address. */
async function ask(address: string | undefined, command: string): Promise<string> {
  const [host = "", port = ""] = (address ?? "").split(":");
  const socket = connect({ host, port: Number(port) });
  socket.write(`${command}\r\n`);
  const [reply] = await once(socket, "data");
  socket.destroy();
  return String(reply).trim();
}

/** Everything that could be left of a mesh: processes that mention its directory, mounts, interfaces, sockets. */
function traces(status: EngineStatus): string[] {
  const found = [status.engine, ...(status.meshHost === undefined ? [] : [status.meshHost])]
    .filter(isAlive)
    .map(({ pid }) => `process ${pid}`);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(scratch) || line.includes(status.runDir ?? "-"));
  const links = spawnSync("/sbin/ip", ["-o", "link"], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => /mesh0|veth\d+@/.test(line) && line.includes("mesh0"));
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      if (
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("mesh-host-main") &&
        readFileSync(`/proc/${pid}/environ`, "utf8").includes(scratch)
      )
        found.push(`process ${pid}`);
    } catch {
      // it ended while we looked, or is another user's
    }
  }
  if (status.runDir !== undefined && existsSync(status.runDir)) found.push(status.runDir);
  return [...found, ...mounts, ...links];
}

test("two services on the same port find each other by the release's name; two meshes at once do not meet", async () => {
  const services = (record: (name: string) => MeshRecord) => [record("clinic"), record("lab")] as const;
  const [clinic, lab] = services((release) =>
    makeRecord([
      {
        name: "front",
        image: image("client"),
        ports: [{ port: 6379, publish: true }],
        readiness: { mode: "tcp", port: 6379 },
        waitFor: [{ host: `${release}-redis`, port: 6379 }],
      },
      { name: "redis", image: image("redis"), ports: [{ port: 6379, publish: false }], readiness: { mode: "tcp", port: 6379 } },
    ]),
  );
  const [one, two] = await Promise.all([start("clinic", clinic, allReady(2)), start("lab", lab, allReady(2))]);
  assert.deepEqual(await logOf("clinic", "front").then((lines) => lines.slice(0, 2)), ["OK", "clinic"]);
  assert.deepEqual(await logOf("lab", "front").then((lines) => lines.slice(0, 2)), ["OK", "lab"]);
  const [first, second] = [one.published[0]?.address, two.published[0]?.address];
  assert.notEqual(first, second, "the busy port was replaced and recorded");
  assert.equal(await ask(first, "SET who clinic"), "+OK");
  assert.match(await ask(second, "GET who"), /^\$-1$/);
  assert.match(await ask(first, "GET who"), /clinic$/);
  assert.deepEqual(
    listApplications(stateDir).map(({ status, state }) => [status.release, state]),
    [
      ["clinic", "running"],
      ["lab", "running"],
    ],
  );
  await Promise.all([stopApplication("clinic", stateDir), stopApplication("lab", stateDir)]);
  assert.deepEqual([...traces(one), ...traces(two)], []);
  assert.deepEqual(listApplications(stateDir), []);
});

test("hazard I6: a killed engine takes everything with it, and `down` removes the rest", async () => {
  const status = await start(
    "killed",
    makeRecord([{ name: "redis", image: image("redis"), ports: [{ port: 6379, publish: true }] }]),
    allReady(1),
  );
  process.kill(status.engine.pid, "SIGKILL");
  for (let tries = 0; tries < 100 && status.meshHost !== undefined && isAlive(status.meshHost); tries++) await sleep(50);
  await assert.rejects(ask(status.published[0]?.address, "PING"), { code: "ECONNREFUSED" });
  assert.deepEqual(
    listApplications(stateDir).map(({ state }) => state),
    ["crashed"],
  );
  await stopApplication("killed", stateDir);
  assert.deepEqual(traces(status), []);
  assert.equal(existsSync(applicationPaths(stateDir, "killed").directory), false);
  assert.equal(await stopApplication("killed", stateDir), false, "a second time there is nothing to stop, which is no failure");
});

test("a container sees its image read-only, five devices, and its own processes; SIGTERM reaches its first process", async () => {
  const status = await start("looks", makeRecord([{ name: "looks", image: image("looks") }]), allReady(1));
  const lines = await logOf("looks", "looks");
  const text = lines.join("\n");
  assert.equal(lines[0], "0");
  assert.doesNotMatch(text, /^(home|root|var)$/m);
  assert.match(text, /^fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\nlooks$/m);
  assert.match(text, /touch: .*Read-only file system/);
  assert.match(text, /cat: \/etc\/passwd: No such file/);
  const logFile = join(applicationPaths(stateDir, "looks").logs, "looks.log");
  const stopping = stopApplication("looks", stateDir);
  let last = "";
  for (let tries = 0; tries < 200 && existsSync(logFile); tries++) {
    last = readFileSync(logFile, "utf8");
    await sleep(5);
  }
  await stopping;
  assert.match(last, /got TERM/);
  assert.deepEqual(traces(status), []);
});

test("neighbours stay reachable when others of the mesh come and go: no hardware address changes", async () => {
  const record = makeRecord([
    { name: "again", image: image("exits") },
    { name: "stays", image: image("redis"), readiness: { mode: "tcp", port: 6379 } },
  ]);
  const gateway = hardwareAddressOf("10.244.0.1");
  const restarted = (count: number) => (found: EngineStatus) =>
    found.instances.some(({ name, state }) => name === "stays" && state === "ready") &&
    found.instances.some(({ restarts }) => restarts >= count);
  const status = await start("comings", record, restarted(1));
  assert(status.meshHost !== undefined);
  const into = process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
  const inMesh = (...command: string[]) =>
    spawnSync("nsenter", [`--target=${status.meshHost?.pid}`, "--net", ...into, ...command], { encoding: "utf8" }).stdout;
  const bridge = () => JSON.parse(inMesh("ip", "-json", "link", "show", "mesh0"))[0].address;
  assert.equal(bridge(), gateway);
  const stays = JSON.parse(inMesh("ip", "-json", "neigh")).find(({ dst }: { dst: string }) => dst === "10.244.0.11");
  assert.equal(stays?.lladdr, hardwareAddressOf("10.244.0.11"));
  await waitWhileAlive(
    status.engine,
    () => (restarted(2)(readEngineStatus(applicationPaths(stateDir, "comings").status) ?? status) ? true : undefined),
    {
      timeoutMs: 30_000,
    },
  );
  assert.equal(bridge(), gateway, "a member of the bridge went, another came");
  await stopApplication("comings", stateDir);
});

test("hazard I6: a program that ends is started again with a growing pause, unless its restart policy says no", async () => {
  const record = makeRecord([
    { name: "again", image: image("exits") },
    { name: "once", image: image("exits"), restartPolicy: "Never" },
  ]);
  const isEnough = ({ instances }: EngineStatus) =>
    instances.some(({ restarts }) => restarts >= 2) && instances.some(({ state }) => state === "ended");
  const status = await start("exits", record, isEnough);
  const [again, once] = status.instances;
  assert.equal(again?.lastExit, 7);
  assert.match(again?.reason ?? "ended with status 7", /ended with status 7/);
  assert.deepEqual(
    { state: once?.state, restarts: once?.restarts, lastExit: once?.lastExit },
    { state: "ended", restarts: 0, lastExit: 7 },
  );
  await stopApplication("exits", stateDir);
});

test("hazard I1, field/2023-checked-then-changed: a root that was touched after it was unpacked is not started again", async () => {
  const record = makeRecord([{ name: "again", image: image("exits") }]);
  await start("touched", record, ({ instances }) => instances.some(({ restarts }) => restarts >= 1));
  const paths = applicationPaths(stateDir, "touched");
  const [digest = ""] = readdirSync(paths.roots);
  writeFileSync(join(paths.roots, digest, "vouchsafe/bin/launcher"), "#!/bin/sh\nexit 0\n");
  let instance = readEngineStatus(paths.status)?.instances[0];
  for (let tries = 0; tries < 200 && instance?.state !== "ended"; tries++) {
    await sleep(50);
    instance = readEngineStatus(paths.status)?.instances[0];
  }
  assert.match(instance?.reason ?? "", /was changed on disk; nothing is started from it/);
  await stopApplication("touched", stateDir);
});

test("hazard G3, field/2026-08-layer-digest: a flipped byte in a layer stops the start before anything runs", async () => {
  const { layoutDir, digest } = image("looks");
  const copy = join(scratch, "tampered");
  spawnSync("cp", ["-a", layoutDir, copy]);
  const manifest = JSON.parse(readFileSync(join(copy, "blobs/sha256", digest.slice(7)), "utf8"));
  const layer = join(copy, "blobs/sha256", String(manifest.layers[0].digest).slice(7));
  const bytes = readFileSync(layer);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  rmSync(layer);
  writeFileSync(layer, bytes);
  const record = makeRecord([{ name: "looks", image: { ...image("looks"), layoutDir: copy } }]);
  await assert.rejects(start("tampered", record, allReady(1)), /E-IMAGE-LAYER/);
  await stopApplication("tampered", stateDir);
});

test("a process is known by number and start time, so a used-again number is not mistaken for it", () => {
  const own = identifyProcess(process.pid);
  assert(own !== undefined && isAlive(own));
  assert.equal(isAlive({ ...own, startTime: "1" }), false);
});
