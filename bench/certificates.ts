/**
 * Keys and certificates made by the CAS when it accepts a policy, beside `cfssl serve` making as many through its own interface: CPU time of each
 * server for a P-256 key with a certificate of it, in alternating pairs. Then one core against bare work: key generation and signature alone.
 *
 *   node bench/certificates.ts [--seconds 3] [--rounds 5] [--cfssl PATH]
 *
 * Without a path, cfssl 1.6.5 is built once with Go into `.cache/go`.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startCasProcess, stopCasProcess } from "@vouchsafe/cas";
import { CasClient } from "@vouchsafe/protocol";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { createTestClient } from "../packages/cas/src/testing/test-cas.ts";
import { freePort, policyMaker, serverCpu } from "./certificate-servers.ts";
import { measurePairs, report } from "./pairs.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "3" }, rounds: { type: "string", default: "5" }, cfssl: { type: "string" } },
});
const SECONDS = Number(values.seconds);
const CERTIFICATES = 20;
const CFSSL_VERSION = "v1.6.5";

function findCfssl(): string {
  if (values.cfssl !== undefined) return values.cfssl;
  const cache = join(import.meta.dirname, "../.cache/go", `cfssl-${CFSSL_VERSION}`);
  const binary = join(cache, "cfssl");
  if (!existsSync(binary)) {
    const env = { ...process.env, GOBIN: cache, GOFLAGS: "-mod=mod" };
    spawnSync("go", ["install", `github.com/cloudflare/cfssl/cmd/cfssl@${CFSSL_VERSION}`], { env, stdio: "inherit" });
  }
  if (!existsSync(binary)) throw new Error("cfssl could not be built: Go and its module proxy are needed");
  return binary;
}

async function startCfssl(directory: string): Promise<{ readonly child: ChildProcess; readonly make: () => Promise<number> }> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = {
    isCa: true,
    commonName: "bench",
    san: [],
    endpoint: undefined,
    validForSeconds: undefined,
    control: undefined,
  } as const;
  const { pem } = issueCertificate(request, { ownKey: privateKey }, { now: new Date(), random: systemRandomness });
  writeFileSync(join(directory, "ca.pem"), pem);
  writeFileSync(join(directory, "ca-key.pem"), privateKey.export({ type: "sec1", format: "pem" }));
  const port = await freePort();
  const files = ["-ca", join(directory, "ca.pem"), "-ca-key", join(directory, "ca-key.pem")];
  const child = spawn(findCfssl(), ["serve", ...files, "-address", "127.0.0.1", "-port", String(port), "-loglevel", "5"], {
    stdio: "ignore",
  });
  const body = JSON.stringify({
    request: { CN: "web", hosts: ["web.example"], key: { algo: "ecdsa", size: 256 }, names: [{ O: "bench" }] },
  });
  const make = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/cfssl/newcert`, { method: "POST", body });
    const { success, result } = (await answer.json()) as { success: boolean; result: { certificate: string; private_key: string } };
    if (!success || !result.certificate.includes("CERTIFICATE") || !result.private_key.includes("PRIVATE KEY"))
      throw new Error("cfssl refused");
    return 1;
  };
  for (let tries = 0; ; tries += 1) {
    try {
      await make();
      return { child, make };
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** CPU-ms of one call, the least of several blocks: other load on the machine only adds. */
function cpuMs(work: () => void): number {
  const blocks = Array.from({ length: 8 }, () => {
    const before = process.cpuUsage();
    let calls = 0;
    for (const end = performance.now() + 200; performance.now() < end; calls += 1) work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / calls;
  });
  return Math.min(...blocks.slice(1));
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-bench-certificates-"));
  const listen = { host: "127.0.0.1", port: 0 };
  const cas = await startCasProcess({ stateDir: directory, clientListen: listen, serviceListen: listen });
  const peer = await startCfssl(directory);
  using client = new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: createTestClient() });
  try {
    const make = policyMaker(client, CERTIFICATES);
    await Promise.all([serverCpu(cas.pid, make, SECONDS), serverCpu(peer.child.pid ?? 0, peer.make, SECONDS)]); // warm-up
    const pairs = await measurePairs(
      Number(values.rounds),
      () => serverCpu(cas.pid, make, SECONDS),
      () => serverCpu(peer.child.pid ?? 0, peer.make, SECONDS),
    );
    console.log(
      report(
        `a P-256 key and its certificate: CAS (${CERTIFICATES} in one policy, made durable) against cfssl serve, CPU of the server`,
        "ms",
        pairs,
      ),
    );
  } finally {
    peer.child.kill();
    await stopCasProcess(directory);
    rmSync(directory, { recursive: true, force: true });
  }
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const clock = { now: new Date(), random: systemRandomness };
  const request = {
    isCa: false,
    commonName: "web",
    san: [{ kind: "dns", value: "web.example" }],
    endpoint: "server",
    validForSeconds: 86_400,
    control: undefined,
  } as const;
  const ca = issueCertificate({ ...request, isCa: true, san: [], endpoint: undefined }, { ownKey: key.privateKey }, clock);
  const issuer = { certificate: ca.pem, privateKey: key.privateKey };
  const issuing = cpuMs(() => issueCertificate(request, { publicKey: key.publicKey, issuer }, clock));
  const signing = cpuMs(() => sign("sha256", Buffer.alloc(400), key.privateKey));
  const generating = cpuMs(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  console.log(
    `one core: ${(1000 / issuing).toFixed(0)} certificates/s (${issuing.toFixed(3)} ms); bare signature ${signing.toFixed(3)} ms, key ${generating.toFixed(3)} ms`,
  );
}

await measure();
