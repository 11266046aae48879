import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatCasAddress } from "@vouchsafe/protocol";
import { runCas, testDirectory } from "../testing/cas-command.ts";
import { simulatedPlatform } from "../testing/simulated-platform.ts";
import { startTestCas } from "../testing/test-cas.ts";

test("CL 10.1, attestedCLIProbes: `cas probe` attests the CAS by key and evidence, and reads anew each time what it shall accept", async (t) => {
  const directory = testDirectory(t);
  const platform = simulatedPlatform(join(directory, "platform"), "tdx");
  const cas = await startTestCas(t, { ownPlatform: platform.platform });
  await cas.client().attest(""); // makes the root
  const simulatedRoot = readFileSync(platform.rootFile, "utf8");
  const [terms, config] = [join(directory, "terms.json"), join(directory, "cas.toml")];
  writeFileSync(
    config,
    `[database]\npath = "${join(directory, "cas.db")}"\n[collateral]\noffline = true\ncache_directory = "${join(directory, "cache")}"\n`,
  );
  const probe = (accepted: object) => {
    writeFileSync(terms, JSON.stringify(accepted));
    return runCas(["probe", "--terms", terms, "--config", config, "--address", formatCasAddress(cas.running.clientAddress)]);
  };
  const unnamed = await probe({ onlyForTesting: { simulatedRoot } });
  assert.equal(unnamed.code, 1);
  const code = /the CAS is refused: measurement does not match: ([0-9a-f]{64}); expected one that you name/.exec(unnamed.said)?.[1];
  assert(code !== undefined, unnamed.said);
  const named = { mrenclave: [code], onlyForTesting: { simulatedRoot }, casKeyHash: cas.running.casKeyHash };
  const accepted = await probe(named);
  assert.equal(accepted.code, 0, accepted.said);
  const otherKey = await probe({ ...named, casKeyHash: "other" });
  assert.equal(otherKey.code, 1);
  assert.match(otherKey.said, /CAS key hash is \S+, expected other/);
  platform.status = "OutOfDate";
  assert.match((await probe(named)).said, /platform does not match: OutOfDate/);
  assert.equal((await probe({ ...named, tolerate: ["out-of-date"] })).code, 0);
  await cas.stop();
  const gone = await probe(named);
  assert.equal(gone.code, 1);
  assert.match(gone.said, /the CAS is refused: /);
});

test("CL 10.1, attestedCLIProbes: a CAS without evidence is accepted where none is demanded; without terms nothing is", async (t) => {
  const directory = testDirectory(t);
  const cas = await startTestCas(t);
  const terms = join(directory, "terms.json");
  const at = ["--address", formatCasAddress(cas.running.clientAddress)];
  writeFileSync(terms, "{}");
  assert.equal((await runCas(["probe", "--terms", terms, ...at])).code, 0);
  writeFileSync(terms, JSON.stringify({ evidence: "required" }));
  assert.match((await runCas(["probe", "--terms", terms, ...at])).said, /expected evidence of hardware, found none/);
  writeFileSync(terms, "nothing");
  const broken = await runCas(["probe", "--terms", terms, ...at]);
  assert.equal(broken.code, 1);
  assert.match(broken.said, /terms\.json holds no terms/);
  assert.match((await runCas(["probe", ...at])).said, /probe needs --terms FILE/);
});
