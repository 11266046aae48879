import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Evidence, parsePemCertificates, type TcbStatus } from "@vouchsafe/attestation";
import { type CollateralSource, intelSource } from "@vouchsafe/collateral";
import { type IntelMint, type JsonDocument, type MintedIntel, mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { chipId, mintedAt, mintSnp } from "../../../attestation/src/testing/mint-snp.ts";
import { certificatePem } from "../../../attestation/src/x509/issue-certificate.ts";
import { type CollateralServer, startCollateralServer } from "../../../collateral/src/testing/collateral-server.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { parseOwnerConfig } from "../config/owner-config.ts";
import type { CasOptions } from "../start-cas.ts";
import { refusal, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas, type TestCas } from "../testing/test-cas.ts";

const MRENCLAVE = "3e".repeat(32);
const DAY_MS = 86_400_000;

interface PolicyText {
  readonly name?: string;
  readonly kind?: string;
  readonly platform?: string;
  readonly variant?: string;
}

async function upload(
  cas: TestCas,
  { name = "shop", kind = "sgx", platform = "", variant = `{mrenclave: [${MRENCLAVE}]}` }: PolicyText = {},
) {
  const text = testPolicy({ name, security: `{attestation: {evidence: [${kind}]${platform}}}` });
  await cas.client(createTestClient()).uploadSession(text.replace(`{mrenclave: [${TEST_CODE}]}`, variant));
}

/** A CAS at the time of the minted evidence, which trusts its root and finds its collateral. */
async function startIntelCas(t: TestContext, minted: MintedIntel, options: Partial<CasOptions> = {}): Promise<TestCas> {
  return startTestCas(t, {
    now: () => mintedNow,
    trustAnchors: { sgx: [minted.root], tdx: [minted.root] },
    collateral: { sources: [mintedSource(minted)] },
    ...options,
  });
}

const evidenceOf =
  (mint: IntelMint = {}) =>
  async (userData: Uint8Array): Promise<Evidence> => {
    const tee = mint.tee ?? "sgx";
    const { quote } = mintIntel({ ...mint, body: (body) => void [mint.body?.(body), body.set(userData, tee === "sgx" ? 320 : 520)] });
    return { kind: tee, bytes: quote };
  };

async function attestAndClose(cas: TestCas, service: string, evidence: (userData: Uint8Array) => Promise<Evidence>) {
  const attested = await cas.attest(service, { evidence });
  attested.connection.close();
  return attested.configuration;
}

const withStatus =
  (tcbStatus: TcbStatus, advisoryIDs: readonly string[] = []) =>
  (document: JsonDocument) => {
    const [best] = document["tcbLevels"] as JsonDocument[];
    Object.assign(best ?? {}, { tcbStatus, advisoryIDs });
  };

const SIGNER = `{signer: {mrsigner: ${"05".repeat(32)}, isvprodid: 7, isvsvn_min: 3}}`;

test("SGX evidence with the right user data gets its configuration; collateral comes from a PCCS", async (t) => {
  const minted = mintIntel();
  const server = await startCollateralServer(t, { tls: true });
  server.serveIntel(minted);
  const cas = await startIntelCas(t, minted, { collateral: { sources: [intelSource(server.url, { ca: server.ca })] } });
  await upload(cas);
  const configuration = await attestAndClose(cas, "shop/api", evidenceOf());
  assert.equal(configuration.attested, true);
  await attestAndClose(cas, "shop/api", evidenceOf());
  assert.equal(server.requests.length, 4, "fetched once");
});

test("cas.md §4: with dcap.subscription_key the CAS asks the owner's service, with the key; it is in no log and goes to no other server", async (t) => {
  const key = "0123456789abcdef0123456789ABCDEF";
  const minted = mintIntel();
  const keys: (string | undefined)[] = [];
  const ask = (server: CollateralServer) => (request: IncomingMessage, response: ServerResponse) => {
    const sent = request.headersDistinct["ocp-apim-subscription-key"]?.[0];
    keys.push(sent);
    const found = server.documents.get(request.url ?? "");
    // As Intel's gateway answers who has no subscription.
    if (sent !== key) response.writeHead(401).end();
    else if (found === undefined) response.writeHead(404).end();
    else response.writeHead(200, found.headers ?? {}).end(found.body);
  };
  const service = await startCollateralServer(t, { tls: true });
  service.serveIntel(minted);
  service.hostile = ask(service);
  const operators = await startCollateralServer(t, { tls: true });
  operators.hostile = ask(operators);
  const owner = createTestClient();
  const cas = await startIntelCas(t, minted, {
    collateral: { sources: [intelSource(operators.url, { ca: operators.ca })] },
    selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } },
  });
  await upload(cas);
  const refused = () => assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), refusal("collateral_unavailable", "evidence"));
  await refused();
  assert.deepEqual(service.requests, [], "nobody is asked without a key");
  const client = cas.client(owner);
  const place = `url = ${JSON.stringify(service.url.href)}\nserver_ca_certificate = ${JSON.stringify(service.ca)}`;
  await client.updateConfig(`[dcap]\nsubscription_key = "${"0".repeat(32)}"\n${place}\n`);
  await refused();
  await client.updateConfig(`[dcap]\nsubscription_key = "${key.replace("f", "0")}"\n${place}\n`);
  await refused();
  await client.updateConfig(`[dcap]\nsubscription_key = "${key}"\n${place}\n`);
  await attestAndClose(cas, "shop/api", evidenceOf());
  assert(keys.filter((sent) => sent === key).length >= 4, "for each document");
  assert.equal(keys.filter((sent) => sent === undefined).length, operators.requests.length, "the operator's servers get no key");
  assert.doesNotMatch(cas.lines.join("\n"), new RegExp(key.slice(0, 12), "i"));
});

