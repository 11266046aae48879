import assert from "node:assert/strict";
import { test } from "node:test";
import { EvidenceError, encodeEvidence } from "@vouchsafe/attestation";
import { CollateralError } from "@vouchsafe/collateral";
import { TestAgent } from "../testing/test-cas.ts";
import { type EvidenceTrust, orRefused, verifyServiceEvidence } from "./evidence-verifier.ts";

const agent = new TestAgent();
const evidence = { ...encodeEvidence(agent.evidence("shop/api", new Uint8Array(64))), endorsements: {} };
const trust: EvidenceTrust = {
  anchors: {},
  nodeKeys: () => [agent.publicKey.export({ type: "spki", format: "der" })],
  findCollateral: async () => ({}),
  onPlatform: () => undefined,
  now: () => new Date(),
};
const failing = (error: Error) => verifyServiceEvidence(evidence, { ...trust, findCollateral: async () => Promise.reject(error) });
const refused = (code: string, causes: readonly string[]) => ({ name: "Refused", code, step: "evidence", causes });

test("C-50: evidence that proves nothing is refused in its step, with what would help", async () => {
  assert.equal((await verifyServiceEvidence(evidence, trust)).kind, "node");
  await assert.rejects(verifyServiceEvidence(evidence, { ...trust, nodeKeys: () => [] }), { code: "evidence_signature", step: "evidence" });
  const stale = new EvidenceError("EVIDENCE_STALE", "ended", { reason: "crl-expired", remedy: "Fetch it." });
  await assert.rejects(failing(stale), refused("evidence_stale", ["Fetch it."]));
  await assert.rejects(verifyServiceEvidence({ ...evidence, evidence: "AAAA" }, trust), { code: "evidence_malformed" });
});

test("C-50: collateral that cannot be had is no fault of the evidence, and refused all the same", async () => {
  await assert.rejects(
    failing(new CollateralError("COLLATERAL_UNAVAILABLE", "no source answers", { remedy: "Ask again." })),
    refused("collateral_unavailable", ["Ask again."]),
  );
});

test("hazard A19: a fault of this program is passed on as what it is, and lets nobody in", async () => {
  await assert.rejects(failing(new RangeError("a fault")), RangeError);
  assert.throws(() => orRefused(() => assert.fail("a fault")), assert.AssertionError);
  assert.equal(
    orRefused(() => 1),
    1,
  );
});
