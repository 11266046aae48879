import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { appraise, type ReferenceValues } from "./appraise.ts";
import { type Claims, describeLag } from "./claims.ts";

const claims: Claims = {
  kind: "snp",
  userData: Uint8Array.of(1, 2, 3),
  codeIdentity: "ab".repeat(32),
  launchMeasurement: new Uint8Array(48).fill(9),
  signer: { mrSigner: "cd".repeat(32), isvProdId: 4, isvSvn: 7 },
  debug: false,
  platformId: "SNP_CHIP_ID:00",
  tcb: { status: "UpToDate", advisories: [] },
  details: { vmpl: 0, "reportedTcb.microcode": 115, product: "Milan" },
};
const references: ReferenceValues = { kinds: ["snp"], userData: claims.userData, codeIdentities: [claims.codeIdentity] };
const failing = (changedClaims: Partial<Claims>, changed: Partial<ReferenceValues> = {}) =>
  appraise({ ...claims, ...changedClaims }, { ...references, ...changed }).checks.filter(({ outcome }) => outcome === "failed");

test("hazard A12: a guest that is less protected than it could be is refused unless that is tolerated by name", () => {
  const weaknesses = ["SEPT_VE_DISABLE is off: the host can inject exceptions"];
  const [failed] = failing({ weaknesses });
  assert.deepEqual([failed?.name, failed?.found], ["configuration", weaknesses[0]]);
  assert.deepEqual(failing({ weaknesses: [] }), []);
  assert.equal(failing({ weaknesses }, { toleratedTcbStatuses: ["OutOfDate"] }).length, 1);
  const tolerated = appraise({ ...claims, weaknesses }, { ...references, toleratedTcbStatuses: ["ConfigurationNeeded"] });
  assert.deepEqual([tolerated.accepted, tolerated.checks.at(-1)?.outcome], [true, "tolerated"]);
});

test("claims that meet every reference value are accepted", () => {
  const all: ReferenceValues = {
    ...references,
    launchMeasurements: [claims.launchMeasurement.toHex()],
    signers: [{ mrSigner: "cd".repeat(32), isvProdId: 4, minIsvSvn: 7 }],
    platforms: ["SNP_CHIP_ID:00"],
    details: { vmpl: [0], product: ["Milan", "Genoa"] },
    minima: { "reportedTcb.microcode": 115 },
  };
  const result = appraise(claims, all);
  assert.deepEqual([result.accepted, new Set(result.checks.map(({ outcome }) => outcome))], [true, new Set(["passed"])]);
});