test("cas.md §4: where the operator is offline the owner's service is not asked; its address is https", async (t) => {
  const minted = mintIntel();
  const service = await startCollateralServer(t, { tls: true });
  service.serveIntel(minted);
  const place = `url = ${JSON.stringify(service.url.href)}\nserver_ca_certificate = ${JSON.stringify(service.ca)}`;
  const config = `[dcap]\nsubscription_key = "${"ab".repeat(16)}"\n${place}\n`;
  const cas = await startIntelCas(t, minted, { collateral: { sources: [], isOffline: true }, selfProvision: { config } });
  await upload(cas);
  await assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), refusal("collateral_unavailable", "evidence"));
  assert.deepEqual(service.requests, []);
  const plain = config.replace("https:", "http:");
  assert.throws(() => parseOwnerConfig(plain, "owner.toml"), { code: "CONFIGURATION", message: /owner\.toml:3:\d+: dcap\.url: / });
});

const accepted: readonly { readonly rule: string; readonly kind: "sgx" | "tdx"; readonly variant: string }[] = [
  { rule: "mrenclave", kind: "sgx", variant: `{mrenclave: [${MRENCLAVE}]}` },
  { rule: "tdx mr_td", kind: "tdx", variant: `{tdx: {mrtd: ${"3d".repeat(48)}}}` },
];
for (const { rule, kind, variant } of accepted) {
  test(`a variant with ${rule} admits what it names and refuses anything else`, async (t) => {
    const minted = mintIntel({ tee: kind });
    const cas = await startIntelCas(t, minted);
    await upload(cas, { kind, variant });
    await upload(cas, { name: "other", kind, variant: variant.replace(/3[de]/, "00") });
    await attestAndClose(cas, "shop/api", evidenceOf({ tee: kind }));
    await assert.rejects(cas.attest("other/api", { evidence: evidenceOf({ tee: kind }) }), refusal("policy_unmet", "variants"));
  });
}

