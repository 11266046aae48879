import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { codeIdentity, createNodeStatement, encodeEvidence, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { eventLogBytes } from "../../../../attestation/src/testing/mint-event-log.ts";
import { mintedNow, mintIntel } from "../../../../attestation/src/testing/mint-intel.ts";
import { mintedAt, mintSnp } from "../../../../attestation/src/testing/mint-snp.ts";
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

test("what is refused before any policy says with which options it would pass, in text and as JSON", async () => {
  const { quote, root, collateral } = mintIntel();
  const { report, endorsementKey, signer, anchors } = mintSnp();
  const files = { "quote.bin": quote, "root.der": root, "report.bin": report, "vcek.der": endorsementKey.der, "ask.der": signer.der };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(directory, name), bytes);
  writeFileSync(join(directory, "ark.der"), anchors[0]?.der ?? "");
  mkdirSync(join(directory, "intel"));
  const named = { tcbInfo: "tcb-info.json", qeIdentity: "qe-identity.json", tcbSigningChain: "tcb-signing-chain.pem" };
  for (const [member, name] of Object.entries({ ...named, pckCrl: "pck-crl.der", rootCaCrl: "root-ca-crl.der" }))
    writeFileSync(join(directory, "intel", name), collateral[member as keyof typeof collateral] ?? "");
  const options = async (...args: string[]) => {
    const { status, out } = await run("verify", ...args);
    const text = /^ {2}options: {2}(.*)$/m.exec(out)?.[1];
    assert.equal(JSON.parse((await run("verify", ...args, "--json")).out).options, text, "the same as JSON");
    return status === 0 ? "accepted" : text;
  };
  const quoted = ["quote.bin", "--at", mintedNow.toISOString()];
  assert.match((await options(...quoted)) ?? "", /^--root FILE$/);
  assert.match((await options(...quoted, "--root", "root.der")) ?? "", /^--collateral FILE/);
  const whole = ["--root", "root.der", "--collateral", "intel"];
  assert.equal(await options(...quoted, ...whole), "accepted");
  assert.match((await options(...quoted, ...whole, "--kind", "tdx")) ?? "", /^--root|^--kind sgx$/);
  assert.match((await options("quote.bin", "--at", "2026-08-01T00:00:00Z", ...whole)) ?? "", /^--collateral FILE.*, or --at TIME/);
  const reported = ["report.bin", "--root", "ark.der", "--at", mintedAt.toISOString()];
  assert.match((await options(...reported)) ?? "", /^--with endorsement-key=FILE, or --collateral FILE$/);
  assert.match((await options(...reported, "--with", "endorsement-key=vcek.der")) ?? "", /^--with signer=FILE/);
  assert.equal(await options(...reported, "--with", "endorsement-key=vcek.der", "--with", "signer=ask.der"), "accepted");
});

test("docs/evidence.md names every member that the commands print as JSON", async () => {
  const documented = new Set(readFileSync(join(import.meta.dirname, "../../../../../docs/evidence.md"), "utf8").match(/(?<=`)\w+(?=`)/g));
  const refused = await run("verify", "node.json", "--json");
  const outputs = [refused, await run(...verified, "--json"), await run("inspect", "node.json", "--json")];
  outputs.push(await run("explain", ...verified.slice(1), "--accept", "snp", "--json"), await run("explain", "node.json", "--json"));
  for (const { out } of outputs) {
    const printed: Record<string, unknown> = JSON.parse(out);
    const { fields: _, endorsements: __, claims = {}, checks = [], ...rest } = printed;
    const members = [rest, claims, ...(Array.isArray(checks) ? checks : [])].flatMap((value) => Object.keys(Object(value)));
    assert.deepEqual(
      [...new Set(members)].filter((member) => !documented.has(member)),
      [],
    );
  }
});

test("what is no evidence, or a part of some, is told by what was found and what verifies it", async () => {
  mkdirSync(join(directory, "nothing"));
  const none = await run("verify", "node.json", "--collateral", "nothing");
  assert.match(none.err, /nothing has none of tcb-info\.json, .*root-ca-crl\.der\nhelp: Name a directory that has them/);
  writeFileSync(join(directory, "log.bin"), eventLogBytes(["sha256"], []));
  const log = await run("verify", "log.bin");
  assert.deepEqual([log.status, /holds an event log.*\n.*--with event-log=FILE/.test(log.err)], [2, true], log.err);
  writeFileSync(join(directory, "empty"), "");
  assert.match((await run("inspect", "empty")).err, /: 0 bytes are no format/);
  writeFileSync(join(directory, "other"), Buffer.alloc(300, 0x9a));
  assert.match(
    (await run("inspect", "other")).err,
    /: 300 bytes that begin with 9a9a9a9a9a9a9a9a are no format.*\nhelp: Give an SGX or TDX quote/,
  );
  writeFileSync(join(directory, "hex"), "9a".repeat(300));
  assert.match((await run("inspect", "hex")).err, /: 300 bytes that begin with 9a9a9a9a9a9a9a9a, decoded from text, are no format/);
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
