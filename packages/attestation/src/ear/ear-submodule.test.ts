import assert from "node:assert/strict";
import { test } from "node:test";
import { appraise, type ReferenceValues } from "../core/appraise.ts";
import type { Claims } from "../core/claims.ts";
import { earSubmodule } from "./ear-submodule.ts";

const claims: Claims = {
  kind: "tdx",
  userData: new Uint8Array(64),
  codeIdentity: "ab".repeat(32),
  launchMeasurement: new Uint8Array(48),
  debug: false,
  platformId: "TDX_QE_ID:00",
  tcb: { status: "UpToDate", advisories: [] },
  details: {},
};
const references: ReferenceValues = { kinds: ["tdx", "node"], userData: claims.userData, codeIdentities: [claims.codeIdentity] };
const earOf = (changedClaims: Partial<Claims>, changed: Partial<ReferenceValues> = {}) => {
  const subject = { ...claims, ...changedClaims };
  return earSubmodule(subject, appraise(subject, { ...references, ...changed }), "policy-7");
};

test("an accepted guest is affirming, claim by claim", () => {
  const { status, trustworthiness } = earOf({});
  assert.equal(status, "affirming");
  assert.deepEqual(trustworthiness, { hardware: 2, "instance-identity": 2, executables: 2, "runtime-opaque": 2 });
});

test("what was tolerated is a warning, what failed is contraindicated, each at its place", () => {
  const outdated = { tcb: { status: "OutOfDate", advisories: [] } } as const;
  assert.deepEqual(earOf(outdated, { toleratedTcbStatuses: ["OutOfDate"] }).trustworthiness.hardware, 32);
  assert.equal(earOf(outdated).status, "contraindicated");
  assert.equal(earOf({ codeIdentity: "00" }).trustworthiness.executables, 96);
});

test("hazard A21: node and simulated evidence is never affirming", () => {
  assert.equal(earOf({ kind: "node" }).status, "warning");
  assert.equal(earOf({ kind: "simulated" }, { kinds: ["simulated"] }).trustworthiness.hardware, 32);
});