test("a variant with a signer admits by MRSIGNER, product and security version", async (t) => {
  const minted = mintIntel();
  const cas = await startIntelCas(t, minted);
  const mrSigner = (body: Buffer) => void body.fill(0x05, 128, 160);
  await upload(cas, { variant: SIGNER });
  await upload(cas, { name: "newer", variant: SIGNER.replace("isvsvn_min: 3", "isvsvn_min: 4") });
  await attestAndClose(cas, "shop/api", evidenceOf({ body: mrSigner }));
  await assert.rejects(
    cas.attest("newer/api", { evidence: evidenceOf({ body: mrSigner }) }),
    refusal("policy_unmet", "variants", /isvsvn is 3/),
  );
  await assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), refusal("policy_unmet", "variants", /mrsigner is/));
});

const TOLERANCES = ["", "outdated-tcb", "insecure-configuration", "software-hardening-needed"] as const;
const NEEDS: Readonly<Partial<Record<TcbStatus, string>>> = {
  UpToDate: "",
  SWHardeningNeeded: "software-hardening-needed",
  ConfigurationNeeded: "insecure-configuration",
  OutOfDate: "outdated-tcb",
};
const STATUSES: readonly TcbStatus[] = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
];
for (const tee of ["sgx", "tdx"] as const) {
  for (const status of STATUSES) {
    test(`hazard A4 through the CAS: ${tee} ${status} × each tolerance`, async (t) => {
      const minted = mintIntel({ tee, tcbInfo: withStatus(status) });
      const cas = await startIntelCas(t, minted);
      const variant = tee === "sgx" ? `{mrenclave: [${MRENCLAVE}]}` : `{tdx: {mrtd: ${"3d".repeat(48)}}}`;
      for (const [index, tolerate] of TOLERANCES.entries()) {
        await upload(cas, { name: `s${index}`, kind: tee, variant, platform: `, tolerate: [${tolerate}]` });
        const attempt = attestAndClose(cas, `s${index}/api`, evidenceOf({ tee }));
        const isAccepted = status === "UpToDate" || (NEEDS[status] !== undefined && NEEDS[status] === tolerate);
        if (isAccepted) await attempt;
        else if (status === "Revoked") await assert.rejects(attempt, refusal("evidence_signature", "evidence", /revoked/));
        else await assert.rejects(attempt, refusal("policy_unmet", "platform-state", new RegExp(`status is ${status}; tolerate:`)));
      }
      const both = ", tolerate: [outdated-tcb, insecure-configuration, software-hardening-needed]";
      await upload(cas, { name: "all", kind: tee, variant, platform: both });
      const attempt = attestAndClose(cas, "all/api", evidenceOf({ tee }));
      if (status === "Revoked") await assert.rejects(attempt, refusal("evidence_signature", "evidence"));
      else await attempt;
    });
  }
}

test("SL-89 through the CAS: an exception admits until its end with a warning, is audited, and the refusal after that names it", async (t) => {
  const minted = mintIntel({ tcbInfo: withStatus("OutOfDate", ["INTEL-SA-00615"]) });
  let now = mintedNow;
  const cas = await startIntelCas(t, minted, { now: () => now, selfProvision: { config: '[audit_log]\nmode = "unsigned"\n' } });
  const exception =
    '{tolerate: [outdated-tcb], ignore_advisories: [INTEL-SA-00615], until: 2026-06-20, because: "the BIOS comes on Friday"}';
  await upload(cas, { platform: `, exceptions: [${exception}]` });
  const { warnings } = await attestAndClose(cas, "shop/api", evidenceOf());
  assert.match(warnings.join("\n"), /accepted by an exception until 2026-06-20T23:59:59Z, which is in 5 days: the BIOS comes on Friday/);
  const log = readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8");
  assert.match(log, /"exceptions":\[\{"tolerate":\["outdated-tcb"\]/);
  now = new Date("2026-06-21T00:00:00Z");
  await assert.rejects(
    cas.attest("shop/api", { evidence: evidenceOf() }),
    refusal("policy_unmet", "platform-state", /an exception that admitted it ended on 2026-06-20T23:59:59Z: the BIOS comes on Friday/),
  );
});

test("hazards A6, A7 through the CAS: the refusal names the document, and nothing is served without it", async (t) => {
  const expired = (document: JsonDocument) =>
    void Object.assign(document, { issueDate: "2026-04-01T00:00:00Z", nextUpdate: "2026-05-01T00:00:00Z" });
  const cases: readonly [IntelMint, RegExp][] = [
    [{ tcbInfo: expired }, /tcb-info\/00906ed50000\/standard: ended on 2026-05-01/],
    [{ qeIdentity: expired }, /qe-identity\/standard: ended on 2026-05-01/],
    [{ pckCrl: { validity: [new Date("2026-04-01"), new Date("2026-05-01")] } }, /pck-crl\/platform: ended on 2026-05-01/],
    [{ rootCrl: { issuer: "Another CA" } }, /root-ca-crl: .*not issued by/],
  ];
  for (const [mint, says] of cases) {
    const cas = await startIntelCas(t, mintIntel(mint));
    await upload(cas);
    await assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), refusal("collateral_unavailable", "evidence", says));
  }
  const revoked = await startIntelCas(t, mintIntel({ pckCrl: { revoked: [3n] } }));
  await upload(revoked);
  await assert.rejects(revoked.attest("shop/api", { evidence: evidenceOf() }), refusal("evidence_signature", "evidence", /revoked/));
  const none = await startIntelCas(t, mintIntel(), { collateral: { sources: [] } });
  await upload(none);
  await assert.rejects(
    none.attest("shop/api", { evidence: evidenceOf() }),
    refusal("collateral_unavailable", "evidence", /no source is configured[\s\S]*Configure a source of collateral/),
  );
});

