/**
 * The CAS under load, as a process of its own: attest-and-configure on a new TLS 1.3 connection each (per second, CPU time of the CAS for each,
 * p99 at half load), beside a bare TLS server in Node that answers the same number of bytes; and durable policy writes by 64 writers.
 *
 *   node bench/cas.ts [--seconds 4] [--rounds 5]
 *
 * Clients run in this process and share the machine's cores with the CAS: the CPU time is the steadier figure.
 */
import { fork } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { parseArgs } from "node:util";
import { createNodeStatement, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { type CasProcessStatus, startCasProcess, stopCasProcess } from "@vouchsafe/cas";
import { attestService, CasClient, connectToCas, generateInstanceKey, SERVICE_ALPN } from "@vouchsafe/protocol";
import { TEST_WORKLOAD, testPolicy } from "../packages/cas/src/testing/policies.ts";
import { createTestClient } from "../packages/cas/src/testing/test-cas.ts";
import { measurePairs, median, report } from "./pairs.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "4" }, rounds: { type: "string", default: "5" }, bare: { type: "string" } },
});
const SECONDS = Number(values.seconds);
const ROUNDS = Number(values.rounds);
const CONCURRENCY = 16;
const WRITERS = 64;
const TICKS_PER_SECOND = 100;

interface Load {
  readonly count: number;
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly p99Ms: number;
}

/** User and system time of a process, in ms. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** Runs `call` from `concurrency` callers for some seconds; with `pauseMs` each caller waits between two calls. */
async function load(pid: number, concurrency: number, call: (caller: number) => Promise<void>, pauseMs = 0): Promise<Load> {
  const times: number[] = [];
  const before = cpuOf(pid);
  const start = performance.now();
  const end = start + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: concurrency }, async (_, caller) => {
      while (performance.now() < end) {
        const from = performance.now();
        await call(caller);
        times.push(performance.now() - from);
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1000;
  times.sort((x, y) => x - y);
  return {
    count: times.length,
    perSecond: times.length / elapsed,
    cpuMs: (cpuOf(pid) - before) / times.length,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
  };
}

/** A TLS server with the CAS's settings that answers every connection with as many bytes as a configuration has. */
function serveBare(directory: string): void {
  const server = createServer(
    {
      key: readFileSync(join(directory, "key.pem")),
      cert: readFileSync(join(directory, "chain.pem")),
      minVersion: "TLSv1.3",
      ALPNProtocols: [SERVICE_ALPN],
    },
    (socket) => socket.on("error", () => {}).once("data", () => socket.write(Buffer.alloc(1000))),
  );
  server.listen(0, "127.0.0.1", () => process.send?.(server.address()));
}

async function startBare(
  directory: string,
  cas: CasProcessStatus,
): Promise<{ readonly pid: number; readonly port: number; readonly stop: () => void }> {
  const { socket, identity } = await connectToCas({ ...cas.service, pin: {}, alpn: SERVICE_ALPN, timeoutMs: 5000 });
  socket.destroy();
  const { certificate, privateKey } = createTestClient();
  writeFileSync(join(directory, "key.pem"), privateKey);
  writeFileSync(join(directory, "chain.pem"), [certificate, ...identity.chain.slice(1)].join(""));
  const child = fork(import.meta.filename, ["--bare", directory]);
  const { port } = await new Promise<{ port: number }>((resolve) =>
    child.once("message", (message) => resolve(message as { port: number })),
  );
  return { pid: child.pid ?? 0, port, stop: () => child.kill() };
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-bench-cas-"));
  const agent = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(directory, "agent.pem"), agent.publicKey.export({ type: "spki", format: "pem" }));
  const listen = { host: "127.0.0.1", port: 0 };
  const cas = await startCasProcess({
    stateDir: directory,
    clientListen: listen,
    serviceListen: listen,
    nodeKeyFiles: [join(directory, "agent.pem")],
  });
  const bare = await startBare(directory, cas);
  try {
    const clients = Array.from(
      { length: WRITERS },
      () => new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: createTestClient() }),
    );
    const [first] = clients;
    const rest =
      'secrets:\n  - {name: key, kind: private-key}\n  - {name: cert, kind: x509, private_key: key, dns: api}\nimages: [{name: i, injection_files: [{path: /c, content: "$$SCONE::cert$$$$SCONE::key$$"}]}]';
    await first?.uploadSession(testPolicy({ name: "shop", rest, service: "    image_name: i" }));
    const instanceKey = generateInstanceKey();
    let counter = 0n;
    const attest = async (): Promise<void> => {
      const { connection } = await attestService({
        ...cas.service,
        casKeyHash: cas.casKeyHash,
        serviceId: "shop/api",
        instanceKey,
        runtimeVersion: "bench",
        evidence: async (userData) => {
          counter += 1n;
          const fields = { ...TEST_WORKLOAD, program: "/x", service: "shop/api", userData, instanceCounter: counter, issuedAt: new Date() };
          return createNodeStatement({ ...fields, agentMeasurement: NODE_AGENT_MEASUREMENT }, agent.privateKey);
        },
      });
      connection.close();
    };
    const handshake = async (): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const socket = connect(
        { host: "127.0.0.1", port: bare.port, ALPNProtocols: [SERVICE_ALPN], rejectUnauthorized: false, minVersion: "TLSv1.3" },
        () => socket.write(Buffer.alloc(1000)),
      );
      socket.once("data", () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", reject);
      await promise;
    };
    await load(cas.pid, CONCURRENCY, attest); // warm-up
    const full: Load[] = [];
    const pairs = await measurePairs(
      ROUNDS,
      async () => {
        const found = await load(cas.pid, CONCURRENCY, attest);
        full.push(found);
        return found.cpuMs;
      },
      async () => (await load(bare.pid, CONCURRENCY, handshake)).cpuMs,
    );
    const perSecond = median(full.map((found) => found.perSecond));
    console.log(report("attest and configure against a bare TLS handshake, CPU time of the server", "ms", pairs));
    console.log(
      `attest and configure: ${perSecond.toFixed(0)}/s with ${CONCURRENCY} clients on this machine's cores, ${full.length} rounds of ${SECONDS} s`,
    );
    const half = await load(cas.pid, 4, attest, (4 / (perSecond / 2)) * 1000);
    console.log(`attest and configure at half load: ${half.perSecond.toFixed(0)}/s, p99 ${half.p99Ms.toFixed(1)} ms`);
    let written = 0;
    const write = async (caller: number): Promise<void> => {
      written += 1;
      await clients[caller]?.uploadSession(`version: "0.3"\nname: w${caller}-${written}\nsecrets: [{name: a, kind: ascii}]\n`);
    };
    await load(cas.pid, WRITERS, write); // the handshakes of 64 clients would be more than one in a hundred of what is measured
    const writes = await load(cas.pid, WRITERS, write);
    console.log(
      `durable policy writes, ${WRITERS} writers: ${writes.perSecond.toFixed(0)}/s, ${writes.cpuMs.toFixed(2)} CPU-ms, p99 ${writes.p99Ms.toFixed(0)} ms`,
    );
    for (const client of clients) client.close();
  } finally {
    bare.stop();
    await stopCasProcess(directory);
    rmSync(directory, { recursive: true, force: true });
  }
}

if (values.bare === undefined) await measure();
else serveBare(values.bare);
