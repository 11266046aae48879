/** What the benchmark of certificates measures with: load on a server, its CPU time for each certificate, and the CAS as one of the servers. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { CasClient } from "@vouchsafe/protocol";

const CONCURRENCY = 4;
const TICKS_PER_SECOND = 100;

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** CPU-ms of the server for each certificate, while `make` is called by several callers; it returns how many certificates it got. */
export async function serverCpu(pid: number, make: () => Promise<number>, seconds: number): Promise<number> {
  let count = 0;
  const before = cpuOf(pid);
  const end = performance.now() + seconds * 1000;
  const callers = Array.from({ length: CONCURRENCY }, async () => {
    while (performance.now() < end) count += await make();
  });
  await Promise.all(callers);
  return (cpuOf(pid) - before) / count;
}

/** Uploads policies, each with a CA and so many keys with certificates of them. */
export function policyMaker(client: CasClient, certificates: number): () => Promise<number> {
  const secrets = Array.from(
    { length: certificates },
    (_, at) =>
      `  - {name: k${at}, kind: private-key}\n  - {name: c${at}, kind: x509, private_key: k${at}, issuer: ca, endpoint: server, dns: web.example}\n`,
  );
  const ca = "  - {name: ca_key, kind: private-key}\n  - {name: ca, kind: x509-ca, private_key: ca_key}\n";
  let sessions = 0;
  return async () => {
    sessions += 1;
    await client.uploadSession(`version: "0.3"\nname: s${sessions}\nsecrets:\n${ca}${secrets.join("")}`);
    return certificates;
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
