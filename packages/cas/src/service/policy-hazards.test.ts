import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Claims } from "@vouchsafe/attestation";
import fc from "fast-check";
import { mintedNow, mintIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { mintedSource } from "../../../collateral/src/testing/minted-source.ts";
import { problem, refusal, TEST_CODE, testPolicy } from "../testing/policies.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { appraiseVariants } from "./appraise.ts";

const HEAD = 'version: "0.3"\n';
const OPEN = "{attestation: {mode: none}}";

test("hazard C2, SL-42, SL-143 nobody takes over a name, and a secret exported to a name waits for nobody but its owner", async (t) => {
  const cas = await startTestCas(t);
  const [owner, newcomer] = [cas.client(createTestClient()), cas.client(createTestClient())];
  const { hash } = await owner.uploadSession(`${HEAD}name: db\n`);
  await assert.rejects(newcomer.uploadSession(`${HEAD}name: db\n`), problem("exists"));
  await assert.rejects(newcomer.uploadSession(`${HEAD}name: db\npredecessor: ${hash}\nsalt: ${"ab".repeat(16)}\n`), problem("forbidden"));
  // A name inside the own namespace can be promised before it exists: only those whom the namespace admits can take it.
  const exporting = `${HEAD}name: db\npredecessor: ${hash}\nsecrets:\n  - {name: pw, kind: ascii, export: [{session: db/app}, {session: shop, session_hash: ${"00".repeat(32)}}]}\n`;
  const exported = await owner.uploadSession(exporting);
  assert.equal(
    exported.warnings.some(({ rule }) => rule === "SL-143"),
    false,
  );
  const importing = (name: string) =>
    testPolicy({
      name,
      security: OPEN,
      service: `    environment: {P: "$$SCONE::pw$$"}`,
      rest: "secrets: [{name: pw, import: {session: db}}]",
    });
  await assert.rejects(newcomer.uploadSession(importing("db/app")), problem("forbidden"));
  // A name elsewhere can be claimed by whoever comes first: the hash in the export keeps the secret from them.
  await newcomer.uploadSession(importing("shop"));
  await assert.rejects(cas.attest("shop/api", { evidence: undefined }), refusal("values_unresolved", "values", /does not have the hash/));
  const careless = await owner.uploadSession(`${HEAD}name: db2\nsecrets: [{name: pw, kind: ascii, export: {session: shop}}]\n`);
  assert.match(careless.warnings.map(({ rule }) => rule).join(), /SL-143/, "without the hash the document is warned about");
});

const [right, wrong] = ["aa".repeat(32), "bb".repeat(32)];
const claims: Claims = {
  kind: "sgx",
  userData: new Uint8Array(64),
  codeIdentity: right,
  launchMeasurement: new Uint8Array(32),
  signer: { mrSigner: right, isvProdId: 1, isvSvn: 5 },
  debug: false,
  platformId: "INTEL_QE_ID:00",
  tcb: { status: "UpToDate", advisories: [] },
  details: {},
};
const number = fc.integer({ min: 3, max: 7 });
const variant = fc.record({
  mrenclave: fc.option(fc.array(fc.constantFrom(right, wrong), { maxLength: 2 }), { nil: undefined }),
  signer: fc.option(
    fc.record({
      mrsigner: fc.constantFrom(right, wrong),
      isvprodid: fc.constantFrom(1, 2),
      isvsvn: fc.option(number, { nil: undefined }),
      isvsvnMin: fc.option(number, { nil: undefined }),
      isvsvnMax: fc.option(number, { nil: undefined }),
    }),
    { nil: undefined },
  ),
});

test("hazard C7, SL-76, SL-78 factors are joined by AND, variants by OR; an empty variant and no variant admit nothing", () => {
  const all = (variants: readonly (typeof variant extends fc.Arbitrary<infer V> ? V : never)[]) =>
    variants.some(({ mrenclave, signer }) => {
      if (mrenclave === undefined && signer === undefined) return false;
      const isCode = mrenclave === undefined || mrenclave.includes(right);
      const { mrsigner, isvprodid, isvsvn = 5, isvsvnMin = 0, isvsvnMax = 9 } = signer ?? { mrsigner: right, isvprodid: 1 };
      return isCode && mrsigner === right && isvprodid === 1 && isvsvn === 5 && isvsvnMin <= 5 && isvsvnMax >= 5;
    });
  fc.assert(
    fc.property(fc.array(variant, { maxLength: 4 }), (variants) => {
      const candidates = variants.map((value) => ({ kind: "ok", value }) as const);
      const reasons = appraiseVariants(claims, candidates);
      assert.equal(reasons === undefined, all(variants));
      if (reasons !== undefined) assert.equal(reasons.length, Math.max(1, variants.length), "every variant says why");
    }),
    { numRuns: 2000 },
  );
});

test("hazard C7: an empty or unknown factor is refused where it is written", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  const policy = (attestation: string) => testPolicy({ name: "s" }).replace(`{mrenclave: [${TEST_CODE}]}`, attestation);
  for (const [attestation, says] of [
    ["{}", /SL-73/],
    ["[]", /SL-73/],
    ["{mrenclave: []}", /SL-73/],
    [`{mrenclave: [${TEST_CODE}], mrsingner: x}`, /SL-12/],
  ] as const) {
    await assert.rejects(client.uploadSession(policy(attestation)), problem("invalid_session", says), attestation);
  }
});

