import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCas } from "@vouchsafe/cas";
import { encodeSignedSession, parseSession, parseSignedSession, sessionHash, signSession } from "@vouchsafe/policy";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { Cluster } from "../cluster/cluster.ts";
import { defineResources, freePort, missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { Operator } from "./operator.ts";

const Status = z.object({
  status: z
    .object({
      state: z.string().optional(),
      hash: z.string().optional(),
      conditions: z.array(z.object({ reason: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
});

const CasStatus = z.object({
  status: z
    .object({ state: z.string().optional(), phase: z.string().optional(), conditions: z.array(z.looseObject({})).optional() })
    .prefault({}),
});

/** A real API server with the resource definitions, an operator that works on it, and a CAS that is started when a test wants it. */
async function openOperator(t: TestContext) {
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  const directory = await mkdtemp(join(tmpdir(), "operator-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const stop = new AbortController();
  const operator = new Operator(
    cluster,
    {
      casImage: "cas",
      lasImage: "las",
      operator: { namespace: "scone-system", pod: "operator-a" },
      connect: () => new CasClient({ host: "127.0.0.1", port, pin: {}, timeoutMs: 5_000 }),
      judge: judgeWithoutCollateral,
      now: () => new Date(),
    },
    () => undefined,
  );
  const running = operator.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const startTestCas = async (): Promise<void> => {
    const cas = await startCas({
      databasePath: join(directory, "cas.db"),
      platformKeyPath: join(directory, "platform.key"),
      clientListen: { host: "127.0.0.1", port },
      serviceListen: { host: "127.0.0.1", port: 0 },
      selfProvision: { config: "" },
      writeLine: () => undefined,
    });
    t.after(() => cas[Symbol.asyncDispose]());
  };
  const policy = (kind: string, name: string, spec: object) => ({
    apiVersion: "cas.scone.cloud/v1beta1",
    kind,
    metadata: { name, namespace: "default" },
    spec: { casAddress: "https://cas.default:8081", ...spec },
  });
  const statusOf = async (object: ReturnType<typeof policy>) => Status.parse(await cluster.find(object)).status;
  await eventually(async () => (await cluster.listAt(policy("EncryptedPolicy", "any", {}))).resourceVersion !== "");
  return { cluster, port, policy, statusOf, startTestCas };
}

test("CL-70, CL-71: policies are sent to a real CAS, and their resources say what came of it", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster, policy, statusOf, startTestCas } = await openOperator(t);
  const encrypted = policy("EncryptedPolicy", "encrypted", { policy: "AAAA", encryptionKey: "ab".repeat(32) });
  const signed = policy("SignedPolicy", "signed", { policy: "name: x", signatures: [] });
  await cluster.apply(encrypted);
  await eventually(async () => (await statusOf(encrypted)).state === "PENDING");
  assert.equal((await statusOf(encrypted)).conditions[0]?.reason, "CAS_UNREACHABLE");

  await startTestCas();
  await eventually(async () => (await statusOf(encrypted)).state === "FAILED");
  assert.match((await statusOf(encrypted)).conditions[0]?.message ?? "", /encrypted for another CAS/);
  await cluster.apply(signed);
  await eventually(async () => (await statusOf(signed)).state === "FAILED");
  const events = await cluster.list({ apiVersion: "v1", kind: "Event", namespace: "default" });
  assert(
    events.some((event) => JSON.stringify(event).includes('"name":"signed"')),
    "a refusal is an event too",
  );
  return undefined;
});

test("CL-71 to CL-73: a policy waits for its namespace; the same document again is UPLOADED, another of its name or a changed one FAILED; a deletion leaves it in the CAS", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster, port, policy, statusOf, startTestCas } = await openOperator(t);
  await startTestCas();
  // What a CAS tells strangers about: its hash (SL-49).
  const SALT = "00112233445566778899aabbccddeeff";
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const signer = publicKey.export({ type: "spki", format: "pem" }).toString();
  const textOf = (name: string, more = "") =>
    `name: ${name}\nversion: "0.3.12"\nsalt: ${SALT}\ncreator:\n  signer: |\n${signer.trimEnd().replace(/^/gm, "    ")}\n${more}`;
  /** The resource of a signed document, as `sconectl` writes it. */
  const signed = (resource: string, name: string, more = "") => {
    const text = textOf(name, more);
    const { session } = parseSession(text);
    assert(session !== undefined);
    const document = parseSignedSession(encodeSignedSession(signSession(text, privateKey)));
    const signatures = document.signatures.map((each) => ({ signer: each.signer.publicKey, signature: each.signature.toBase64() }));
    const object = policy("SignedPolicy", resource, { policy: document.policy, signatures });
    const annotations = { "vouchsafe.dev/policy-name": name, "vouchsafe.dev/policy-hash": sessionHash(session) };
    return { ...object, metadata: { ...object.metadata, annotations } };
  };
  const becomes = (object: ReturnType<typeof signed>, state: string) => eventually(async () => (await statusOf(object)).state === state);
  const conditionOf = async (object: ReturnType<typeof signed>) => (await statusOf(object)).conditions[0];

  const service = signed("service", "team/service");
  await cluster.apply(service);
  await becomes(service, "PENDING");
  assert.match((await conditionOf(service))?.message ?? "", /namespace/);
  const namespace = signed("namespace", "team");
  await cluster.apply(namespace);
  await becomes(namespace, "UPLOADED");
  await becomes(service, "UPLOADED");

  const again = signed("service-of-another-release", "team/service");
  await cluster.apply(again);
  await becomes(again, "UPLOADED");
  assert.equal((await statusOf(again)).hash, (await statusOf(service)).hash);
  const other = signed("other", "team/service", "secrets: [{name: a, kind: ascii}]\n");
  await cluster.apply(other);
  await becomes(other, "FAILED");
  assert.match((await conditionOf(other))?.message ?? "", /sconectl apply/);

  // A text that was changed has no signature any more.
  await cluster.merge(again, { spec: { policy: textOf("team/service", "secrets: [{name: b, kind: ascii}]\n") } });
  await becomes(again, "FAILED");
  await cluster.remove(service);
  await eventually(async () => (await cluster.find(service)) === undefined);
  const client = new CasClient({ host: "127.0.0.1", port, pin: {}, timeoutMs: 5_000 });
  t.after(() => client.close());
  const { session } = parseSession(textOf("team/service"));
  assert.equal((await client.readSessionHash("team/service")).hash, session === undefined ? "" : sessionHash(session));
  return undefined;
});

test("CL 10.2: a CAS that is being deleted is in phase Deleted, nothing of it is made again, and it goes when nobody holds it", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster } = await openOperator(t);
  const metadata = { name: "cas", namespace: "default" };
  const cas = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata };
  const made = ["apps/v1 StatefulSet", "v1 Service"].map((each) => {
    const [apiVersion = "", kind = ""] = each.split(" ");
    return { apiVersion, kind, metadata };
  });
  const phaseOf = async () => CasStatus.parse(await cluster.find(cas)).status;
  // Somebody else has to finish first, as a backup tool would.
  await cluster.apply({ ...cas, spec: {} });
  await cluster.merge(cas, { metadata: { finalizers: ["tests.vouchsafe.dev/hold"] } });
  await eventually(async () => (await phaseOf()).phase === "Uninitialized");
  for (const object of made) assert.notEqual(await cluster.find(object), undefined, object.kind);
  await cluster.remove(cas);
  await eventually(async () => (await phaseOf()).phase === "Deleted");
  assert.deepEqual(await phaseOf(), { state: "PENDING", phase: "Deleted", conditions: [] });
  // The API server here has no controllers: what goes with the CAS goes by hand.
  for (const object of made) await cluster.remove(object);
  await cluster.merge(cas, { metadata: { annotations: { look: "again" } } });
  await cluster.merge(cas, { status: { phase: "Provisioned" } }, "status");
  await eventually(async () => (await phaseOf()).phase === "Deleted");
  for (const object of made) assert.equal(await cluster.find(object), undefined, `${object.kind} is made again`);
  await cluster.merge(cas, { metadata: { finalizers: null } });
  await eventually(async () => (await cluster.find(cas)) === undefined);
  return undefined;
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (await holds()) return;
    await sleep(100);
  }
  assert.fail("it did not happen within 30 s");
}
