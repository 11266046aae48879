import assert from "node:assert/strict";
import { test } from "node:test";
import { findEndorsement, getEndorsement } from "./endorsement.ts";

const context = {
  ...{ now: new Date(0), trustAnchors: {} },
  collateral: {
    documents: new Map([
      ["signer", Uint8Array.of(1)],
      ["pcrs", Uint8Array.of(2)],
    ]),
  },
};
const evidence = { kind: "snp", bytes: new Uint8Array(0), endorsements: new Map([["signer", Uint8Array.of(3)]]) } as const;

test("a document comes with the evidence, or else from the verifier", () => {
  for (const get of [findEndorsement, getEndorsement]) {
    assert.deepEqual(get(evidence, context, "signer"), Uint8Array.of(3));
    assert.deepEqual(get(evidence, context, "pcrs"), Uint8Array.of(2));
  }
});

test("a document that is nowhere is missing by its name, with what it would hold", () => {
  assert.equal(findEndorsement(evidence, context, "signature"), undefined);
  assert.throws(() => getEndorsement(evidence, context, "signature"), {
    ...{ code: "EVIDENCE_SIGNATURE", reason: "collateral-missing", field: "signature", found: "none" },
    expected: "the TPMT_SIGNATURE over the quote",
    message: /signature came neither with the evidence nor as collateral/,
  });
});
