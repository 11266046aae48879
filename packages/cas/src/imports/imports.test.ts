import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { CasClient, type ExportRequest, verifyCasChainPem } from "@vouchsafe/protocol";
import type { CasOptions } from "../start-cas.ts";
import { problem, refusal, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";
import { ImportNetworks, isNetwork } from "./import-networks.ts";

const HEAD = 'version: "0.3"\n';
/** Evidence plays no part here, and its time would have to follow the clocks of these tests. */
const OPEN = "{attestation: {mode: none}}";
/** Both CAS of a test run on this machine: their owners have to admit that. */
const LOOPBACK = { config: '[imports]\nnetworks = ["127.0.0.0/8"]\n' };

function startCas(t: TestContext, options: Partial<CasOptions> = {}): Promise<TestCas> {
  return startTestCas(t, { selfProvision: LOOPBACK, ...options });
}

const addressOf = ({ running: { clientAddress } }: TestCas): string => `127.0.0.1:${clientAddress.port}`;

/** Reference to a CAS by its CAS key, as it stands in a flow mapping. */
const by = (cas: TestCas, key = cas.running.casKeyHash): string => `cas_url: "${addressOf(cas)}", cas_key: ${key}`;

/** A session whose service shows the imported value in variable P. */
function importer(name: string, reference: string, extra = ""): string {
  return testPolicy({
    name,
    security: OPEN,
    service: `    environment: {P: "$$SCONE::p$$"}`,
    rest: `secrets: [{name: p, import: {${reference}}${extra}}]`,
  });
}

async function variable(cas: TestCas, service: string): Promise<string | undefined> {
  const { configuration, connection } = await cas.attest(service, { evidence: undefined });
  connection.close();
  return configuration.environment["P"];
}

const failed = (says: RegExp) => refusal("values_unresolved", "values", says);

test("C-33, SL-138, SL-144, SL-146 a secret goes to the session on another CAS that its exporter names, and to no other", async (t) => {
  const [here, there] = [await startCas(t), await startCas(t)];
  const owner = there.client(createTestClient());
  const exports = [`{session: shop, cas_url: cas.example, cas_key: ${here.running.casKeyHash}}`];
  await owner.uploadSession(
    `${HEAD}name: db\nsecrets:\n  - {name: pw, kind: ascii, size: 24, export: [${exports}]}\n  - {name: own, kind: ascii}\n`,
  );
  const client = here.client(createTestClient());
  const from = `${by(there)}, session: db, secret: `;
  const uploaded = await client.uploadSession(importer("shop", `${from}pw`));
  assert.equal(
    uploaded.warnings.some(({ rule }) => rule === "SL-145"),
    false,
  );
  assert.equal((await variable(here, "shop/api"))?.length, 24);
  const told = await client.uploadSession(importer("thief", `${from}pw`));
  assert.match(told.warnings.map(({ rule, message }) => `${rule} ${message}`).join(), /SL-145 secret p: .* does not export pw to thief/);
  await assert.rejects(variable(here, "thief/api"), failed(/session db of the CAS at 127\.0\.0\.1:\d+ does not export pw to thief/));
  for (const [secret, says] of [
    ["own", /does not export own/],
    ["nothing", /has no secret nothing/],
  ] as const) {
    await client.uploadSession(importer(secret, `${from}${secret}`));
    await assert.rejects(variable(here, `${secret}/api`), failed(says));
  }
  await client.uploadSession(importer("wrong-kind", `${from}pw`, ", kind: private-key"));
  await assert.rejects(variable(here, "wrong-kind/api"), failed(/does not export pw to wrong-kind/));
});

test("SL-146 an export to a local session is not one to its namesake on another CAS, nor the reverse", async (t) => {
  const [here, there, third] = [await startCas(t), await startCas(t), await startCas(t)];
  const toHere = `{session: shop, cas_url: cas.example, cas_key: ${here.running.casKeyHash}}`;
  const text = `${HEAD}name: db\nsecrets:\n  - {name: local, kind: ascii, export: {session: shop}}\n  - {name: remote, kind: ascii, export: ${toHere}}\n`;
  await there.client(createTestClient()).uploadSession(text);
  const policy = (cas: TestCas, secret: string) =>
    importer("shop", `${cas === there ? "" : `${by(there)}, `}session: db, secret: ${secret}`);
  await here.client(createTestClient()).uploadSession(policy(here, "local"));
  await assert.rejects(variable(here, "shop/api"), failed(/does not export local to shop/));
  await there.client(createTestClient()).uploadSession(policy(there, "remote"));
  await assert.rejects(variable(there, "shop/api"), failed(/does not export remote to shop/));
  // A CAS that no export names learns nothing, not even that the session exists.
  await third.client(createTestClient()).uploadSession(policy(third, "remote"));
  await assert.rejects(variable(third, "shop/api"), failed(/does not exist, or exports nothing to this CAS/));
});

test("SL-136, SL-147 a certificate crosses with its chain, and with its key only if the key is exported too", async (t) => {
  const [here, there] = [await startCas(t), await startCas(t)];
  const to = (session: string) => `{session: ${session}, cas_url: cas.example, cas_key: ${here.running.casKeyHash}}`;
  await there.client(createTestClient()).uploadSession(`${HEAD}name: pki
secrets:
  - {name: rk, kind: private-key, migrate: true}
  - {name: root, kind: x509-ca, private_key: rk, common_name: Root}
  - {name: k, kind: private-key, export: ${to("web")}}
  - {name: c, kind: x509, private_key: k, issuer: root, dns: web, export: [${to("web")}, ${to("reader")}]}
`);
  const policy = (name: string, format: string) =>
    testPolicy({
      name,
      security: OPEN,
      service: `    environment: {P: "$$SCONE::c${format}$$"}`,
      rest: `secrets: [{name: c, kind: x509, import: {${by(there)}, session: pki}}]`,
    });
  const client = here.client(createTestClient());
  await client.uploadSession(policy("web", "$$$$SCONE::c:chain$$$$SCONE::c:privatekey"));
  const [leaf = "", root = "", key = ""] = ((await variable(here, "web/api")) ?? "").split(/(?<=-----END [A-Z ]+-----\n)/);
  assert.ok(new X509Certificate(leaf).verify(new X509Certificate(root).publicKey));
  assert.match(key, /BEGIN PRIVATE KEY/);
  await client.uploadSession(policy("reader", ":chain"));
  assert.equal(await variable(here, "reader/api"), root);
  const { hash } = await client.readSessionHash("reader");
  await client.uploadSession(policy("reader", ":privatekey").replace("name: reader\n", `name: reader\npredecessor: ${hash}\n`));
  await assert.rejects(variable(here, "reader/api"), failed(/private key/));
});

test("SL-145, SL-146, SL-149 pinned hashes, a new value, a revoked export: the next delivery follows the exporter", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const [here, there] = [await startCas(t, { now: () => now }), await startCas(t, { now: () => now })];
  const owner = there.client(createTestClient());
  const to = `cas_url: cas.example, cas_key: ${here.running.casKeyHash}`;
  const text = (reference: string, value: string, more = "") =>
    `${HEAD}name: db\n${more}secrets:\n  - {name: pw, kind: ascii, value: ${value}, export: [${reference}]}\n`;
  let { hash } = await owner.uploadSession(text(`{session: shop, ${to}}`, "first"));
  const client = here.client(createTestClient());
  const shop = await client.uploadSession(importer("shop", `${by(there)}, session: db, secret: pw, session_hash: ${hash}`));
  assert.equal(await variable(here, "shop/api"), "first");
  const update = async (reference: string, value: string) => {
    ({ hash } = await owner.uploadSession(text(reference, value, `predecessor: ${hash}\n`)));
    now = new Date(now.getTime() + 2_000);
  };
  await update(`{session: shop, session_hash: ${shop.hash}, ${to}}`, "second");
  await assert.rejects(
    variable(here, "shop/api"),
    failed(/does not have the hash that the other one names/),
    "the importer pinned the first version",
  );
  const again = await client.uploadSession(
    importer("shop", `${by(there)}, session: db, secret: pw`).replace("name: shop\n", `name: shop\npredecessor: ${shop.hash}\n`),
  );
  await assert.rejects(variable(here, "shop/api"), failed(/does not have the hash/), "the exporter pinned the importer's first version");
  await update(`{session: shop, session_hash: ${again.hash}, ${to}}`, "third");
  assert.equal(await variable(here, "shop/api"), "third");
  await update(`{session: other, ${to}}`, "fourth");
  await assert.rejects(variable(here, "shop/api"), failed(/does not export pw to shop/), "hazard C4: a revoked export");
});