test("hazard C8, SL-90 a wildcard for advisories is warned about at upload and audited at each delivery that needed it", async (t) => {
  const minted = mintIntel();
  const now = () => mintedNow;
  const cas = await startTestCas(t, {
    now,
    trustAnchors: { sgx: [minted.root] },
    collateral: { sources: [mintedSource(minted)] },
    selfProvision: { config: '[audit_log]\nmode = "unsigned"\n' },
  });
  const client = cas.client(createTestClient());
  const policy = (name: string, advisories: string) =>
    testPolicy({ name, security: `{attestation: {evidence: [sgx], tolerate: [outdated-tcb], ignore_advisories: ${advisories}}}` }).replace(
      TEST_CODE,
      "3e".repeat(32),
    );
  const careless = await client.uploadSession(policy("careless", '"*"'));
  assert.match(careless.warnings.map(({ rule, message }) => `${rule} ${message}`).join(), /SL-90 .*hides future advisories/);
  await client.uploadSession(policy("careful", "[INTEL-SA-00615]"));
  await client.uploadSession(policy("strict", "[INTEL-SA-00614]"));
  const evidence = (sgxComponents?: readonly number[]) => async (userData: Uint8Array) => {
    const { quote } = mintIntel({ ...(sgxComponents && { sgxComponents }), body: (body) => body.set(userData, 320) });
    return { kind: "sgx", bytes: quote } as const;
  };
  const outdated = [4, 4, 1, 1, 2, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
  for (const [service, components] of [
    ["careless/api", outdated],
    ["careless/api", outdated],
    ["careless/api", undefined],
    ["careful/api", outdated],
  ] as const) {
    (await cas.attest(service, { evidence: evidence(components) })).connection.close();
  }
  await assert.rejects(
    cas.attest("strict/api", { evidence: evidence(outdated) }),
    refusal("policy_unmet", "platform-state", /ignore_advisories: INTEL-SA-00615 would admit it/),
  );
  const entries = readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8")
    .trim()
    .split("\n");
  const attested = entries.map((line) => JSON.parse(line)).filter(({ event }) => event === "service_attested");
  assert.deepEqual(
    attested.map(({ data }) => [data.service, data.hidden_advisories]),
    [
      ["careless/api", ["INTEL-SA-00615"]],
      ["careless/api", ["INTEL-SA-00615"]],
      ["careless/api", undefined],
      ["careful/api", undefined],
    ],
  );
});

test("hazard C8, SL-90 the owner of a CAS can forbid the wildcard", async (t) => {
  const cas = await startTestCas(t, { selfProvision: { config: "[policy]\nallow_advisory_wildcard = false\n" } });
  const client = cas.client(createTestClient());
  const policy = (tolerate: string) =>
    testPolicy({ name: "s", security: `{attestation: {evidence: [node], tolerate: [${tolerate}], ignore_advisories: "*"}}` });
  await assert.rejects(
    client.uploadSession(policy("outdated-tcb")),
    problem("invalid_session", /ignore_advisories: the owner of this CAS forbids/),
  );
});

/** Pieces that mean something to one of the languages a value passes through. */
const PIECES = [
  "'",
  '"',
  "\n",
  "\r\n",
  "\\",
  "$",
  "$$",
  "$$SCONE::other$$",
  "{{ .x }}",
  "@@1",
  "%s",
  "*",
  "&a",
  "!t",
  "# ",
  ": ",
  "${X}",
  "\u2028",
  "é",
  "\t",
  "-",
  "~",
];

test("hazard C12, SL-121 whatever a value contains, it arrives as it is: never expanded twice, split, or read as markup", async (t) => {
  const cas = await startTestCas(t);
  const client = cas.client(createTestClient());
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...PIECES, "a", "Z9"), { minLength: 1, maxLength: 12 }), async (pieces) => {
      const value = pieces.join("");
      round += 1;
      const rest = [
        `secrets: ${JSON.stringify([
          { name: "v", kind: "ascii", value },
          { name: "other", kind: "ascii", value: "never" },
        ])}`,
        `images: [{name: i, injection_files: [{path: /f, content: "<$$SCONE::v$$>"}, {path: /j, content: '{"a": "$$SCONE::v|escape(json)$$"}'}]}]`,
      ];
      const service = `    environment: {V: "<$$SCONE::v$$>"}\n    image_name: i`;
      const text = testPolicy({ name: `s${round}`, security: OPEN, service, rest: rest.join("\n") });
      await client.uploadSession(text.replace("command: [python3, /app/api.py]", () => 'command: [x, "<$$SCONE::v$$>"]'));
      const { configuration, connection } = await cas.attest(`s${round}/api`, { evidence: undefined });
      connection.close();
      const [file, json] = configuration.files.map(({ content }) => Buffer.from(content ?? "", "base64").toString());
      assert.deepEqual([configuration.arguments[1], configuration.environment["V"], file], Array(3).fill(`<${value}>`));
      assert.deepEqual(configuration.hostArguments, []);
      assert.equal(JSON.parse(json ?? "").a, value);
    }),
    { numRuns: 60 },
  );
});

test("hazard B8, field/2026-04-join-token: of many that present one password or one instance at the same time, one gets in, round after round", async (t) => {
  const cas = await startTestCas(t);
  await cas
    .client(createTestClient())
    .uploadSession(testPolicy({ name: "once", security: "{singleton_enclaves: true, attestation: {evidence: [node]}}" }));
  for (let round = 1n; round <= 5n; round += 1n) {
    const attempts = Array.from({ length: 40 }, () =>
      cas.attest("once/api", { evidence: async (userData) => cas.agent.evidence("once/api", userData, {}, round) }),
    );
    const outcomes = await Promise.allSettled(attempts);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") outcome.value.connection.close();
      else refusal("singleton_seen", "singleton")(outcome.reason);
    }
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  }
});
