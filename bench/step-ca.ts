/**
 * Certificates of the CAS beside those of `step-ca` (Go): CPU time of each server for a P-256 leaf, in alternating pairs. The CAS makes the key too and
 * puts everything on disk before it answers; step-ca signs a request with a ready key, authorised by a one-time token, and keeps nothing.
 *
 *   node bench/step-ca.ts [--seconds 3] [--rounds 5] [--step-ca PATH]
 *
 * Without a path, step-ca 0.30.2 is built once with Go into `.cache/go`; that takes some minutes.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
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
  options: { seconds: { type: "string", default: "3" }, rounds: { type: "string", default: "5" }, "step-ca": { type: "string" } },
});
const SECONDS = Number(values.seconds);
const CERTIFICATES = 20;
const VERSION = "v0.30.2";
const HOST = "web.example";
const PROVISIONER = "bench";

function findStepCa(): string {
  if (values["step-ca"] !== undefined) return values["step-ca"];
  const cache = join(import.meta.dirname, "../.cache/go", `step-ca-${VERSION}`);
  const binary = join(cache, "step-ca");
  if (!existsSync(binary)) {
    const env = { ...process.env, GOBIN: cache, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" };
    spawnSync("go", ["install", `github.com/smallstep/certificates/cmd/step-ca@${VERSION}`], { env, stdio: "inherit" });
  }
  if (!existsSync(binary)) throw new Error("step-ca could not be built: Go and its module proxy are needed");
  return binary;
}

/** Root, intermediate and one provisioner, written by hand: no password, no database. */
function writeConfiguration(directory: string, port: number, provisioner: KeyObject): string {
  const clock = { now: new Date(), random: systemRandomness };
  const request = { isCa: true, san: [], endpoint: undefined, validForSeconds: undefined, control: undefined } as const;
  const root = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const intermediate = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const rootPem = issueCertificate({ ...request, commonName: "root" }, { ownKey: root.privateKey }, clock).pem;
  const issuer = { certificate: rootPem, privateKey: root.privateKey };
  const pem = issueCertificate({ ...request, commonName: "intermediate" }, { publicKey: intermediate.publicKey, issuer }, clock).pem;
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const key = { ...provisioner.export({ format: "jwk" }), use: "sig", kid: PROVISIONER, alg: "ES256" };
  return file(
    "ca.json",
    JSON.stringify({
      root: file("root.pem", rootPem),
      crt: file("intermediate.pem", pem),
      key: file("intermediate.key", intermediate.privateKey.export({ type: "sec1", format: "pem" })),
      address: `127.0.0.1:${port}`,
      dnsNames: ["127.0.0.1"],
      logger: { format: "text" },
      authority: { provisioners: [{ type: "JWK", name: PROVISIONER, key }] },
    }),
  );
}

function oneTimeToken(key: KeyObject, audience: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const seconds = Math.floor(Date.now() / 1000);
  const claims = {
    iss: PROVISIONER,
    sub: HOST,
    aud: audience,
    sans: [HOST],
    iat: seconds,
    nbf: seconds - 10,
    exp: seconds + 240,
    jti: randomUUID(),
  };
  const input = `${part({ alg: "ES256", kid: PROVISIONER, typ: "JWT" })}.${part(claims)}`;
  return `${input}.${sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

async function startStepCa(directory: string): Promise<{ readonly child: ChildProcess; readonly make: () => Promise<number> }> {
  const port = await freePort();
  const provisioner = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const child = spawn(findStepCa(), [writeConfiguration(directory, port, provisioner.publicKey)], { stdio: "ignore" });
  const files = ["-keyout", join(directory, "leaf.key"), "-out", join(directory, "leaf.csr")];
  const subject = ["-subj", `/CN=${HOST}`, "-addext", `subjectAltName=DNS:${HOST}`];
  execFileSync("openssl", ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", ...files, ...subject], {
    stdio: "ignore",
  });
  const csr = readFileSync(join(directory, "leaf.csr"), "utf8");
  const agent = new Agent({ keepAlive: true, ca: readFileSync(join(directory, "root.pem")) });
  const url = `https://127.0.0.1:${port}/1.0/sign`;
  const make = () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const outgoing = request(url, { method: "POST", agent, headers: { "content-type": "application/json" } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => (text.includes("BEGIN CERTIFICATE") ? resolve(1) : reject(new Error(`step-ca refused: ${text}`))));
    });
    outgoing.on("error", reject);
    outgoing.end(JSON.stringify({ csr, ott: oneTimeToken(provisioner.privateKey, url) }));
    return promise;
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

const directory = mkdtempSync(join(tmpdir(), "vouchsafe-bench-step-ca-"));
const listen = { host: "127.0.0.1", port: 0 };
const cas = await startCasProcess({ stateDir: join(directory, "cas"), clientListen: listen, serviceListen: listen });
const peer = await startStepCa(directory);
using client = new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: createTestClient() });
try {
  const make = policyMaker(client, CERTIFICATES);
  const ours = () => serverCpu(cas.pid, make, SECONDS);
  const theirs = () => serverCpu(peer.child.pid ?? 0, peer.make, SECONDS);
  await Promise.all([ours(), theirs()]); // warm-up
  const pairs = await measurePairs(Number(values.rounds), ours, theirs);
  console.log(
    report(
      `a P-256 leaf: CAS (${CERTIFICATES} with their keys in one policy, made durable) against step-ca, CPU of the server`,
      "ms",
      pairs,
    ),
  );
} finally {
  peer.child.kill();
  await stopCasProcess(join(directory, "cas"));
  rmSync(directory, { recursive: true, force: true });
}