test("a CAS that is away: what it last said holds for ten minutes, then the service is refused; other services are not concerned", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const [here, there] = [await startCas(t, { now: () => now }), await startCas(t, { now: () => now })];
  await there
    .client(createTestClient())
    .uploadSession(`${HEAD}name: db\nsecrets:\n  - {name: pw, kind: ascii, value: v, export: {session: shop, ${by(here)}}}\n`);
  const client = here.client(createTestClient());
  const reference = `${by(there)}, session: db, secret: pw`;
  await client.uploadSession(importer("shop", reference));
  await client.uploadSession(testPolicy({ name: "free", security: OPEN }));
  assert.equal(await variable(here, "shop/api"), "v");
  await there.stop();
  now = new Date(now.getTime() + 9 * 60_000);
  assert.equal(await variable(here, "shop/api"), "v");
  now = new Date(now.getTime() + 2 * 60_000);
  await assert.rejects(variable(here, "shop/api"), failed(/the CAS at 127\.0\.0\.1:\d+ cannot be reached/));
  await variable(here, "free/api");
  const late = await client.uploadSession(importer("late", reference));
  assert.match(late.warnings.map(({ message }) => message).join(), /cannot be reached/, "an upload warns and succeeds");
  assert.ok(
    here.lines.some((line) => /import of session shop from the CAS at .*ECONNREFUSED/.test(line)),
    "the operator learns why",
  );
});

