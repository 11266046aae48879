import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { CasClient, generateInstanceKey, SERVICE_ALPN } from "@vouchsafe/protocol";
import { testDirectory } from "../testing/cas-command.ts";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { rawRequest } from "../testing/raw-request.ts";
import { createTestClient, startTestCas, type TestClient } from "../testing/test-cas.ts";

const session = (name: string) => `version: "0.3"\nname: ${name}\nsalt: ${"ab".repeat(16)}\n`;
/** Begins a TLS 1.3 handshake and never goes on: record header and first bytes of a ClientHello. */
const HALF_HELLO = Buffer.from("1603010200010001fc0303", "hex");

async function open(t: TestContext, port: number, first?: string | Uint8Array): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // the server may end it
  t.after(() => socket.destroy());
  await once(socket, "connect");
  if (first !== undefined) socket.write(first);
  return socket;
}

async function openTls(t: TestContext, port: number, alpn: string, first?: string): Promise<TLSSocket> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: [alpn], minVersion: "TLSv1.3" });
  socket.on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "secureConnect");
  if (first !== undefined) socket.write(first);
  return socket;
}

/** What the server sends until it closes the connection, or until `isEnough`. */
async function answerOf(socket: Socket, isEnough: (text: string) => boolean = () => false): Promise<string> {
  let text = "";
  socket.setEncoding("latin1");
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (isEnough(text)) resolve();
  });
  socket.once("close", () => resolve());
  await promise;
  return text;
}

test("hazard J1: a thousand connections that are idle, half open or slow keep nobody from being served, nor the CAS from stopping", async (t) => {
  const cas = await startTestCas(t);
  const owner = createTestClient();
  await cas.client(owner).uploadSession(testPolicy({ name: "shop" }));
  const ports = [cas.running.clientAddress.port, cas.running.serviceAddress.port];
  for (const port of ports) {
    await Promise.all(Array.from({ length: 250 }, () => open(t, port)));
    await Promise.all(Array.from({ length: 230 }, () => open(t, port, HALF_HELLO)));
  }
  const [clientPort = 0, servicePort = 0] = ports;
  const slow = ["GET /v1/version HTTP/1.1\r\nHost: a", "PUT /v1/signed_sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n{"];
  for (const first of slow) await Promise.all(Array.from({ length: 10 }, () => openTls(t, clientPort, "http/1.1", first)));
  await Promise.all(Array.from({ length: 20 }, () => openTls(t, servicePort, SERVICE_ALPN, "\0\0")));
  for (let count = 0; count < 5; count += 1) {
    await cas.client(owner).uploadSession(session(`s${count}`));
    (await cas.attest("shop/api")).connection.close();
  }
  await cas.stop();
});

test("hazard J1: heads without end and bodies that say they are packed cost no more than what was read", async (t) => {
  const cas = await startTestCas(t);
  const { port } = cas.running.clientAddress;
  const head = await openTls(t, port, "http/1.1", `GET /v1/version HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100_000)}`);
  assert.match(await answerOf(head), /^HTTP\/1\.1 431/);
  const packed = await rawRequest(cas, "/v1/signed_sessions", {
    method: "PUT",
    headers: { "content-encoding": "gzip" },
    body: "\u001f\u008bbomb",
  });
  assert.equal(packed.status >= 400 && packed.status < 500, true, "taken as it is, never unpacked");
});

