import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EvidenceError } from "./errors.ts";
import { REMEDIES } from "./remedies.ts";

const root = join(import.meta.dirname, "..");
const sources = globSync("*/*.ts", { cwd: root }).filter((file) => !/\.test\.ts$|^(?:vectors|testing)\//.test(file));

/** Reasons as the code spells them: `reason: "…"`, or first or last argument of a function that makes refusals. */
const spelled = sources.flatMap((file) =>
  [
    ...readFileSync(join(root, file), "utf8").matchAll(
      /reason: "([a-z-]+)"|(?:refused|stale|refuse)\("([a-z]+(?:-[a-z]+)+)",|, "([a-z]+(?:-[a-z]+)+)"\)[;,]?$/gm,
    ),
  ].map(([, ...groups]) => groups.find((group) => group !== undefined) ?? ""),
);

test("every refusal says what would make it pass: each reason has a remedy, and each remedy a reason", () => {
  const documents = new Set(["endorsement-key", "attestation-key", "attestation-key-certificate", "amd-crl", "event-log"]); // names of endorsements
  const reasons = new Set(spelled.filter((reason) => !documents.has(reason)));
  assert.ok(reasons.size > 25, `${reasons.size} reasons found`);
  assert.deepEqual(
    [...reasons].filter((reason) => !Object.hasOwn(REMEDIES, reason)),
    [],
  );
});

test("a remedy of the code that refuses goes before the general one", () => {
  assert.equal(new EvidenceError("EVIDENCE_STALE", "x", { reason: "cert-expired" }).remedy, REMEDIES["cert-expired"]);
  assert.equal(new EvidenceError("EVIDENCE_STALE", "x", { reason: "cert-expired", remedy: "Wait." }).remedy, "Wait.");
  assert.equal(new EvidenceError("EVIDENCE_SIGNATURE", "x").remedy, REMEDIES["bad-signature"]);
});
