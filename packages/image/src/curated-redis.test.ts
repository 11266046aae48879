import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildImage } from "./build-image.ts";
import { planCuratedImage } from "./curated-redis.ts";
import { readImageMetadata } from "./read-metadata.ts";
import { sampleBuild } from "./testing/sample-build.ts";
import { unpackImage } from "./unpack.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : assert.fail("no port");
}

/** A CA with a server and a client certificate, made by OpenSSL. */
function makeCertificates(directory: string, name: string): { ca: string; certificate: (owner: string) => { crt: string; key: string } } {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const [caKey, ca] = [join(directory, `${name}-ca.key`), join(directory, `${name}-ca.crt`)];
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", caKey);
  openssl("req", "-x509", "-new", "-key", caKey, "-subj", `/CN=${name}`, "-days", "1", "-out", ca);
  const certificate = (owner: string) => {
    const [key, request, crt] = ["key", "csr", "crt"].map((extension) => join(directory, `${name}-${owner}.${extension}`));
    if (key === undefined || request === undefined || crt === undefined) throw new TypeError("three files");
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key);
    openssl("req", "-new", "-key", key, "-subj", `/CN=${owner}`, "-out", request);
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", "1", "-out", crt);
    return { crt, key };
  };
  return { ca, certificate };
}

test("only a reference to redis is a curated Redis", () => {
  assert.equal(planCuratedImage("vouchsafe.local/redis:latest")?.name, "redis");
  assert.equal(planCuratedImage("127.0.0.1:5000/team/redis")?.reference, "127.0.0.1:5000/team/redis");
  for (const other of ["vouchsafe.local/redis-x:1", "vouchsafe.local/redis/api:1", "redisx"])
    assert.equal(planCuratedImage(other), undefined, other);
});

test("MF-109: Redis of the curated image speaks mutual TLS only, to clients of its own CA, and writes nothing", async (context) => {
  const { settings, directory, plan: sample } = sampleBuild(context);
  const plan = planCuratedImage(sample.reference.replace(/[^/]*$/, "redis:test")) ?? assert.fail("no plan");
  const built = await buildImage(plan, settings);
  const root = join(directory, "root");
  await unpackImage(built.layoutDir, built.reference, root);
  const { service, files } = await readImageMetadata(built.layoutDir, built.reference);
  assert.deepEqual(service.aliases, ["redis-scone"]);
  const policy = files.get("policy.yaml.template") ?? "";
  for (const text of ["$$SCONE::redis.crt$$", "$$SCONE::redis.key$$", "$$SCONE::redis_ca_cert.crt$$"]) assert(policy.includes(text), text);

  const own = makeCertificates(directory, "own");
  const foreign = makeCertificates(directory, "foreign");
  const server = own.certificate("redis");
  const port = await freePort();
  const [diversion] = service.diversions;
  const words = service.command.slice(1).map((word) => word.replace("{{REDIS_PORT}}", String(port)));
  // What the runtime does: files injected below /tls, the program under its own name.
  const script =
    'mkdir -p "$1/tls" && cp "$2" "$1/tls/redis.crt" && cp "$3" "$1/tls/redis.key" && cp "$4" "$1/tls/ca.crt" && ln -s "$5" "$1/tmp/redis-server" && root=$1 && shift 5 && exec chroot "$root" /tmp/redis-server "$@"';
  const redis: ChildProcess = spawn(
    "unshare",
    [
      "--user",
      "--map-root-user",
      "--mount",
      "--kill-child",
      "--fork",
      "sh",
      "-c",
      script,
      "sh",
      root,
      server.crt,
      server.key,
      own.ca,
      diversion?.original ?? "",
      ...words,
    ],
    { stdio: ["ignore", "pipe", "inherit"], env: { PATH: process.env["PATH"] } },
  );
  context.after(() => redis.kill("SIGKILL"));
  redis.stdout?.resume();
  const ask = ({ ca, crt, key }: { ca?: string; crt?: string; key?: string }, ...command: string[]) => {
    const tls =
      ca === undefined ? [] : ["--tls", "--cacert", ca, ...(crt === undefined || key === undefined ? [] : ["--cert", crt, "--key", key])];
    return spawnSync("redis-cli", ["-h", "127.0.0.1", "-p", String(port), ...tls, ...command], { encoding: "utf8", timeout: 10_000 });
  };
  const client = { ca: own.ca, ...own.certificate("client") };
  for (let attempt = 0; ask(client, "ping").stdout !== "PONG\n"; attempt++) {
    assert(attempt < 100 && redis.exitCode === null, "Redis does not start");
    await sleep(100);
  }
  assert.equal(ask(client, "set", "a", "1").stdout, "OK\n");
  assert.equal(ask(client, "get", "a").stdout, "1\n");
  assert.equal(ask(client, "config", "get", "save").stdout, "save\n\n");
  assert.equal(ask(client, "config", "get", "appendonly").stdout, "appendonly\nno\n");
  assert.notEqual(ask({}, "ping").stdout, "PONG\n", "plain text");
  assert.notEqual(ask({ ca: own.ca }, "ping").stdout, "PONG\n", "no client certificate");
  assert.notEqual(ask({ ca: own.ca, ...foreign.certificate("client") }, "ping").stdout, "PONG\n", "a certificate of another CA");
  assert.notEqual(ask({ ca: foreign.ca, ...own.certificate("other") }, "ping").stdout, "PONG\n", "a client that trusts another CA");
});