test("C-33, hazard B11: a CAS with another key gets no question; one software revision can be pinned instead", async (t) => {
  const [here, there, other] = [await startCas(t), await startCas(t), await startCas(t)];
  for (const cas of [there, other]) {
    await cas
      .client(createTestClient())
      .uploadSession(`${HEAD}name: db\nsecrets:\n  - {name: pw, kind: ascii, value: v, export: {session: shop, ${by(here)}}}\n`);
  }
  const client = here.client(createTestClient());
  // The address leads to `other`, the key is that of `there`.
  await client.uploadSession(
    importer("shop", `cas_url: "${addressOf(other)}", cas_key: ${there.running.casKeyHash}, session: db, secret: pw`),
  );
  await assert.rejects(variable(here, "shop/api"), failed(/does not have the cas key/));
  const { statement } = await there.client().attest("");
  const { softwareKeyHash } = verifyCasChainPem(JSON.parse(statement).chain, {}, new Date());
  const { hash } = await client.readSessionHash("shop");
  const pinned = importer("shop", `cas_url: "${addressOf(there)}", cas_software_key: ${softwareKeyHash}, session: db, secret: pw`);
  await client.uploadSession(pinned.replace("name: shop\n", `name: shop\npredecessor: ${hash}\n`));
  assert.equal(await variable(here, "shop/api"), "v");
});

test("SL-148 two CAS may import from each other; what was imported goes no further", async (t) => {
  const [here, there] = [await startCas(t), await startCas(t)];
  const text = (name: string, own: string, from: TestCas, to: TestCas, source: string) =>
    testPolicy({
      name,
      security: OPEN,
      service: `    environment: {P: "$$SCONE::p$$"}`,
      rest: `secrets:\n  - {name: ${own}, kind: ascii, value: of-${name}, export: {session: ${source}, ${by(to)}}}\n  - {name: p, import: {${by(from)}, session: ${source}, secret: b}}`,
    });
  await here.client(createTestClient()).uploadSession(text("left", "b", there, there, "right"));
  await there.client(createTestClient()).uploadSession(text("right", "b", here, here, "left"));
  assert.deepEqual(await Promise.all([variable(here, "left/api"), variable(there, "right/api")]), ["of-right", "of-left"]);
  // An import has no `export` (SL-148 is checked in the document), so asking for one finds nothing to give.
  await here.client(createTestClient()).uploadSession(importer("left2", `${by(there)}, session: right, secret: p`));
  await assert.rejects(variable(here, "left2/api"), failed(/does not export p to left2/));
});

