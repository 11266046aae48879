import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { codeIdentity, createNodeStatement, encodeEvidence, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { linesOf } from "./inspect.ts";

const directory = mkdtempSync(join(tmpdir(), "vouchsafe-evidence-"));
after(() => rmSync(directory, { recursive: true }));
const main = join(import.meta.dirname, "../../main.ts");
const run = (...args: string[]) =>
  new Promise<{ status: number; out: string; err: string }>((resolve) => {
    execFile(process.execPath, [main, "evidence", ...args], { cwd: directory }, (error, out, err) => {
      resolve({ status: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });

const agent = generateKeyPairSync("ed25519");
const statement = {
  userData: new Uint8Array(64).fill(1),
  agentMeasurement: NODE_AGENT_MEASUREMENT,
  imageDigest: `sha256:${"ab".repeat(32)}`,
  fileSystemTag: "",
  program: "/usr/bin/redis-server",
  service: "patients-7/redis",
  instanceCounter: 1n,
  issuedAt: new Date("2026-11-25T12:00:00Z"),
};
const evidence = createNodeStatement(statement, agent.privateKey);
writeFileSync(join(directory, "node.json"), JSON.stringify(encodeEvidence(evidence)));
writeFileSync(join(directory, "agent.pem"), agent.publicKey.export({ type: "spki", format: "pem" }));
writeFileSync(join(directory, "garbage"), "neither quote nor report");
const verified = ["verify", "node.json", "--root", "agent.pem", "--at", "2026-11-25T12:00:30Z"];

test("evidence inspect shows what the file says, and says that nothing of it is verified", async () => {
  const { status, out, err } = await run("inspect", "node.json");
  assert.equal(status, 0);
  assert.match(out, /^node, \d+ bytes\n(?:.*\n)* {2}program: \/usr\/bin\/redis-server\n/);
  assert.match(err, /nothing of this is verified/);
});

test("evidence verify prints claims, and warns that node evidence proves nothing about hardware", async () => {
  const { status, out, err } = await run(...verified, "--json");
  assert.equal(status, 0, err);
  assert.equal(JSON.parse(out).claims.workload.imageDigest, statement.imageDigest);
  assert.match(err, /proves nothing about hardware/);
});

test("C-50: evidence verify exits 3 and names code and reason where nothing is proved", async () => {
  const stale = await run("verify", "node.json", "--root", "agent.pem", "--at", "2026-11-26T12:00:00Z");
  assert.deepEqual([stale.status, stale.out.split("\n")[0]], [3, "not verified: EVIDENCE_STALE, stale"]);
  const unknown = await run("verify", "node.json");
  assert.deepEqual([unknown.status, unknown.out.split("\n")[0]], [3, "not verified: EVIDENCE_SIGNATURE, bad-signature"]);
  const garbage = await run("verify", "garbage");
  assert.deepEqual([garbage.status, garbage.out.split("\n")[0]], [3, "not verified: EVIDENCE_MALFORMED, parse-error"]);
});

test("evidence explain says of every check what was expected, found, and would make it pass", async () => {
  const file = ["explain", ...verified.slice(1)];
  const refused = await run(...file, "--accept", "snp", "--code-identity", "00".repeat(32));
  assert.equal(refused.status, 3);
  assert.match(refused.out, /FAILED {4}evidence kind\n {12}expected: snp\n {12}found: {4}node\n {12}to pass: {2}Name node/);
  assert.match(refused.out, /refused: 2 of 6 checks failed\n$/);
  const identity = codeIdentity("node", NODE_AGENT_MEASUREMENT, { imageDigest: statement.imageDigest, fileSystemTag: "" });
  const accepted = await run(
    ...file,
    "--accept",
    "node",
    "--code-identity",
    identity,
    "--user-data",
    "01".repeat(64),
    "--fact",
    "service=patients-7/redis",
  );
  assert.equal(accepted.status, 0, accepted.out);
  assert.match(accepted.out, /accepted\n$/);
  const stale = await run("explain", "node.json", "--root", "agent.pem", "--accept", "node");
  assert.match(stale.out, /refused: the evidence proves nothing \(EVIDENCE_STALE, stale\)/);
});

test("the options that evidence explain names are those that make it accept", async () => {
  const file = ["explain", ...verified.slice(1)];
  const refused = await run(
    ...file,
    "--accept",
    "snp",
    "--code-identity",
    "00".repeat(32),
    "--fact",
    "service=other",
    "--platform",
    "none",
  );
  const options = [...refused.out.matchAll(/options: {2}(.*)/g)].flatMap(([, text = ""]) => text.split(" "));
  assert.equal(options.length, 8, refused.out);
  const accepted = await run(...file, ...options);
  assert.equal(accepted.status, 0, accepted.out);
  const { checks } = JSON.parse((await run(...file, "--accept", "snp", "--json")).out);
  assert.equal(checks.find(({ name }: { name: string }) => name === "evidence kind").options, "--accept node");
});

test("evidence inspect prints numbers of a list side by side", () => {
  assert.deepEqual(linesOf({ svns: [1, 2, 3], names: ["a"], none: [] }, ""), ["  svns: 1 2 3", "  names.0: a"]);
});

test("evidence check-vectors counts, prints one line for each deviation, and exits 1", async (context) => {
  const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../../shared/vectors");
  if (!existsSync(join(vectors, "tlog"))) return context.diagnostic(`no vectors at ${vectors}: only the next test says what it prints`);
  const { status, out } = await run("check-vectors", join(vectors, "tlog"));
  assert.deepEqual([status, out], [0, "5 cases, 5 right\n"]);
});

test("evidence check-vectors answers a case that it does not know as wrong", async () => {
  const folder = mkdtempSync(join(directory, "tarot-"));
  writeFileSync(join(folder, "expected.json"), JSON.stringify({ family: "tarot", case: "x", expect: "ok" }));
  const { status, out } = await run("check-vectors", folder);
  assert.equal(status, 1);
  assert.match(out, /expected ok, found nothing.*\n1 cases, 0 right\n$/);
});
