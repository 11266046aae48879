import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EvidenceError } from "./errors.ts";
import { REMEDIES } from "./remedies.ts";

const room = join(import.meta.dirname, "../..");
const sources = globSync("src/*/*.ts", { cwd: room }).filter((file) => !/\.test\.ts$|remedies\.ts$|^src\/(?:vectors|testing)\//.test(file));

test("every reason is given somewhere, and the README lists all of them and no other", () => {
  const code = sources.map((file) => readFileSync(join(room, file), "utf8")).join("\n");
  const reasons = Object.keys(REMEDIES).sort();
  assert.deepEqual(
    reasons.filter((reason) => !code.includes(`"${reason}"`) && !code.includes(`stale: "${reason}"`)),
    [],
  );
  const [, table = ""] = readFileSync(join(room, "README.md"), "utf8").split("| reason | what was found |");
  const listed = [...(table.split("\n\n")[0] ?? "").matchAll(/^\| (.+?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([a-z-]+)`/g)].map(([, reason = ""]) => reason),
  );
  assert.deepEqual(listed.sort(), reasons);
});

test("a remedy of the code that refuses goes before the general one", () => {
  assert.equal(new EvidenceError("EVIDENCE_STALE", "x", { reason: "cert-expired" }).remedy, REMEDIES["cert-expired"]);
  assert.equal(new EvidenceError("EVIDENCE_STALE", "x", { reason: "cert-expired", remedy: "Wait." }).remedy, "Wait.");
  assert.equal(new EvidenceError("EVIDENCE_SIGNATURE", "x").remedy, REMEDIES["bad-signature"]);
});