test("hazard A6: the evaluation number never goes back, not even after a restart of the CAS with an empty cache", async (t) => {
  const evaluation = (tcbEvaluationDataNumber: number) => (document: JsonDocument) =>
    void Object.assign(document, { tcbEvaluationDataNumber });
  const [newer, older] = [mintIntel({ tcbInfo: evaluation(21) }), mintIntel()];
  const cas = await startIntelCas(t, newer);
  await upload(cas);
  await attestAndClose(cas, "shop/api", evidenceOf());
  await cas.restart({ collateral: { sources: [mintedSource(older)] } });
  await assert.rejects(
    cas.attest("shop/api", { evidence: evidenceOf() }),
    refusal("collateral_unavailable", "evidence", /evaluation 20, but 21 has been seen/),
  );
});

test("hazards L5, B9: a source that is down is bridged until the documents end; setting the clock back revives nothing", async (t) => {
  const minted = mintIntel();
  const server = await startCollateralServer(t);
  server.serveIntel(minted);
  let now = mintedNow;
  const cas = await startIntelCas(t, minted, {
    now: () => now,
    collateral: { sources: [intelSource(server.url)] },
    metricsListen: { host: "127.0.0.1", port: 0 },
  });
  await upload(cas);
  await attestAndClose(cas, "shop/api", evidenceOf());
  await server.stop();
  now = new Date(mintedNow.getTime() + 14 * DAY_MS);
  await attestAndClose(cas, "shop/api", evidenceOf());
  const metrics = async () => (await fetch(`http://127.0.0.1:${cas.running.metricsAddress?.port}/metrics`)).text();
  await assert.doesNotReject(async () => {
    for (;;) if (/collateral_problems [1-4]\n/.test(await metrics())) return;
  }, "the failed refresh shows");
  assert.match(
    await metrics(),
    /vouchsafe_cas_collateral_age_seconds\{document="intel\/sgx\/tcb-info\/00906ed50000\/standard"\} 1209600\n/,
  );
  assert.match(await metrics(), /vouchsafe_cas_collateral_requests_total\{source="127\.0\.0\.1:\d+",outcome="unreachable"\} [1-9]/);
  now = new Date("2026-07-01T00:00:01Z");
  const ended = refusal("collateral_unavailable", "evidence", /ended on 2026-07-01T00:00:00.000Z.*ECONNREFUSED/s);
  await assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), ended);
  now = new Date(now.getTime() - DAY_MS);
  await assert.rejects(cas.attest("shop/api", { evidence: evidenceOf() }), ended);
});

