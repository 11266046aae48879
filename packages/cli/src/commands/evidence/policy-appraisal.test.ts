import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { encodeEvidence } from "@vouchsafe/attestation";
import { mintedNow, mintIntel } from "../../../../attestation/src/testing/mint-intel.ts";

const directory = mkdtempSync(join(tmpdir(), "vouchsafe-policy-appraisal-"));
after(() => rmSync(directory, { recursive: true }));
const main = join(import.meta.dirname, "../../main.ts");
const run = (...args: string[]) =>
  new Promise<{ status: number; out: string; err: string }>((resolve) => {
    execFile(process.execPath, [main, "evidence", ...args], { cwd: directory }, (error, out, err) => {
      resolve({ status: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });

/** A platform that is out of date. */
const { quote, root, collateral } = mintIntel({ pceSvn: 12 });
const endorsements = new Map(
  Object.entries({
    "tcb-info.json": collateral.tcbInfo,
    "qe-identity.json": collateral.qeIdentity,
    "tcb-signing-chain.pem": collateral.tcbSigningChain,
    "pck-crl.der": collateral.pckCrl,
    "root-ca-crl.der": collateral.rootCaCrl,
  }).flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes] as const])),
);
writeFileSync(join(directory, "quote.json"), JSON.stringify(encodeEvidence({ kind: "sgx", bytes: quote, endorsements })));
writeFileSync(join(directory, "root.der"), root);
const given = ["quote.json", "--root", "root.der", "--at", mintedNow.toISOString()];
for (const [name, bytes] of endorsements) writeFileSync(join(directory, name), bytes);
const file = [...given, "--collateral", "."];

const code = "3e".repeat(32);
const policy = (attestation: string, security = "") => `version: "0.3.11"
name: shop
services:
  - name: api
    command: api
    pwd: /
    attestation:
      - mrenclave: [${attestation}]
  - name: db
    command: db
    pwd: /
    attestation:
      - {signer: {mrsigner: ${"ec".repeat(32)}, isvprodid: 7, isvsvn_min: 9}}
security:
  attestation:
    evidence: [sgx]
${security}`;
writeFileSync(join(directory, "strict.yaml"), policy("0".repeat(64)));
writeFileSync(join(directory, "tolerant.yaml"), policy(code, "    tolerate: [outdated-tcb]\n    ignore_advisories: [INTEL-SA-00615]\n"));

test("C-50 evidence explain --policy names file, line and column of every field that refuses, and what would make it pass", async () => {
  const { status, out } = await run("explain", ...file, "--policy", "strict.yaml", "--service", "api");
  assert.equal(status, 3, out);
  assert.match(
    out,
    new RegExp(
      `FAILED {4}code identity\\n +expected: 0{64}\\n +found: {4}code measurement ${code}\\n` +
        " +policy: {3}strict.yaml:8:9 services\\[0\\].attestation\\[0\\].mrenclave\\n +to pass: {2}List 3e",
    ),
  );
  assert.match(
    out,
    /FAILED {4}TCB status\n.*\n +found: {4}OutOfDate\n +policy: {3}strict.yaml:15:3 security.attestation.tolerate \(not written: its default holds\)\n +to pass: .*outdated-tcb/,
  );
  assert.match(out, /advisories\n.*\n.*INTEL-SA-00615\n.*security.attestation.ignore_advisories/);
  assert.match(out, /refused: 3 of \d+ checks failed\n$/);
});

test("evidence explain --policy --json has the same as members; verify --policy says it behind the claims", async () => {
  const { out } = await run("explain", ...file, "--policy", "strict.yaml", "--service", "db", "--json");
  const { accepted, checks, ear } = JSON.parse(out);
  assert.equal(accepted, false);
  const failed = checks.find(({ name, outcome }: { name: string; outcome: string }) => name === "code identity" && outcome === "failed");
  assert.deepEqual(
    [failed.expected, failed.found, failed.policyPath.join(".")],
    ["at least 9", "isvsvn 3", "attestation.0.signer.isvsvn_min"],
  );
  const [place] = failed.policy;
  assert.deepEqual([place.file, place.line, place.isWritten], ["strict.yaml", 13, true]);
  assert.equal(ear.status, "contraindicated");
  const refused = await run("verify", ...file, "--policy", "strict.yaml", "--service", "api");
  assert.deepEqual([refused.status, /strict.yaml:8:9/.test(refused.out)], [3, true]);
  const accepting = await run("verify", ...file, "--policy", "tolerant.yaml", "--service", "api");
  assert.equal(accepting.status, 0, accepting.out);
  assert.match(accepting.out, /tolerated TCB status: OutOfDate\n(?:.*\n)*accepted\n$/);
});

test("a refusal of the verifier has field, expected and found in text and JSON", async () => {
  const late = ["quote.json", "--root", "root.der", "--at", "2026-08-01T00:00:00Z", "--collateral", "."];
  const text = await run("verify", ...late);
  assert.match(
    text.out,
    /EVIDENCE_STALE, collateral-expired\n.*\n {2}field: {4}TCB Info nextUpdate\n {2}expected: not before 2026-08-01.*\n {2}found: {4}2026-07-01/,
  );
  const json = JSON.parse((await run("explain", ...late, "--accept", "sgx", "--json")).out).verification;
  assert.deepEqual([json.field, json.found], ["TCB Info nextUpdate", "2026-07-01T00:00:00.000Z"]);
  assert.match(json.expected, /^not before 2026-08-01/);
});

test("a policy that cannot be judged by is refused by name", async () => {
  const refused = async (says: RegExp, ...options: string[]) => {
    const { status, err } = await run("explain", ...file, ...options);
    assert.notEqual(status, 0);
    assert.match(err, says);
  };
  await refused(/has several services\n.*--service: api, db/, "--policy", "strict.yaml");
  await refused(/has no service cache/, "--policy", "strict.yaml", "--service", "cache");
  await refused(/--accept beside --policy/, "--policy", "strict.yaml", "--service", "api", "--accept", "sgx");
  await refused(/--service names a service of --policy/, "--service", "api");
  await refused(/cannot be read/, "--policy", "missing.yaml");
  writeFileSync(join(directory, "broken.yaml"), "version: 0.3.11\nname: x\nservices: 7\n");
  await refused(/broken.yaml:3:11: /, "--policy", "broken.yaml");
  const none = "version: 0.3.11\nname: x\nservices: [{name: a, command: a, pwd: /}]\nsecurity: {attestation: {mode: none}}\n";
  writeFileSync(join(directory, "none.yaml"), none);
  await refused(/asks for no evidence/, "--policy", "none.yaml");
});
