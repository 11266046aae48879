import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppraisalCheck, Claims } from "@vouchsafe/attestation";
import { DEFAULT_PLATFORM_RULES } from "@vouchsafe/policy";
import { evidenceResult } from "./evidence-result.ts";
import type { ServiceRules } from "./service-rules.ts";

const now = new Date("2026-06-15T12:00:00Z");
const claims: Claims = {
  kind: "snp",
  userData: Uint8Array.of(1, 2, 3),
  codeIdentity: "1a".repeat(32),
  launchMeasurement: Uint8Array.of(4),
  debug: false,
  platformId: "SNP_CHIP_ID:00",
  tcb: { status: "UpToDate", advisories: [] },
  details: {},
};
const rulesWith = (changes: Partial<ServiceRules>, attestation = {}): ServiceRules => ({
  variants: [{ kind: "ok", value: { mrenclave: [claims.codeIdentity], signer: undefined } }],
  platforms: [],
  // What the result looks at; the rest of the section decides over deliveries.
  security: {
    attestation: { ...DEFAULT_PLATFORM_RULES, mode: "hardware", evidence: ["snp"], ...attestation },
  } as unknown as ServiceRules["security"],
  oneTimePasswordSecret: undefined,
  ...changes,
});
const told = (about: Partial<Claims>, inputs: { userData?: Uint8Array; rules?: ServiceRules } = {}) => {
  const { accepted, checks } = evidenceResult({ ...claims, ...about }, { userData: undefined, rules: undefined, now, ...inputs });
  return { accepted, check: (name: string) => row(checks.find((check) => check.name === name)), names: checks.map(({ name }) => name) };
};
const row = (check: AppraisalCheck | undefined) => [check?.outcome, check?.expected, check?.found];

test("C-37 each step is a check, and all of them have to pass", () => {
  const { accepted, names } = told({}, { userData: claims.userData, rules: rulesWith({}) });
  assert.equal(accepted, true);
  assert.deepEqual(names, ["user data", "evidence kind", "debug", "TCB status", "advisories", "code identity", "platform"]);
  assert.equal(told({ debug: true }, { rules: rulesWith({}) }).accepted, false);
});

test("hazard B1: user data is compared whole; that none was expected shows", () => {
  assert.deepEqual(told({}).check("user data"), ["passed-any", "any", "010203"]);
  assert.deepEqual(told({}, { userData: Uint8Array.of(1, 2, 3) }).check("user data"), ["passed", "010203", "010203"]);
  for (const userData of [Uint8Array.of(1, 2), Uint8Array.of(1, 2, 4), new Uint8Array(0)]) {
    assert.deepEqual(told({}, { userData }).check("user data"), ["failed", userData.toHex(), "010203"]);
  }
});

test("without a policy hardware alone counts, and nothing is said of the code", () => {
  assert.deepEqual(told({}).check("evidence kind"), ["passed", "hardware evidence", "snp"]);
  for (const kind of ["simulated", "node"] as const)
    assert.deepEqual(told({ kind }).check("evidence kind"), ["failed", "hardware evidence", kind]);
  assert.deepEqual(told({}).names.includes("code identity"), false);
});

test("with a policy the kinds, the code and the platforms that it names count", () => {
  const named = rulesWith({ platforms: ["SNP_CHIP_ID:00", "SNP_CHIP_ID:01"] }, { evidence: ["node", "snp"] });
  assert.deepEqual(told({ kind: "node" }, { rules: named }).check("evidence kind"), ["passed", "node or snp", "node"]);
  assert.deepEqual(told({ kind: "tdx" }, { rules: named }).check("evidence kind"), ["failed", "node or snp", "tdx"]);
  assert.deepEqual(told({}, { rules: named }).check("code identity"), ["passed", "a variant of the policy", claims.codeIdentity]);
  assert.equal(told({ codeIdentity: "00" }, { rules: named }).check("code identity")[0], "failed");
  assert.deepEqual(told({}, { rules: named }).check("platform"), ["passed", "SNP_CHIP_ID:00 or SNP_CHIP_ID:01", "SNP_CHIP_ID:00"]);
  assert.deepEqual(told({}, { rules: rulesWith({}) }).check("platform"), ["passed", "any", "SNP_CHIP_ID:00"]);
  assert.equal(told({ platformId: "SNP_CHIP_ID:02" }, { rules: named }).check("platform")[0], "failed");
});

test("C-48 each weakness of the platform is a check of its own: refused, tolerated or not there", () => {
  const weak: Partial<Claims> = {
    ...{ debug: true, weaknesses: ["MIGRATABLE is on"] },
    tcb: { status: "OutOfDate", advisories: ["INTEL-SA-1"] },
  };
  const names = ["debug", "TCB status", "advisories", "configuration"] as const;
  const outcomes = (about: Partial<Claims>, rules?: ServiceRules) => names.map((name) => told(about, rules && { rules }).check(name)[0]);
  assert.deepEqual(outcomes({}), ["passed", "passed", "passed", undefined], "nothing is known of the configuration");
  assert.deepEqual(outcomes({ weaknesses: [] }), ["passed", "passed", "passed", "passed"]);
  assert.deepEqual(outcomes(weak), ["failed", "failed", "failed", "failed"]);
  assert.deepEqual(outcomes({ debug: true }), ["failed", "passed", "passed", undefined]);
  assert.deepEqual(told({ debug: true }).names, told({}).names, "each check once");
  const tolerate = ["debug-mode", "outdated-tcb", "insecure-configuration"];
  const tolerant = rulesWith({}, { tolerate, ignoreAdvisories: ["INTEL-SA-1"] });
  assert.deepEqual(outcomes(weak, tolerant), ["tolerated", "tolerated", "tolerated", "tolerated"]);
  assert.deepEqual(told(weak, { rules: tolerant }).check("debug"), ["tolerated", "production mode", "debug mode"]);
  assert.deepEqual(told({}).check("debug"), ["passed", "production mode", "production mode"]);
  const because = { tolerate: ["outdated-tcb"], ignoreAdvisories: [], until: "2026-06-30T23:59:59Z", because: "the BIOS comes in June" };
  const outdated: Partial<Claims> = { tcb: { status: "OutOfDate", advisories: [] } };
  assert.deepEqual(told(outdated, { rules: rulesWith({}, { exceptions: [because] }) }).check("exception"), [
    ...["tolerated", "a day up to 2026-06-30T23:59:59Z", "the BIOS comes in June"],
  ]);
  const over = { ...because, until: "2026-06-01T00:00:00Z" };
  assert.equal(told(outdated, { rules: rulesWith({}, { exceptions: [over] }) }).check("exception")[0], "failed");
});