test("hazard A23: no address from evidence is ever asked", async (t) => {
  const minted = mintIntel();
  const asked = await startCollateralServer(t);
  const cas = await startIntelCas(t, minted);
  await upload(cas);
  const lure = Buffer.from(asked.url.href);
  const evidence = async (userData: Uint8Array): Promise<Evidence> => {
    const names = ["url", "jku", "x5u", "pccs", "crl", "root", "test_purpose", "verifier"];
    return { ...(await evidenceOf()(userData)), endorsements: new Map(names.map((name) => [name, lure])) };
  };
  await attestAndClose(cas, "shop/api", evidence);
  assert.deepEqual(asked.requests, []);
});

test("SNP evidence is verified with the VCEK, its issuer and the list that the source gives, up to delivery", async (t) => {
  const minted = mintSnp({ revoked: ["stranger"] });
  const root = minted.anchors[0]?.der ?? new Uint8Array();
  const source: CollateralSource = {
    name: "minted",
    fetch: async ({ kind }) => {
      const bodies: Readonly<Record<string, Uint8Array | undefined>> = {
        vcek: minted.endorsementKey.der,
        "amd-chain": Buffer.from([minted.signer.der, root].map(certificatePem).join("")),
        "amd-crl": minted.revocationList?.der,
      };
      const body = bodies[kind];
      return body === undefined ? undefined : { body, chain: undefined };
    },
  };
  const cas = await startTestCas(t, { now: () => mintedAt, trustAnchors: { snp: [root] }, collateral: { sources: [source] } });
  const measurement = new Uint8Array(48).fill(0x77);
  await upload(cas, { kind: "snp", variant: `{snp: {measurement: ${measurement.toHex()}, minimum_tcb: {microcode: 115}}}` });
  await upload(cas, { name: "newer", kind: "snp", variant: `{snp: {measurement: ${measurement.toHex()}, minimum_tcb: {microcode: 116}}}` });
  const evidence = async (reportData: Uint8Array): Promise<Evidence> => ({
    kind: "snp",
    bytes: mintSnp({ report: { reportData, measurement } }).report,
  });
  await attestAndClose(cas, "shop/api", evidence);
  await assert.rejects(
    cas.attest("newer/api", { evidence }),
    refusal("policy_unmet", "variants", /microcode is 115, expected at least 116/),
  );
  assert.equal(chipId.length, 64);
});

test("hazard A21: a CAS without a development root refuses simulated evidence and the audit log calls it insecure", async (t) => {
  const cas = await startTestCas(t, { trustAnchors: { snp: [] }, selfProvision: { config: '[audit_log]\nmode = "unsigned"\n' } });
  await upload(cas, { kind: "simulated" });
  const bytes = Buffer.concat([Uint8Array.of(3), Buffer.from("snp"), mintSnp().report]);
  const minted = mintSnp();
  const endorsements = new Map([
    ["endorsement-key", minted.endorsementKey.der],
    ["signer", minted.signer.der],
  ]);
  await assert.rejects(
    cas.attest("shop/api", { evidence: async () => ({ kind: "simulated", bytes, endorsements }) }),
    refusal("evidence_signature", "evidence"),
  );
  const log = readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8");
  assert.match(log, /"attestation_refused".*"evidence":"simulated".*"warning":"insecure evidence kind"/);
});

const vectors = process.env["VOUCHSAFE_VECTORS"] ?? "";
const hasVectors = existsSync(vectors) ? false : "VOUCHSAFE_VECTORS names no vector collection";

interface Recorded {
  readonly name: string;
  readonly at: Date;
  readonly evidence: Evidence;
  /** None where nobody recorded AMD's list: a CAS without sources takes what the guest brings. */
  readonly sources: readonly CollateralSource[];
}