test("hazard J2, field/2026-03-giant-rsa: client keys that cost too much, and curves spelt out, are refused; the CAS goes on", async (t) => {
  const cas = await startTestCas(t);
  const directory = testDirectory(t);
  const make = (name: string, ...words: string[]): TestClient => {
    const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
    execFileSync("openssl", ["genpkey", ...words, "-out", key], { stdio: "ignore" });
    execFileSync("openssl", ["req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", "2", "-out", certificate], {
      stdio: "ignore",
    });
    return { certificate: readFileSync(certificate, "utf8"), privateKey: readFileSync(key, "utf8"), keyHash: "" };
  };
  // Five primes make so long a key in a moment.
  const long = make("long", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:8320", "-pkeyopt", "rsa_keygen_primes:5");
  const spelt = make("spelt", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit");
  const refusals = await Promise.allSettled([long, spelt].map((identity) => cas.client(identity).uploadSession(session("x"))));
  const [byLength, byCurve] = refusals;
  assert(byLength?.status === "rejected" && byCurve?.status === "rejected", JSON.stringify(refusals));
  problem("unauthenticated", /RSA key has 8320 bits, at most 8192/)(byLength.reason);
  problem("unauthenticated", /spells out its curve/)(byCurve.reason);
  const good = cas.client(createTestClient());
  await good.uploadSession(session("good"));
  await assert.rejects(good.readSession("x"), problem("not_found"));
});

test("hazard J3: garbage evidence in quantity is refused each time and does not keep good services from their configuration", async (t) => {
  const cas = await startTestCas(t);
  await cas.client(createTestClient()).uploadSession(testPolicy({ name: "shop" }));
  const garbage = (at: number) =>
    cas.attest("shop/api", { timeoutMs: 120_000, evidence: async () => ({ kind: "node", bytes: Buffer.alloc(4000, at) }) });
  const bad = Promise.allSettled(Array.from({ length: 300 }, (_, at) => garbage(at)));
  for (let count = 0; count < 20; count += 1) (await cas.attest("shop/api", { timeoutMs: 120_000 })).connection.close();
  for (const outcome of await bad) {
    assert(outcome.status === "rejected");
    refusal("evidence_malformed", "evidence")(outcome.reason);
  }
});

/** A network between client and CAS that loses the answer of every odd connection: it is cut once the CAS has begun to answer in earnest. */
async function lossyNetwork(t: TestContext, port: number): Promise<{ readonly port: number; readonly cut: () => number }> {
  let connections = 0;
  let cut = 0;
  const server = createServer((near) => {
    const isLossy = ++connections % 2 === 1;
    const far = connect(port, "127.0.0.1");
    let hasAsked = 0;
    near.on("data", (chunk) => {
      hasAsked += chunk.length;
      far.write(chunk);
    });
    far.on("data", (chunk) => {
      // The handshake passes; what follows the request does not.
      if (isLossy && hasAsked > 3000) {
        cut += 1;
        near.destroy();
        far.destroy();
      } else near.write(chunk);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, cut: () => cut };
}

test("hazard J4, C-24: where answers are lost, repeating the request ends in the same state, and nothing is granted twice", async (t) => {
  const cas = await startTestCas(t);
  const owner = createTestClient();
  const policy = (limit: string) =>
    testPolicy({ name: "shop", service: `    ${limit}`, rest: `salt: ${"ab".repeat(16)}\n${"#".repeat(4000)}` });
  const toClients = await lossyNetwork(t, cas.running.clientAddress.port);
  const direct = cas.client(owner);
  const throughLoss = () => {
    const client = new CasClient({
      host: "127.0.0.1",
      port: toClients.port,
      pin: { casKeyHash: cas.running.casKeyHash },
      clientIdentity: owner,
    });
    t.after(() => client.close());
    return client;
  };
  await assert.rejects(throughLoss().uploadSession(policy("max_activations: 1")), { code: "CONNECTION_LOST" });
  const { hash } = await throughLoss().uploadSession(policy("max_activations: 1"));
  assert.equal((await direct.readSession("shop")).hash, hash);
  assert.equal(toClients.cut(), 1, "one answer was lost on the way");

  const toServices = await lossyNetwork(t, cas.running.serviceAddress.port);
  const padding = { runtimeVersion: `test${"x".repeat(28)}` };
  const instanceKey = generateInstanceKey();
  const attest = (reconnect: boolean) => cas.attest("shop/api", { ...padding, port: toServices.port, instanceKey, reconnect });
  const lost = await attest(false).then(
    () => false,
    () => true,
  );
  if (lost) (await attest(true)).connection.close();
  await assert.rejects(cas.attest("shop/api"), refusal("activation_limit", "activation"), "the one start was counted once");
});

test("hazard J5: who a client is never comes from headers, prefixes, paths or a second request hidden in the first", async (t) => {
  const cas = await startTestCas(t, { failureLimit: { perMinute: 60, burst: 1 } });
  const [owner, stranger] = [createTestClient(), createTestClient()];
  await cas.client(owner).uploadSession(session("shop"));
  const pem = encodeURIComponent(owner.certificate);
  const claims = {
    "x-forwarded-for": "10.0.0.1",
    forwarded: "for=10.0.0.1",
    "x-client-cert": pem,
    "x-forwarded-client-cert": `Cert="${pem}"`,
    "ssl-client-cert": pem,
    host: "localhost:1",
  };
  const read = await rawRequest(cas, "/v1/sessions/shop", { identity: stranger, headers: claims });
  assert.equal(read.status, 404, "a stranger stays one");
  for (const path of ["//v1/sessions/shop", "/v1//sessions/shop", "/v1/./sessions/shop", "/v1/sessions/x/../shop", "/V1/sessions/shop"]) {
    assert.equal((await rawRequest(cas, path, { identity: owner })).status, 404, path);
  }
  // The address counts that the connection has: pretending others does not renew the allowance.
  const anonymous = (from: string) => rawRequest(cas, "/v1/sessions", { method: "POST", body: "x", headers: { "x-forwarded-for": from } });
  assert.equal((await anonymous("10.0.0.1")).status, 401);
  assert.equal((await anonymous("10.0.0.2")).status, 429);
  const { port } = cas.running.clientAddress;
  const proxied = await open(t, port, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
  assert.doesNotMatch(await answerOf(proxied), /HTTP/);
  const hidden = "GET /v1/sessions/shop HTTP/1.1\r\nHost: a\r\n\r\n";
  const both = `PUT /v1/config HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`;
  const smuggled = await answerOf(await openTls(t, port, "http/1.1", both));
  assert.match(smuggled, /^HTTP\/1\.1 400/);
  assert.equal(smuggled.match(/HTTP\/1\.1/g)?.length, 1, "the hidden request is not answered");
});