test("a running instance is sent a value that changed on another CAS", async (t) => {
  let now = new Date("2026-06-01T00:00:00Z");
  const [here, there] = [await startCas(t, { now: () => now }), await startCas(t, { now: () => now })];
  const owner = there.client(createTestClient());
  const text = (value: string, more = "") =>
    `${HEAD}name: db\n${more}secrets:\n  - {name: pw, kind: ascii, value: ${value}, export: {session: shop, ${by(here)}}}\n`;
  const { hash } = await owner.uploadSession(text("old"));
  const policy = importer("shop", `${by(there)}, session: db, secret: pw`)
    .replace("    pwd: /", "    pwd: /\n    image_name: i")
    .concat('images: [{name: i, injection_files: [{path: /p, content: "$$SCONE::p$$"}]}]\n');
  await here.client(createTestClient()).uploadSession(policy);
  const { connection } = await here.attest("shop/api", { evidence: undefined });
  t.after(() => connection.close());
  const renewed = new Promise<string>((resolve) =>
    connection.onRenewal(({ files }) => resolve(Buffer.from(files[0]?.content ?? "", "base64").toString())),
  );
  await owner.uploadSession(text("new", `predecessor: ${hash}\n`));
  now = new Date(now.getTime() + 2_000);
  assert.equal(await variable(here, "shop/api"), "new");
  assert.equal(await renewed, "new");
});

test("access rules may name a secret of another CAS", async (t) => {
  const [here, there] = [await startCas(t), await startCas(t)];
  const [ann, bob] = [createTestClient(), createTestClient()];
  await there
    .client(ann)
    .uploadSession(
      `${HEAD}name: board\nsecrets:\n  - {name: reader, kind: ascii, value: ${bob.keyHash}, export: {session: doc, ${by(here)}}}\n`,
    );
  const rest = `secrets: [{name: reader, import: {${by(there)}, session: board}}]\naccess_policy: {read: ["$$SCONE::reader$$"], update: ["$$SCONE::reader$$"]}`;
  const { hash } = await here.client(ann).uploadSession(testPolicy({ name: "doc", rest }));
  assert.equal((await here.client(bob).readSession("doc")).hash, hash);
  await assert.rejects(here.client(ann).readSession("doc"), problem("not_found"));
  await here.client(bob).uploadSession(testPolicy({ name: "doc", rest: `predecessor: ${hash}\n${rest}` }));
});

test("C-85: the exporter's log says what left it, to whom, and never the value", async (t) => {
  const config = `${LOOPBACK.config}[audit_log]\nmode = "unsigned"\n`;
  const [here, there] = [await startCas(t), await startCas(t, { selfProvision: { config } })];
  await there
    .client(createTestClient())
    .uploadSession(`${HEAD}name: db\nsecrets:\n  - {name: pw, kind: ascii, value: canary-7f3a, export: {session: shop, ${by(here)}}}\n`);
  await here.client(createTestClient()).uploadSession(importer("shop", `${by(there)}, session: db, secret: pw`));
  assert.equal(await variable(here, "shop/api"), "canary-7f3a");
  const entries = readFileSync(join(there.directory, "audit", "cas_audit.log"), "utf8");
  assert.match(
    entries,
    new RegExp(`"event":"secrets_exported".*"secrets":\\["db/pw"\\],"importer":"shop","cas_key":"${here.running.casKeyHash}"`),
  );
  assert.equal(
    [entries, ...here.lines, ...there.lines].some((text) => text.includes("canary-7f3a")),
    false,
  );
});

test("only a CAS may ask for exports: a client's own certificate, or a chain without its keys, is refused", async (t) => {
  const there = await startCas(t);
  const question: ExportRequest = {
    importer: { session: "shop", sessionHash: "00".repeat(32) },
    imports: [{ session: "db", secret: "pw", sessionHash: null, kind: null }],
  };
  await assert.rejects(there.client().exports(question), problem("unauthenticated", /needs a TLS client certificate/));
  await assert.rejects(there.client(createTestClient()).exports(question), problem("unauthenticated", /not that of a CAS/));
  const { statement } = await there.client().attest("");
  const own = createTestClient();
  const borrowed = { certificate: [own.certificate, ...JSON.parse(statement).chain.slice(1)].join(""), privateKey: own.privateKey };
  const { clientAddress, casKeyHash } = there.running;
  using impostor = new CasClient({ ...clientAddress, pin: { casKeyHash }, clientIdentity: borrowed });
  await assert.rejects(impostor.exports(question), problem("unauthenticated", /not that of a CAS/));
});

