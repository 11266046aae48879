import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { makeAuthority, secretsOf } from "../testing/certificates.ts";
import { freePort, startCurated, unpackCurated } from "../testing/curated-program.ts";
import { redis } from "./redis.ts";

test("MF-109: Redis of the curated image speaks mutual TLS only, to clients of its own CA, and writes nothing", async (context) => {
  const unpacked = await unpackCurated(context, redis);
  assert.deepEqual(unpacked.service.aliases, ["redis-scone"]);
  const own = makeAuthority(unpacked.directory, "own");
  const foreign = makeAuthority(unpacked.directory, "foreign");
  const port = await freePort();
  const secrets = {
    ...secretsOf("redis", own.certificate("redis")),
    ...secretsOf("redis_ca_cert", { crt: own.ca, key: own.ca }),
  };
  const { process: program, output } = await startCurated(context, unpacked, redis, port, {
    variables: { REDIS_PORT: String(port) },
    secrets,
  });
  assert.equal(program.exitCode, null, output());
  const ask = ({ ca, crt, key }: { ca?: string; crt?: string; key?: string }, ...command: string[]) => {
    const tls =
      ca === undefined ? [] : ["--tls", "--cacert", ca, ...(crt === undefined || key === undefined ? [] : ["--cert", crt, "--key", key])];
    return spawnSync("redis-cli", ["-h", "127.0.0.1", "-p", String(port), ...tls, ...command], { encoding: "utf8", timeout: 10_000 });
  };
  const client = { ca: own.ca, ...own.certificate("client") };
  assert.equal(ask(client, "set", "a", "1").stdout, "OK\n");
  assert.equal(ask(client, "get", "a").stdout, "1\n");
  assert.equal(ask(client, "config", "get", "save").stdout, "save\n\n");
  assert.equal(ask(client, "config", "get", "appendonly").stdout, "appendonly\nno\n");
  assert.notEqual(ask({}, "ping").stdout, "PONG\n", "plain text");
  assert.notEqual(ask({ ca: own.ca }, "ping").stdout, "PONG\n", "no client certificate");
  assert.notEqual(ask({ ca: own.ca, ...foreign.certificate("client") }, "ping").stdout, "PONG\n", "a certificate of another CA");
  assert.notEqual(ask({ ca: foreign.ca, ...own.certificate("other") }, "ping").stdout, "PONG\n", "a client that trusts another CA");
});
