import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FMSPC, type JsonDocument, type MintedIntel, mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { DiskCache } from "../cache/disk-cache.ts";
import { CollateralError } from "../collateral-error.ts";
import type { CollateralRequest } from "../collateral-request.ts";
import { intelSource } from "../sources/intel-source.ts";
import { type CollateralServer, startCollateralServer } from "../testing/collateral-server.ts";
import { CollateralProvider, type ProviderOptions } from "./collateral-provider.ts";
import { memoryFloors } from "./evaluation-floors.ts";

const DAY_MS = 86_400_000;
const TCB: CollateralRequest = { kind: "tcb-info", tee: "sgx", fmspc: FMSPC, update: "standard" };
const later = (days: number) => new Date(mintedNow.getTime() + days * DAY_MS);
const minted = mintIntel();

function providerOf(servers: readonly CollateralServer[], options: Partial<ProviderOptions> = {}): CollateralProvider {
  return new CollateralProvider({
    sources: servers.map(({ url, ca }) => intelSource(url, { timeoutMs: 1000, ca })),
    anchors: { sgx: [minted.root], tdx: [minted.root] },
    floors: memoryFloors(),
    now: () => mintedNow,
    random: () => 0.5,
    ...options,
  });
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-collateral-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const dated =
  (issueDate: string, nextUpdate: string, evaluation = 20) =>
  (document: JsonDocument) =>
    void Object.assign(document, { issueDate, nextUpdate, tcbEvaluationDataNumber: evaluation });

test("a PCCS gives TCB Info, QE identity and both lists, over TLS under its own authority", async (t) => {
  const server = await startCollateralServer(t, { tls: true });
  server.serveIntel(minted);
  const provider = providerOf([server]);
  const found = await provider.get(TCB);
  assert.deepEqual(Buffer.from(found.body), Buffer.from(minted.collateral.tcbInfo ?? []));
  assert.equal(found.evaluationNumber, 20);
  assert.equal(found.goodUntil.toISOString(), "2026-07-01T00:00:00.000Z");
  for (const request of [
    { kind: "qe-identity", tee: "sgx", update: "early" },
    { kind: "pck-crl", authority: "platform" },
    { kind: "root-ca-crl" },
  ] as const) {
    assert.equal((await provider.get(request)).goodUntil.toISOString(), "2026-07-01T00:00:00.000Z");
  }
  assert.equal(server.requests.length, 4);
  await provider.get(TCB);
  assert.equal(server.requests.length, 4, "what is at hand is not asked for again");
  const strangers = providerOf([{ ...server, ca: undefined }]);
  await assert.rejects(strangers.get(TCB), { code: "COLLATERAL_UNAVAILABLE", message: /self-signed/ });
});

interface HostileSource {
  readonly rule: string;
  readonly answer?: CollateralServer["hostile"];
  readonly serve?: (server: CollateralServer) => void;
  readonly says: RegExp;
}

const hostile: readonly HostileSource[] = [
  { rule: "an error status", answer: (_, r) => void r.writeHead(503).end(), says: /status 503/ },
  { rule: "nothing", serve: ({ documents }) => documents.clear(), says: /does not have it/ },
  {
    rule: "a gigabyte that is announced",
    answer: (_, r) => void r.writeHead(200, { "content-length": String(2 ** 30) }).write("x"),
    says: /more than 8388608 bytes/,
  },
  {
    rule: "a gigabyte that is not announced",
    answer: (_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    },
    says: /more than 8388608 bytes/,
  },
  {
    rule: "an answer that never ends",
    answer: (_, r) => void r.writeHead(200).write("{"),
    says: /no answer within 1000 ms/,
  },
  { rule: "silence", answer: () => undefined, says: /no answer within 1000 ms/ },
  { rule: "a broken connection", answer: (request) => void request.socket.destroy(), says: /hang up|ECONNRESET/ },
  {
    rule: "a redirect to another host",
    answer: (_, r) => void r.writeHead(302, { location: "http://127.0.0.2:1/evil" }).end(),
    says: /redirects to another host/,
  },
  {
    rule: "redirects without end",
    answer: (_, r) => void r.writeHead(302, { location: "/again" }).end(),
    says: /redirects more than 3 times/,
  },
  {
    rule: "a document that is cut off",
    serve: (s) => {
      for (const [path, { body, headers = {} }] of s.documents) s.documents.set(path, { body: body.subarray(0, 300), headers });
    },
    says: /not of the form/,
  },
  { rule: "no issuer chain", serve: (s) => void withoutHeaders(s), says: /without the chain of its issuer/ },
  {
    rule: "hazard A6: an expired document",
    serve: (s) => s.serveIntel(mintIntel({ tcbInfo: dated("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z") })),
    says: /tcb-info\/00906ed50000\/standard: ended on 2026-05-01/,
  },
  {
    rule: "hazard A6: a document of the future",
    serve: (s) => s.serveIntel(mintIntel({ tcbInfo: dated("2026-06-20T00:00:00Z", "2026-07-20T00:00:00Z") })),
    says: /issued on 2026-06-20.* not yet/,
  },
  {
    rule: "C-49: a document that is still valid but older than 30 days",
    serve: (s) => s.serveIntel(mintIntel({ tcbInfo: dated("2026-04-01T00:00:00Z", "2026-12-01T00:00:00Z") })),
    says: /more than 30 days ago/,
  },
  {
    rule: "the TCB Info of another FMSPC",
    serve: (s) => s.serveIntel(mintIntel({ tcbInfo: (d) => void Object.assign(d, { fmspc: "00606a000000" }) })),
    says: /is for FMSPC 00606a000000/,
  },
  { rule: "the TCB Info of TDX", serve: (s) => s.serveIntel(mintIntel({ tee: "tdx" })), says: /is for tdx/ },
  {
    rule: "a document that was edited",
    serve: (s) => s.serveIntel(mintIntel({ editTcbInfo: (x) => x.replace("UpToDate", "Revoked!") })),
    says: /not signed/,
  },
  {
    rule: "hazard A23: a document signed by a CA of platforms",
    serve: (s) => s.serveIntel(mintIntel({ isTcbSignedByPckCa: true })),
    says: /not a certificate for Intel SGX TCB Signing/,
  },
];

function withoutHeaders({ documents }: CollateralServer): void {
  for (const [path, { body }] of documents) documents.set(path, { body });
}

for (const { rule, answer, serve, says } of hostile) {
  test(`a source that answers with ${rule} is passed over, and named when no other helps`, { timeout: 60_000 }, async (t) => {
    const bad = await startCollateralServer(t);
    bad.serveIntel(minted);
    serve?.(bad);
    bad.hostile = answer;
    await assert.rejects(providerOf([bad]).get(TCB), (error: Error & { code?: string }) => {
      assert.equal(error.code, "COLLATERAL_UNAVAILABLE");
      assert.match(error.message, says);
      return true;
    });
    const good = await startCollateralServer(t);
    good.serveIntel(minted);
    const found = await providerOf([bad, good]).get(TCB);
    assert.equal(found.source, good.url.host);
  });
}

test("hazard A7: a list of another issuer, signed by another key, or expired is refused", async (t) => {
  const request = { kind: "root-ca-crl" } as const;
  const cases: readonly [MintedIntel, RegExp][] = [
    [mintIntel({ rootCrl: { issuer: "Another CA" } }), /not issued by/],
    [mintIntel({ rootCrl: { key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey } }), /names another key/],
    [mintIntel({ rootCrl: { validity: [new Date("2026-04-01"), new Date("2026-05-01")] } }), /ended on 2026-05-01/],
  ];
  for (const [each, says] of cases) {
    const server = await startCollateralServer(t);
    server.serveIntel(each);
    await assert.rejects(providerOf([server]).get(request), { code: "COLLATERAL_UNAVAILABLE", message: says });
  }
  const server = await startCollateralServer(t);
  server.serveIntel(mintIntel({ pckCaName: "Intel SGX PCK Processor CA" }));
  await assert.rejects(providerOf([server]).get({ kind: "pck-crl", authority: "platform" }), {
    message: /is not of Intel SGX PCK Platform CA/,
  });
});

test("hazard A6: the evaluation number never goes back, not even after a restart", async (t) => {
  const server = await startCollateralServer(t);
  server.serveIntel(mintIntel({ tcbInfo: dated("2026-06-02T00:00:00Z", "2026-07-02T00:00:00Z", 21) }));
  const floors = memoryFloors();
  assert.equal((await providerOf([server], { floors }).get(TCB)).evaluationNumber, 21);
  server.serveIntel(minted);
  await assert.rejects(providerOf([server], { floors }).get(TCB), { message: /evaluation 20, but 21 has been seen/ });
});

test("the early set may be ahead without making the standard set too old", async (t) => {
  const server = await startCollateralServer(t);
  server.serveIntel(minted, { update: "standard" });
  server.serveIntel(mintIntel({ tcbInfo: dated("2026-06-02T00:00:00Z", "2026-07-02T00:00:00Z", 21) }), { update: "early" });
  const provider = providerOf([server]);
  assert.equal((await provider.get({ ...TCB, update: "early" })).evaluationNumber, 21);
  assert.equal((await provider.get(TCB)).evaluationNumber, 20);
});

test("a refreshed document replaces the old one before that ends; an older one never does", async (t) => {
  const server = await startCollateralServer(t);
  server.serveIntel(minted);
  let now = mintedNow;
  const provider = providerOf([server], { now: () => now });
  await provider.get(TCB);
  const asked = server.requests.length;
  await provider.refreshDue();
  assert.equal(server.requests.length, asked, "nothing is due yet");
  now = later(1.1);
  server.serveIntel(mintIntel({ tcbInfo: dated("2026-05-20T00:00:00Z", "2026-08-20T00:00:00Z") }));
  await provider.refreshDue();
  const kept = await provider.get(TCB);
  assert.equal(kept.issuedAt.toISOString(), "2026-06-01T00:00:00.000Z");
  assert.match(provider.status()[0]?.problem ?? "", /older than the one at hand/);
  now = later(2);
  server.serveIntel(mintIntel({ tcbInfo: dated("2026-06-15T00:00:00Z", "2026-07-15T00:00:00Z") }));
  await provider.refreshDue();
  assert.equal((await provider.get(TCB)).issuedAt.toISOString(), "2026-06-15T00:00:00.000Z");
  assert.equal(provider.status()[0]?.problem, undefined);
});

test("hazard L5: while the source is down the last good document serves until it ends; then the refusal says why", async (t) => {
  const server = await startCollateralServer(t);
  server.serveIntel(minted);
  let now = mintedNow;
  const provider = providerOf([server], { now: () => now });
  await provider.get(TCB);
  await server.stop();
  for (const days of [2, 9, 15]) {
    now = later(days);
    await provider.refreshDue();
    assert.equal((await provider.get(TCB)).issuedAt.toISOString(), "2026-06-01T00:00:00.000Z");
  }
  now = new Date("2026-07-01T00:00:01Z");
  await assert.rejects(provider.get(TCB), { code: "COLLATERAL_UNAVAILABLE", message: /ended on 2026-07-01.*ECONNREFUSED/ });
});

test("a source that failed is not asked again at once, and one question serves all who wait", async (t) => {
  const server = await startCollateralServer(t);
  let now = mintedNow;
  const provider = providerOf([server], { now: () => now });
  await Promise.all(Array.from({ length: 20 }, () => assert.rejects(provider.get(TCB))));
  assert.equal(server.requests.length, 1);
  server.serveIntel(minted);
  await assert.rejects(provider.get(TCB));
  assert.equal(server.requests.length, 1);
  now = new Date(now.getTime() + 6000);
  await provider.get(TCB);
  assert.equal(server.requests.length, 2);
});

test("the cache on disk serves a restart, and is verified again: a changed file counts as absent", async (t) => {
  const directory = temporaryDirectory(t);
  const server = await startCollateralServer(t);
  server.serveIntel(minted);
  await providerOf([server], { store: await DiskCache.open(directory) }).get(TCB);
  await server.stop();
  const offline = async () => new CollateralProvider({ ...offlineOptions(), store: await DiskCache.open(directory) });
  assert.equal((await (await offline()).get(TCB)).evaluationNumber, 20);
  const [file = ""] = readdirSync(directory);
  const path = join(directory, file);
  const text = readFileSync(path, "utf8");
  const body = (JSON.parse(text) as { documents: { body: string }[] }).documents[0]?.body ?? "";
  const forged = Buffer.from(Buffer.from(body, "base64").toString().replace("OutOfDate", "UpToDate ")).toString("base64");
  for (const changed of [text.slice(0, -40), "", text.replace(body, forged), text.replace(FMSPC, "00606a000000")]) {
    writeFileSync(path, changed);
    await assert.rejects((await offline()).get(TCB), { code: "COLLATERAL_UNAVAILABLE", message: /no source is configured/ });
  }
  writeFileSync(`${path}.x.new`, "half of a document");
  await offline();
  assert.deepEqual(readdirSync(directory), [file]);
});

test("a cache that cannot be written costs no service; a date of fetching that cannot be true is corrected", async (t) => {
  const server = await startCollateralServer(t);
  server.serveIntel(minted);
  const events: string[] = [];
  const full = {
    read: async () => undefined,
    write: async () => {
      throw new CollateralError("COLLATERAL_CACHE", "no space left");
    },
  };
  const provider = providerOf([server], { store: full, onEvent: ({ outcome }) => events.push(outcome) });
  assert.equal((await provider.get(TCB)).evaluationNumber, 20);
  assert.deepEqual(events, ["fetched", "not-kept"]);
  const { body, chain } = await provider.get(TCB);
  for (const fetchedAt of [new Date("2099-01-01"), new Date(0)]) {
    const stored = { request: TCB, body, chain, fetchedAt, source: "file" };
    const offline = new CollateralProvider({ ...offlineOptions(), store: { ...full, read: async () => stored } });
    const { fetchedAt: told, issuedAt } = await offline.get(TCB);
    assert.ok(told <= mintedNow && told >= issuedAt);
    const [{ refreshAt } = { refreshAt: undefined }] = offline.status();
    assert.ok(refreshAt !== undefined && refreshAt < later(1.1));
  }
});

function offlineOptions(): ProviderOptions {
  return {
    sources: [],
    anchors: { sgx: [minted.root], tdx: [minted.root] },
    floors: memoryFloors(),
    now: () => mintedNow,
    random: () => 0.5,
  };
}
