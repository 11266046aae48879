import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { SIMULATED_KINDS, type SimulatedKind } from "@vouchsafe/attestation";
import { SoftwarePlatform } from "@vouchsafe/cas";
import { casEvidenceUserData, formatCasAddress } from "@vouchsafe/protocol";
import { startSoftwareTpm } from "../../../../attestation/src/testing/software-tpm.ts";
import { findOwnPlatform } from "../../../../cas/src/identity/own-platform.ts";
import { startTestCas } from "../../../../cas/src/testing/test-cas.ts";
import { casThatSays } from "../../testing/cas-that-says.ts";
import { commandLine } from "../../testing/command-line.ts";

const ROOT = "--only_for_testing-simulated-root";

/** A CAS with simulated evidence about itself, and the root under which a client may believe it. */
async function simulatedCas(t: TestContext, kind: SimulatedKind) {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-platform-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const cas = await startTestCas(t, { ownPlatform: findOwnPlatform({ simulated: { directory, kind } }, []) });
  await cas.client().attest(""); // makes the root
  return { cas, directory, root: [ROOT, join(directory, "root.pem")], address: formatCasAddress(cas.running.clientAddress) };
}

/** The switches that a refusal names. */
const switchesOf = (notes: string): string[] => /accept it with: (.*)\.$/m.exec(notes)?.[1]?.split(" ") ?? assert.fail(notes);