const refused: readonly {
  readonly rule: string;
  readonly claims?: Partial<Claims>;
  readonly references?: Partial<ReferenceValues>;
  readonly check: string;
}[] = [
  { rule: "a kind that is not named", claims: { kind: "simulated" }, check: "evidence kind" },
  { rule: "no kind at all", references: { kinds: [] }, check: "evidence kind" },
  { rule: "hazard B1: evidence of another connection", references: { userData: Uint8Array.of(1, 2) }, check: "user data" },
  { rule: "another code identity", claims: { codeIdentity: "00".repeat(32) }, check: "code identity" },
  { rule: "a code identity that only begins alike", references: { codeIdentities: ["ab".repeat(31)] }, check: "code identity" },
  { rule: "an empty list of code identities", references: { codeIdentities: [] }, check: "code identity" },
  { rule: "another launch measurement", references: { launchMeasurements: ["00"] }, check: "launch measurement" },
  {
    rule: "a signer's program of a lower SVN",
    references: { signers: [{ mrSigner: "cd".repeat(32), isvProdId: 4, minIsvSvn: 8 }] },
    check: "signer",
  },
  {
    rule: "a signer's other product",
    references: { signers: [{ mrSigner: "cd".repeat(32), isvProdId: 5, minIsvSvn: 0 }] },
    check: "signer",
  },
  {
    rule: "hazard A9: another signer of the same product and SVN",
    references: { signers: [{ mrSigner: "ce".repeat(32), isvProdId: 4, minIsvSvn: 7 }] },
    check: "signer",
  },
  { rule: "hazard A9: debug", claims: { debug: true }, check: "debug" },
  { rule: "a platform out of date", claims: { tcb: { status: "OutOfDate", advisories: [] } }, check: "TCB status" },
  { rule: "an advisory", claims: { tcb: { status: "UpToDate", advisories: ["INTEL-SA-1"] } }, check: "advisories" },
  { rule: "another platform", references: { platforms: ["SNP_CHIP_ID:01"] }, check: "platform" },
  { rule: "hazard A10: VMPL 2", claims: { details: { vmpl: 2 } }, references: { details: { vmpl: [0] } }, check: "vmpl" },
  { rule: "hazard A24: a fact of another type", claims: { details: { vmpl: "0" } }, references: { details: { vmpl: [0] } }, check: "vmpl" },
  { rule: "a fact that the kind does not have", references: { details: { pcr7: ["00"] } }, check: "pcr7" },
  { rule: "a fact that is missing where missing is listed", references: { details: { pcr7: [undefined as never] } }, check: "pcr7" },
  { rule: "a minimum of what is text", claims: { details: { a: "9" } }, references: { minima: { a: 1 } }, check: "a" },
  { rule: "a fact named like a member of every object", references: { details: { constructor: ["x"] } }, check: "constructor" },
  { rule: "a minimum that is not reached", references: { minima: { "reportedTcb.microcode": 116 } }, check: "reportedTcb.microcode" },
];
for (const { rule, claims: changedClaims = {}, references: changed = {}, check } of refused) {
  test(`appraise refuses ${rule}, says why and what would make it pass`, () => {
    const checks = failing(changedClaims, changed);
    assert.deepEqual(
      checks.map(({ name }) => name),
      [check],
    );
    assert.notEqual(checks[0]?.remedy, undefined);
  });
}

test("reference values without any code are refused: missing never means anything", () => {
  const { codeIdentities: _, ...without } = references;
  assert.equal(appraise(claims, without).accepted, false);
});

test("C-48: a revoked platform, or one about which nothing is known, cannot be tolerated", () => {
  for (const status of ["Revoked", "Unknown"] as const) {
    assert.equal(failing({ tcb: { status, advisories: [] } }, { toleratedTcbStatuses: [status] })[0]?.name, "TCB status");
  }
});

test("what was tolerated, and what anything would have met, shows in the result", () => {
  const tolerant: ReferenceValues = {
    ...{ kinds: ["snp"], userData: "any", codeIdentities: "any", isDebugAccepted: true },
    ...{ toleratedTcbStatuses: ["OutOfDate"], ignoredAdvisories: ["INTEL-SA-1"] },
  };
  const { accepted, checks } = appraise({ ...claims, debug: true, tcb: { status: "OutOfDate", advisories: ["INTEL-SA-1"] } }, tolerant);
  assert.equal(accepted, true);
  assert.deepEqual(
    checks.map(({ outcome }) => outcome),
    ["passed", "passed-any", "passed-any", "tolerated", "tolerated", "tolerated"],
  );
});