/** Accepts connections, counts them, says nothing. */
async function silentServer(t: TestContext): Promise<{ readonly port: number; readonly connections: () => number }> {
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    t.after(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

test("hazard J6, field/2026-03-request-forgery: nothing is connected to inside the machine or its link unless the owner admits the network", async (t) => {
  const { port, connections } = await silentServer(t);
  const cas = await startTestCas(t); // default configuration
  const client = cas.client(createTestClient());
  const key = createTestClient().keyHash;
  for (const [at, host] of ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "localhost"].entries()) {
    await client.uploadSession(importer(`s${at}`, `cas_url: "${host}:${port}", cas_key: ${key}, session: o, secret: s`));
    await assert.rejects(variable(cas, `s${at}/api`), failed(/imports may not connect to|cannot be reached/), host);
  }
  assert.equal(connections(), 0);
});

test("a CAS that never answers costs five seconds, and only those who need it", { timeout: 60_000 }, async (t) => {
  const { port } = await silentServer(t);
  const cas = await startCas(t);
  const client = cas.client(createTestClient());
  const reference = `cas_url: "127.0.0.1:${port}", cas_key: ${createTestClient().keyHash}, session: o, secret: s`;
  const started = performance.now();
  const uploaded = await client.uploadSession(importer("slow", reference));
  assert.match(uploaded.warnings.map(({ message }) => message).join(), /cannot be reached/);
  const many = await Promise.allSettled(Array.from({ length: 5 }, () => variable(cas, "slow/api")));
  assert.ok(many.every(({ status }) => status === "rejected"));
  assert.ok(performance.now() - started < 30_000);
});

test("an impostor's answer is never read: the TLS peer is judged before the question is sent", async (t) => {
  const impostor = createTestClient();
  let wasAsked = false;
  const server = createTlsServer({ cert: impostor.certificate, key: impostor.privateKey, ALPNProtocols: ["http/1.1"] }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      wasAsked = true;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const cas = await startCas(t);
  const reference = `cas_url: "127.0.0.1:${(server.address() as AddressInfo).port}", cas_key: ${impostor.keyHash}, session: o, secret: s`;
  await cas.client(createTestClient()).uploadSession(importer("shop", reference));
  await assert.rejects(variable(cas, "shop/api"), failed(/does not have the cas key/));
  assert.equal(wasAsked, false);
});

const REFUSED = [
  "127.0.0.1",
  "0.0.0.0",
  "169.254.169.254",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "::ffff:127.0.0.1",
  "fe80::1",
  "fd00:ec2::254",
  "64:ff9b::7f00:1",
  "no address",
];
const ADMITTED = ["10.0.0.1", "192.168.1.2", "172.16.0.1", "203.0.113.5", "2001:db8::1", "fd12::1"];
test("ImportNetworks: local addresses are refused by default, a list admits exactly what it names", () => {
  const byDefault = new ImportNetworks(undefined);
  for (const address of REFUSED) assert.equal(byDefault.admits(address), false, address);
  for (const address of ADMITTED) assert.equal(byDefault.admits(address), true, address);
  const listed = new ImportNetworks(["10.0.0.0/8", "::1/128"]);
  for (const [address, isAdmitted] of [
    ["10.1.2.3", true],
    ["11.0.0.1", false],
    ["::1", true],
    ["::2", false],
    ["::ffff:10.0.0.1", true],
  ] as const) {
    assert.equal(listed.admits(address), isAdmitted, address);
  }
  assert.equal(new ImportNetworks([]).admits("10.0.0.1"), false);
  for (const text of ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/-1"]) assert.equal(isNetwork(text), false, text);
});

test("C-10: a network that is none is refused where it stands", async (t) => {
  await assert.rejects(
    startTestCas(t, { selfProvision: { config: '[imports]\nnetworks = ["10.0.0.0/99"]\n' } }),
    /imports\.networks.*ADDRESS\/BITS/,
  );
});
