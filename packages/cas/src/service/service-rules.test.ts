import assert from "node:assert/strict";
import { test } from "node:test";
import { CollateralError } from "@vouchsafe/collateral";
import { parseSession } from "@vouchsafe/policy";
import type { SecretSource } from "../values/secret-source.ts";
import { asRefusal } from "./evidence-verifier.ts";
import { Refused } from "./refusal.ts";
import { readServiceRules } from "./service-rules.ts";

const sourceOf = (made: Readonly<Record<string, string>> = {}): SecretSource => ({
  values: new Map(),
  problems: new Map(),
  made: new Map(Object.entries(made)),
});
const [one, other] = ["1a".repeat(32), "2b".repeat(32)];

function sessionWith(measurement: string) {
  const text = `version: "0.3"\nname: shop\nservices: [{name: api, command: [x], pwd: /, attestation: [{mrenclave: ["${measurement}"]}]}]\nsecrets: [{name: code, kind: ascii}]\n`;
  const { session, diagnostics } = parseSession(text);
  assert.equal(
    diagnostics.some(({ severity }) => severity === "error"),
    false,
  );
  const [service] = session?.services ?? [];
  assert.ok(session !== undefined && service !== undefined);
  return { session, service };
}

test("SL-77 rules that depend on a secret are read anew with each value of it", () => {
  const { session, service } = sessionWith("$$SCONE::code$$");
  for (const code of [one, other, one]) {
    const [variant] = readServiceRules(session, service, sourceOf({ code })).variants;
    assert.deepEqual(variant?.kind === "ok" && variant.value.mrenclave, [code]);
  }
});

test("rules without placeholders are read once", () => {
  const { session, service } = sessionWith(one);
  const rules = readServiceRules(session, service, sourceOf());
  const [variant] = rules.variants;
  assert.deepEqual(variant?.kind === "ok" && variant.value.mrenclave, [one]);
  assert.equal(readServiceRules(session, service, sourceOf()), rules);
});

test("C-50 evidence that proves nothing and collateral that cannot be had are refusals; anything else is passed on as it is", () => {
  const bug = new TypeError("a bug");
  assert.equal(asRefusal(bug), bug);
  const refusal = asRefusal(new CollateralError("COLLATERAL_UNREACHABLE", "nobody answers", { remedy: "Ask again." }));
  assert.ok(refusal instanceof Refused);
  assert.deepEqual([refusal.code, refusal.step, refusal.causes], ["collateral_unavailable", "evidence", ["Ask again."]]);
});