test("each check tells what was expected and found, also where nothing was wrong", () => {
  const [signers, toleratedTcbStatuses] = [
    [{ mrSigner: "cd".repeat(32), isvProdId: 4, minIsvSvn: 7 }],
    ["UpToDate", "ConfigurationNeeded"] as const,
  ];
  const { signer: _, ...unsigned } = claims;
  const told = (about: Claims, changed: Partial<ReferenceValues>, check: string) => {
    const found = appraise(about, { ...references, ...changed }).checks.find(({ name }) => name === check);
    return [found?.outcome, found?.expected, found?.found];
  };
  const signed = `${"cd".repeat(32)} product 4 SVN`;
  assert.deepEqual(told(claims, { signers }, "signer"), ["passed", `${signed} at least 7`, `${signed} 7`]);
  assert.deepEqual(told(unsigned, { signers }, "signer"), ["failed", `${signed} at least 7`, "no signer"]);
  assert.deepEqual(told(claims, {}, "debug"), ["passed", "production mode", "production mode"]);
  assert.deepEqual(told(claims, { isDebugAccepted: true }, "debug"), ["passed", "any", "production mode"]);
  assert.deepEqual(told({ ...claims, debug: true }, {}, "debug"), ["failed", "production mode", "debug mode"]);
  assert.deepEqual(told(claims, { toleratedTcbStatuses }, "TCB status")[0], "passed");
  const weak = { ...claims, weaknesses: [] };
  assert.deepEqual(told(weak, { toleratedTcbStatuses }, "configuration"), ["passed", "nothing weak", "nothing weak"]);
  const advised = { ...claims, tcb: { status: "UpToDate", advisories: ["INTEL-SA-1"] } } as const;
  assert.deepEqual(told(advised, { ignoredAdvisories: "any" }, "advisories"), ["passed-any", "any", "INTEL-SA-1"]);
  assert.deepEqual(told(claims, { ignoredAdvisories: "any" }, "advisories"), ["passed", "any", "none"]);
  assert.deepEqual(told(claims, {}, "advisories"), ["passed", "none", "none"]);
  assert.deepEqual(told(advised, { ignoredAdvisories: ["INTEL-SA-2"] }, "advisories"), ["failed", "none but INTEL-SA-2", "INTEL-SA-1"]);
  const remedy = (status: "Revoked" | "OutOfDate") => failing({ tcb: { status, advisories: [] } })[0]?.remedy;
  assert.deepEqual(
    [remedy("OutOfDate"), remedy("Revoked")],
    ["Update the platform, or tolerate OutOfDate.", "Use another platform, or give its collateral."],
  );
});

test("a refusal of a platform that is out of date says how far behind it is, by version and day", () => {
  const shortfalls = [
    { component: "SGX component 1", found: 5, needed: 9 },
    { component: "PCE", found: 13, needed: 15 },
  ];
  const date = new Date("2024-03-01T00:00:00Z");
  const remedy = (tcb: Partial<Claims["tcb"]>) => failing({ tcb: { status: "OutOfDate", advisories: [], ...tcb } })[0]?.remedy;
  assert.equal(
    remedy({ shortfalls, date }),
    "Update the platform (SGX component 1 from 5 to 9, PCE from 13 to 15; the present level is of 2024-03-01), or tolerate OutOfDate.",
  );
  assert.equal(describeLag({ status: "OutOfDate", advisories: [], shortfalls }), "SGX component 1 from 5 to 9, PCE from 13 to 15");
  assert.equal(describeLag({ status: "OutOfDate", advisories: [], date }), undefined);
});

test("a PCR of a Nitro enclave in debug mode is zero, and the refusal says why", () => {
  const details = { pcr0: "00".repeat(48) };
  const remedy = (changes: Partial<Claims>) =>
    appraise({ ...claims, kind: "nitro", details, ...changes }, { ...references, details: { pcr0: ["ab".repeat(48)] } }).checks.find(
      ({ name }) => name === "pcr0",
    )?.remedy;
  assert.equal(remedy({ debug: true }), "Start the enclave without debug mode, in which every PCR is zero.");
  assert.equal(remedy({ debug: false }), "Accept this value of pcr0.");
  assert.equal(remedy({ debug: true, kind: "tpm" }), "Accept this value of pcr0.");
  const named = { ...claims, kind: "nitro", debug: true, details: { moduleId: "i-1" } } as const;
  const { checks } = appraise(named, { ...references, details: { moduleId: ["i-2"] } });
  assert.equal(checks.find(({ name }) => name === "moduleId")?.remedy, "Accept this value of moduleId.");
});

test("whatever is changed in a code identity or user data, it is refused", () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 64 }), (codeIdentity, userData) => {
      fc.pre(codeIdentity !== claims.codeIdentity || Buffer.compare(userData, claims.userData) !== 0);
      assert.equal(appraise({ ...claims, codeIdentity, userData }, references).accepted, false);
    }),
  );
});
