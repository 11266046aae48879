import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { parseSession, type Session } from "@vouchsafe/policy";
import { makeValues } from "../sessions/make-values.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import type { RowKey } from "../store/row-store.ts";
import { testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";
import { resolveSecrets } from "./resolve-secrets.ts";

const UPDATES = 60;

async function filesOf(cas: TestCas, service: string): Promise<ReadonlyMap<string, string>> {
  const { configuration, connection } = await cas.attest(service, { timeoutMs: 120_000 });
  connection.close();
  return new Map(configuration.files.map(({ path, content }) => [path, Buffer.from(content ?? "", "base64").toString()]));
}

/** A store with its CA and a certificate for its client; the session changes with every update, the keys as `migrate` says. */
const store = (round: number, migrate: boolean, predecessor?: string) =>
  testPolicy({
    name: "store",
    service: `    image_name: i\n    environment: {ROUND: "${round}"}`,
    rest: `secrets:
  - {name: ca_key, kind: private-key, migrate: ${migrate}}
  - {name: ca, kind: x509-ca, private_key: ca_key, export: {session: client}}
  - {name: key, kind: private-key, migrate: ${migrate}}
  - {name: crt, kind: x509, private_key: key, issuer: ca, endpoint: server, dns: store}
  - {name: client_key, kind: private-key, migrate: ${migrate}, export: {session: client}}
  - {name: client_crt, kind: x509, private_key: client_key, issuer: ca, endpoint: client, export: {session: client}}
images: [{name: i, injection_files: [{path: /ca, content: "$$SCONE::ca$$"}, {path: /crt, content: "$$SCONE::crt$$"}, {path: /key, content: "$$SCONE::crt:privatekey$$"}]}]
${predecessor === undefined ? "" : `predecessor: ${predecessor}`}`,
  });

const CLIENT = testPolicy({
  name: "client",
  service: "    image_name: i",
  rest: `secrets:
  - {name: client_crt, kind: x509, import: {session: store}}
  - {name: ca, kind: x509-ca, import: {session: store}}
images: [{name: i, injection_files: [{path: /crt, content: "$$SCONE::client_crt$$"}, {path: /key, content: "$$SCONE::client_crt:privatekey$$"}, {path: /ca, content: "$$SCONE::ca$$"}]}]`,
});

test("SL-158: two imports from one session are of the same version, however long the database takes between them", async () => {
  const session = (text: string): Session => {
    const { session: parsed, diagnostics } = parseSession(text);
    assert(parsed !== undefined, JSON.stringify(diagnostics));
    return parsed;
  };
  const record = (name: string, text: string): SessionVersion => ({
    name,
    hash: "00".repeat(32),
    session: session(text),
    uploader: { kind: "certificate", keyHash: "", pem: "" },
    uploadedAt: "",
    isHashPublic: false,
  });
  const [exporter, importer] = [record("store", store(0, false)), record("client", CLIENT)];
  const now = new Date();
  const generations = Array.from({ length: 3 }, () => makeValues(exporter.session, undefined, now).values);
  let asked = 0;
  const rows = {
    // Between two questions the exporter is updated.
    get: async <T>(key: RowKey): Promise<T | undefined> => {
      if (key.kind === currentKey("").kind) return exporter as T;
      return key.id === "store" ? (generations[asked++] as T) : undefined;
    },
  };
  const vaults = { find: async () => "no vault" };
  const { values } = await resolveSecrets({ rows, remote: { find: () => "no CAS" }, vaults }, importer, now);
  const [crt, ca] = [values.get("client_crt"), values.get("ca")];
  assert(crt?.kind === "x509" && ca?.kind === "x509-ca");
  assert.ok(new X509Certificate(crt.certificate).verify(new X509Certificate(ca.certificate).publicKey));
});

/** Updates the store again and again while both services start; everything that both were given, in the order of the answers. */
async function startDuringUpdates(cas: TestCas, migrate: boolean) {
  const author = cas.client(createTestClient());
  let { hash } = await author.uploadSession(store(0, migrate));
  await author.uploadSession(CLIENT);
  const stores: ReadonlyMap<string, string>[] = [];
  const clients: ReadonlyMap<string, string>[] = [];
  let isOver = false;
  const starting = [
    ["store/api", stores],
    ["client/api", clients],
    ["client/api", clients],
  ].map(async ([service, into]) => {
    while (!isOver) (into as ReadonlyMap<string, string>[]).push(await filesOf(cas, service as string));
  });
  try {
    for (let round = 1; round <= UPDATES; round += 1) ({ hash } = await author.uploadSession(store(round, migrate, hash)));
  } finally {
    isOver = true;
  }
  await Promise.all(starting);
  return { stores, clients };
}

function assertBelongsTogether(files: ReadonlyMap<string, string>): void {
  const [crt, key, ca] = ["/crt", "/key", "/ca"].map((path) => files.get(path) ?? assert.fail(`${path} is missing`));
  const certificate = new X509Certificate(crt ?? "");
  assert.ok(certificate.verify(new X509Certificate(ca ?? "").publicKey), "the certificate was issued by the CA that came with it");
  assert.ok(certificate.checkPrivateKey(createPrivateKey(key ?? "")), "the key is that of the certificate");
}

test("SL-158: certificate, key and CA of one delivery belong together, also while the session that they come from is updated", async (t) => {
  const cas = await startTestCas(t);
  const { stores, clients } = await startDuringUpdates(cas, false);
  for (const files of [...stores, ...clients]) assertBelongsTogether(files);
  assert.ok(new Set(clients.map((files) => files.get("/ca"))).size > 2, "clients started between the updates");
});

test("SL-135: with keys that migrate, whatever two services were given before, during and after updates verifies against one another", async (t) => {
  const cas = await startTestCas(t);
  const { stores, clients } = await startDuringUpdates(cas, true);
  const authorities = new Set([...stores, ...clients].map((files) => files.get("/ca") ?? ""));
  assert.ok(authorities.size > 2, "the CA's certificate was issued anew");
  const certificates = new Set([...stores, ...clients].map((files) => files.get("/crt") ?? ""));
  for (const authority of authorities) {
    const ca = new X509Certificate(authority);
    for (const certificate of certificates) {
      const leaf = new X509Certificate(certificate);
      assert.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey));
    }
  }
});