for (const kind of SIMULATED_KINDS) {
  test(`C-64, C-65, C-66, C-71 evidence of a CAS (simulated ${kind}) is judged without -c: refused with found and expected, accepted with the switch that is named`, async (t) => {
    const { root, address, cas } = await simulatedCas(t, kind);
    const { run, home } = commandLine(t);
    const attest = (...more: string[]) => run("cas", "attest", address, ...more);
    const distrusted = await attest();
    assert.equal(distrusted.code, 1);
    assert.match(distrusted.notes, /^Error: attestation of CAS .* failed\nCaused by: the evidence of kind simulated proves nothing: /m);
    const unnamed = await attest(...root);
    assert.equal(unnamed.code, 1);
    const what =
      kind === "sgx"
        ? /Caused by: signer does not match: [0-9a-f]{64}; expected that of an official release/
        : /Caused by: measurement does not match: [0-9a-f]{64}; expected one that you name/;
    assert.match(unnamed.notes, what);
    const accepted = await attest(...root, ...switchesOf(unnamed.notes));
    assert.equal(accepted.code, 0, accepted.notes);
    assert.match(accepted.out, /is trustworthy/);
    assert.match(
      accepted.notes,
      new RegExp(`notice: evidence of kind simulated \\(${kind}\\): code identity [0-9a-f]{64}, platform SIMULATED:.*, UpToDate`),
    );
    assert.match(accepted.notes, /warning: DEVELOPMENT ONLY: the evidence is simulated/);
    const remembered = readFileSync(join(home, ".cas", "config.json"), "utf8");
    assert.match(remembered, /"kind": ?"simulated"/);
    assert.match(remembered, /"terms": \{\s*"evidence": "required"/, "kubectl provision goes on with what was accepted here");
    const wrong = await attest(...root, "--mrenclave", "00".repeat(32), "--only_for_testing-ignore-signer");
    assert.match(wrong.notes, /Caused by: measurement does not match: [0-9a-f]{64}; expected 0{64}\nhelp: .*--mrenclave [0-9a-f]{64}/);
    const pinned = await attest("-c", cas.running.casKeyHash, "--only_for_testing-trust-any", "--only_for_testing-debug", "-G");
    assert.equal(pinned.code, 0, pinned.notes);
    assert.match(pinned.notes, /evidence of this CAS, of kind simulated, is not judged/);
    assert.match(pinned.notes, /--out-of-date has no effect: any evidence is accepted/);
  });
}

test("C-66, C-68 options that contradict each other or say too little are usage errors; the old second operand is the measurement", async (t) => {
  const { run } = commandLine(t);
  const attest = (...more: string[]) => run("cas", "attest", "127.0.0.1:1", ...more);
  const cases = [
    { given: ["--mrsigner", "ab".repeat(32)], says: /--mrsigner needs --isvprodid and --isvsvn/ },
    { given: ["--isvprodid", "1"], says: /--isvprodid needs --mrsigner/ },
    { given: ["--only_for_testing-debug"], says: /--only_for_testing-debug needs --only_for_testing-ignore-signer/ },
    { given: ["--only_for_testing-ignore-signer"], says: /--only_for_testing-ignore-signer needs --mrenclave/ },
    { given: ["--only_for_testing-trust-any"], says: /--only_for_testing-trust-any needs --only_for_testing-debug/ },
    { given: ["--mrenclave", "12"], says: /--mrenclave is "12"; expected 64 hexadecimal digits/ },
    { given: ["--isvsvn", "x"], says: /--isvsvn is "x"; expected a number/ },
    { given: ["nonsense"], says: /--mrenclave is "nonsense"/ },
  ];
  for (const { given, says } of cases) await assert.rejects(attest(...given), { message: says }, given.join(" "));
});

test("C-64 saved evidence is judged without the CAS, for its nonce only; what was relayed or replayed from another CAS is refused", async (t) => {
  const { cas, directory, root, address } = await simulatedCas(t, "tdx");
  const { run, home } = commandLine(t);
  const saved = await cas.client().attest("4711");
  const report = join(home, "report.json");
  writeFileSync(report, JSON.stringify(saved));
  const measure = switchesOf((await run("cas", "attest", address, ...root)).notes);
  const offline = (nonce: string) => run("cas", "attest", address, ...root, ...measure, "--offline-report", report, "--nonce", nonce);
  assert.equal((await offline("4711")).code, 0);
  assert.match((await offline("4712")).notes, /was made for another request/);
  const other = await cas.client().attest("4712");
  writeFileSync(report, JSON.stringify({ ...saved, evidence: other.evidence }));
  assert.match((await offline("4711")).notes, /evidence does not cover this statement: it was made by another CAS or for another request/);

  const relay = await casThatSays(t, {}, async (nonce) => (await cas.client().attest(nonce)).evidence);
  const relayed = await run("cas", "attest", relay.address, ...root, ...measure);
  assert.equal(relayed.code, 1);
  assert.match(relayed.notes, /Caused by: the evidence does not cover this statement.*\nhelp: Do not use this CAS/);

  const old = await casThatSays(t, { securityVersion: 0 }, async (_, statement) => {
    const workload = { imageDigest: `sha256:${"0".repeat(64)}`, fileSystemTag: "", program: "cas" };
    const { kind, bytes, endorsements } = new SoftwarePlatform(directory, "tdx").vouchFor(workload)(casEvidenceUserData(statement));
    const encoded = Object.fromEntries([...(endorsements ?? [])].map(([name, value]) => [name, value.toBase64()]));
    return { kind, evidence: bytes.toBase64(), endorsements: encoded };
  });
  const downgraded = await run("cas", "attest", old.address, ...root);
  assert.match(downgraded.notes, /Caused by: security version does not match: 0; expected at least 1/);
  assert.equal((await run("cas", "attest", old.address, ...root, ...switchesOf(downgraded.notes))).code, 0);
});

test("C-64 a real TPM proves in conversation that evidence about a CAS is its own; another maker, a saved report and foreign credentials are refused", async (t) => {
  const tpm = await startSoftwareTpm({ isManufactured: true });
  t.after(() => tpm[Symbol.asyncDispose]());
  const cas = await startTestCas(t, { ownPlatform: findOwnPlatform({ tpm: tpm.address }) });
  const { run, home } = commandLine(t);
  const address = formatCasAddress(cas.running.clientAddress);
  const makers = tpm.makerCertificates.flatMap((pem, index) => {
    writeFileSync(join(home, `maker-${index}.pem`), pem);
    return ["--tpm-endorsement-root", join(home, `maker-${index}.pem`)];
  });
  const attest = (...more: string[]) => run("cas", "attest", address, ...more);
  assert.match((await attest()).notes, /Caused by: the evidence of kind tpm proves nothing: .*no root of a TPM maker is trusted/);
  const unnamed = await attest(...makers);
  assert.match(
    unnamed.notes,
    /measurement does not match: [0-9a-f]{64}; expected one that you name, as evidence of kind tpm names no signer/,
  );
  const measure = switchesOf(unnamed.notes);
  const accepted = await attest(...makers, ...measure);
  assert.equal(accepted.code, 0, accepted.notes);
  assert.match(accepted.notes, /notice: evidence of kind tpm: code identity [0-9a-f]{64}, platform TPM_EK:[0-9a-f]{64}, UpToDate/);
  const [, key = ""] = /platform (TPM_EK:[0-9a-f]{64})/.exec(accepted.notes) ?? [];
  assert.equal((await attest("--tpm-endorsement-key", key, ...measure)).code, 0, "an enrolled TPM needs no maker");
  assert.match((await attest("--tpm-endorsement-key", `TPM_EK:${"0".repeat(64)}`, ...measure)).notes, /proves nothing/);
  const report = join(home, "report.json");
  writeFileSync(report, JSON.stringify(await cas.client().attest("4711")));
  assert.match(
    (await attest(...makers, ...measure, "--offline-report", report, "--nonce", "4711")).notes,
    /evidence of a TPM cannot be judged afterwards/,
  );
  await assert.rejects(cas.client().openCredential({ idObject: "AAAA", encryptedSecret: "AAAA" }), /does not open the credential/);
  assert.ok(new X509Certificate(tpm.makerCertificates[0] ?? "").ca);
});

test("C-64 a platform that gives no evidence is said with its reason, and the CAS goes on without", async (t) => {
  const cas = await startTestCas(t, { ownPlatform: findOwnPlatform({ tpm: { host: "127.0.0.1", port: 1 } }) });
  const { run } = commandLine(t);
  const refused = await run("cas", "attest", formatCasAddress(cas.running.clientAddress));
  assert.match(refused.notes, /expected evidence of hardware, found none.*\(it says: the TPM 127\.0\.0\.1:1 cannot be opened/);
  assert.ok(cas.lines.some((line) => /no evidence about the platform of this CAS: the TPM/.test(line)));
});