test("recorded SGX, TDX and SNP evidence passes the CAS's real verification at its own time, up to the channel binding", {
  skip: hasVectors,
}, async (t) => {
  const recorded = [...recordedIntel("sgx"), ...recordedIntel("tdx"), ...recordedSnp()];
  for (const kind of ["sgx", "tdx", "snp"])
    assert.ok(
      recorded.some(({ evidence }) => evidence.kind === kind),
      kind,
    );
  for (const { name, at, evidence, sources } of recorded) {
    const { kind } = evidence;
    let now = new Date(); // the certificate of the CAS itself has to be valid today
    const cas = await startTestCas(t, { now: () => now, collateral: { sources } });
    now = at;
    await upload(cas, { kind });
    await assert.rejects(cas.attest("shop/api", { evidence: async () => evidence }), refusal("channel_binding", "channel-binding"), name);
    if (kind !== "snp") {
      now = new Date(at.getTime() + 400 * DAY_MS);
      await assert.rejects(cas.attest("shop/api", { evidence: async () => evidence }), refusal("collateral_unavailable", "evidence"), name);
    }
    await cas.stop();
  }
});

function casesOf(
  family: string,
): readonly { readonly name: string; readonly folder: string; readonly expected: Record<string, unknown> }[] {
  return readdirSync(join(vectors, family)).map((name) => {
    const folder = join(vectors, family, name);
    return { name, folder, expected: JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) };
  });
}

function recordedIntel(kind: "sgx" | "tdx"): readonly Recorded[] {
  return casesOf(kind).flatMap(({ name, folder, expected }) => {
    const isGenuine = expected["kind"] === "evidence" && expected["trust_anchor"] === "Intel SGX Root CA (production)";
    if (!isGenuine || expected["collateral"] !== "full" || expected["expect"] !== "ok") return [];
    const read = (file: string) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file)) : undefined);
    const bodies: Readonly<Record<string, Buffer | undefined>> = {
      "tcb-info": read("tcb-info.json"),
      "qe-identity": read("qe-identity.json"),
      "pck-crl": read("pck-crl.der"),
      "root-ca-crl": read("root-ca-crl.der"),
    };
    const chains: Readonly<Record<string, Buffer | undefined>> = {
      "tcb-info": read("tcb-signing-chain.pem"),
      "qe-identity": read("qe-identity-signing-chain.pem") ?? read("tcb-signing-chain.pem"),
      "pck-crl": read("pck-crl-issuer-chain.pem"),
    };
    const bytes = read("quote.bin");
    if (bytes === undefined || Object.values(bodies).includes(undefined) || chains["pck-crl"] === undefined) return [];
    const source: CollateralSource = {
      name: "recorded",
      fetch: async (request) => {
        const body = bodies[request.kind];
        return body === undefined ? undefined : { body, chain: chains[request.kind] };
      },
    };
    return [{ name: `${kind}/${name}`, at: new Date(String(expected["verify_at"])), evidence: { kind, bytes }, sources: [source] }];
  });
}

/** With certificates as recorded beside the report; those without AMD's list bring them along, as a guest does. */
function recordedSnp(): readonly Recorded[] {
  return casesOf("sev-snp").flatMap(({ name, folder, expected }) => {
    if (expected["kind"] !== "evidence" || expected["expect"] !== "ok") return [];
    const pem = (file: string) => parsePemCertificates(readFileSync(join(folder, file)))[0]?.der ?? new Uint8Array();
    const key = ["vcek.der", "vlek.der"].find((file) => existsSync(join(folder, file)));
    const signer = ["ask.pem", "asvk.pem"].find((file) => existsSync(join(folder, file)));
    if (key === undefined || signer === undefined) return [];
    const endorsements = new Map([
      ["endorsement-key", readFileSync(join(folder, key))],
      ["signer", pem(signer)],
    ]);
    const list = existsSync(join(folder, "crl.der")) ? readFileSync(join(folder, "crl.der")) : undefined;
    const source: CollateralSource = {
      name: "recorded",
      fetch: async ({ kind }) => (kind === "amd-crl" && list !== undefined ? { body: list, chain: undefined } : undefined),
    };
    const bytes = readFileSync(join(folder, "report.bin"));
    const at = new Date(String(expected["verify_at"] ?? "2026-06-01T00:00:00Z"));
    return [{ name: `sev-snp/${name}`, at, evidence: { kind: "snp", bytes, endorsements }, sources: list === undefined ? [] : [source] }];
  });
}
