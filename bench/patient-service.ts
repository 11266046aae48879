/**
 * Requests per second of the patient service under Vouchsafe, beside the same Flask and Redis started by hand with TLS.
 * usage: node bench/patient-service.ts URL_OF_OURS [PID]       (start ours with ./run.sh first)
 * With PID the load on ours comes from that process's network namespace: the service itself, without the relays of the published port.
 * The peer is started here: a virtual environment with the example's requirements, redis-server, certificates by openssl.
 * Needs: ab (apache2-utils), redis-server, python3 with venv, openssl.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { measurePairs, report } from "./pairs.ts";

const [ours, networkOf] = process.argv.slice(2);
if (ours === undefined) {
  console.error("usage: node bench/patient-service.ts https://127.0.0.1:4996 [PID]");
  process.exit(2);
}
const example = fileURLToPath(new URL("../examples/patient-records", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "bench-patients-"));
const inWork = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] });

function makeCertificates(): void {
  for (const [ca, leaf, name] of [
    ["redis-ca", "redis", "127.0.0.1"],
    ["redis-ca", "client", "client"],
    ["api-ca", "flask", "api"],
  ] as const) {
    const p256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    if (leaf !== "client")
      inWork("openssl", "req", "-x509", ...p256, "-keyout", `${ca}.key`, "-out", `${ca}.crt`, "-subj", `/CN=${ca}`, "-days", "2");
    const names = name === "127.0.0.1" ? "subjectAltName=IP:127.0.0.1" : `subjectAltName=DNS:${name}`;
    const signed = [
      "-CA",
      `${ca}.crt`,
      "-CAkey",
      `${ca}.key`,
      "-addext",
      names,
      "-days",
      "2",
      "-addext",
      "basicConstraints=critical,CA:false",
    ];
    inWork("openssl", "req", "-x509", ...p256, "-keyout", `${leaf}.key`, "-out", `${leaf}.crt`, "-subj", `/CN=${name}`, ...signed);
  }
}

makeCertificates();
inWork("python3", "-m", "venv", "venv");
inWork("venv/bin/pip", "install", "--quiet", "-r", join(example, "requirements.txt"));
const redis = spawn(
  "redis-server",
  [
    "--port",
    "0",
    "--tls-port",
    "16379",
    "--tls-cert-file",
    "redis.crt",
    "--tls-key-file",
    "redis.key",
    "--tls-ca-cert-file",
    "redis-ca.crt",
    "--save",
    "",
  ],
  { cwd: work, stdio: "ignore" },
);
// The program reads fixed paths below /tls: it gets them from a private mount namespace, as under Vouchsafe.
const script = `mkdir -p /tls && mount -t tmpfs tmpfs /tls && cp flask.crt flask.key client.crt client.key /tls/ && cp redis-ca.crt /tls/redis-ca.crt && exec venv/bin/python3 api.py`;
writeFileSync(join(work, "start.sh"), script);
// The only change to the program: another port, because ours has the usual one.
writeFileSync(join(work, "api.py"), readFileSync(join(example, "api.py"), "utf8").replaceAll("4996", "14996"));
const flask = spawn("unshare", ["-m", "sh", "start.sh"], {
  cwd: work,
  stdio: "ignore",
  env: { PATH: process.env["PATH"], REDIS_HOST: "127.0.0.1", REDIS_PORT: "16379" },
});

try {
  const peer = "https://127.0.0.1:14996";
  await sleep(4000);
  const form =
    "fname=A&lname=B&address=C&city=D&state=E&ssn=1&email=e&dob=f&contactphone=g&drugallergies=h&preexistingconditions=i&dateadmitted=j&insurancedetails=k";
  writeFileSync(join(work, "form"), form);
  const reach = (base: string, ...command: [string, ...string[]]) => {
    if (base === peer || networkOf === undefined) return inWork(...command);
    return inWork("nsenter", "--target", networkOf, "--net", "--", ...command);
  };
  for (const base of [ours, peer]) reach(base, "curl", "-sk", "-d", form, `${base}/patient/bench`);
  const load = (base: string) => async () => {
    const text = reach(base, "ab", "-q", "-n", "600", "-c", "8", `${base}/patient/bench`).toString();
    const perSecond = /Requests per second:\s+([\d.]+)/.exec(text)?.[1];
    if (perSecond === undefined || /Non-2xx/.test(text)) throw new Error(`ab failed for ${base}: ${text}`);
    p99.push([base, Number(/\n\s+99%\s+(\d+)/.exec(text)?.[1])]);
    return Number(perSecond);
  };
  const p99: [string, number][] = [];
  const pairs = await measurePairs(10, load(ours), load(peer));
  console.log(report("GET /patient", "requests/s", pairs));
  for (const base of [ours, peer]) {
    const values = p99.filter(([of]) => of === base).map(([, ms]) => ms);
    console.log(
      `p99 of ${base === ours ? "ours" : "peer"}: ${values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)]} ms (median of ${values.length} runs)`,
    );
  }
} finally {
  flask.kill("SIGKILL");
  redis.kill("SIGTERM");
  rmSync(work, { recursive: true, force: true });
}
