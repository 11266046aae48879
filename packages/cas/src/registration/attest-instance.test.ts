import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createServer } from "node:tls";
import type { Claims } from "@vouchsafe/attestation";
import { CasProblemError, formatCasAddress, verifyCasChainPem } from "@vouchsafe/protocol";
import { casKeys, mintCasChain, pemOf } from "../../../protocol/src/testing/mint-cas-chain.ts";
import { openDevelopmentPlatform } from "../development/development-platform.ts";
import { findOwnPlatform } from "../identity/own-platform.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { attestInstance, type InstanceFacts, type InstanceTerms, instanceProblems } from "./attest-instance.ts";

const claims = (more: Partial<Claims> = {}): Claims => ({
  kind: "sgx",
  userData: new Uint8Array(64),
  codeIdentity: "11".repeat(32),
  launchMeasurement: new Uint8Array(32),
  signer: { mrSigner: "aa".repeat(32), isvProdId: 7, isvSvn: 3 },
  debug: false,
  platformId: "platform",
  tcb: { status: "UpToDate", advisories: [] },
  details: {},
  ...more,
});
const guest = (codeIdentity: string, more: Partial<Claims> = {}): Claims => {
  const { signer: _, ...unsigned } = claims({ kind: "tdx", codeIdentity, ...more });
  return unsigned;
};
const facts = (key: string, of: Claims | undefined): InstanceFacts => ({
  ...{ instanceKey: key.repeat(32), version: "1", securityVersion: 1, developmentRoot: false },
  claims: of,
});
const judge = (own: Claims | undefined, other: Claims | undefined, terms: InstanceTerms = {}, purpose: "backup" | "upgrade" = "backup") =>
  instanceProblems(purpose, facts("01", own), facts("02", other), terms).join("\n");
const [SAME, OTHER] = ["22".repeat(32), "33".repeat(32)];

const refused: readonly { readonly rule: string; readonly found: string; readonly says: RegExp }[] = [
  {
    rule: "another signer",
    found: judge(claims(), claims({ signer: { mrSigner: "bb".repeat(32), isvProdId: 7, isvSvn: 3 } })),
    says: /^signer does not match: b+ product 7; expected a+ product 7$/,
  },
  {
    rule: "another product",
    found: judge(claims(), claims({ signer: { mrSigner: "aa".repeat(32), isvProdId: 8, isvSvn: 3 } })),
    says: /product 8; expected a+ product 7$/,
  },
  {
    rule: "a lower security version",
    found: judge(claims(), claims({ signer: { mrSigner: "aa".repeat(32), isvProdId: 7, isvSvn: 2 } })),
    says: /^security version does not match: 2; expected at least 3$/,
  },
  {
    rule: "a worse platform",
    found: judge(claims(), claims({ tcb: { status: "OutOfDate", advisories: [] } })),
    says: /^platform does not match: OutOfDate; expected UpToDate or better \(accepted by --out-of-date\)$/,
  },
  {
    rule: "a platform of which only a part is tolerated",
    found: judge(claims(), claims({ tcb: { status: "OutOfDateConfigurationNeeded", advisories: [] } }), { tolerate: ["out-of-date"] }),
    says: /\(accepted by --configuration-needed\)$/,
  },
  {
    rule: "a revoked platform, whatever is tolerated",
    found: judge(claims(), claims({ tcb: { status: "Revoked", advisories: [] } }), {
      tolerate: ["out-of-date", "configuration-needed", "hardening-needed"],
    }),
    says: /^platform does not match: Revoked; expected UpToDate or better$/,
  },
  { rule: "debug mode", found: judge(claims(), claims({ debug: true })), says: /^mode does not match: debug; expected production$/ },
  {
    rule: "a guest with weak attributes",
    found: judge(guest(SAME), guest(SAME, { weaknesses: ["can be moved"] })),
    says: /^configuration does not match: can be moved/,
  },
  {
    rule: "other code that nobody signed",
    found: judge(guest(SAME), guest(OTHER)),
    says: new RegExp(`^measurement does not match: ${OTHER}; expected ${SAME} \\(accepted by --mrenclave ${OTHER}\\)$`),
  },
  {
    rule: "as upgrade, code that the owner did not name",
    found: judge(guest(SAME), guest(OTHER), {}, "upgrade"),
    says: /expected one that you name/,
  },
  {
    rule: "another kind of evidence",
    found: judge(claims(), guest(SAME), { mrenclave: [SAME] }),
    says: /^its evidence is of kind tdx, expected sgx$/,
  },
  {
    rule: "no evidence where this CAS has some, with its key given too",
    found: judge(claims(), undefined, { casKeyHash: "x" }),
    says: /^evidence of kind sgx proves what this CAS is, and it gives none$/,
  },
  {
    rule: "evidence of an unnamed program where this CAS has none",
    found: judge(undefined, guest(OTHER)),
    says: /casKeyHash\) was not given/,
  },
];
for (const { rule, found, says } of refused) test(`C-74 a backup is refused: ${rule}`, () => assert.match(found, says));

test("C-74 a backup is accepted that is equal or better, or whose difference the owner accepts", () => {
  assert.equal(judge(claims(), claims({ signer: { mrSigner: "aa".repeat(32), isvProdId: 7, isvSvn: 4 } })), "");
  assert.equal(judge(claims({ tcb: { status: "OutOfDate", advisories: [] } }), claims()), "", "better");
  assert.equal(
    judge(claims({ tcb: { status: "OutOfDate", advisories: [] } }), claims({ tcb: { status: "OutOfDate", advisories: [] } })),
    "",
  );
  assert.equal(judge(claims(), claims({ tcb: { status: "SWHardeningNeeded", advisories: [] } }), { tolerate: ["hardening-needed"] }), "");
  assert.equal(judge(guest(SAME), guest(SAME)), "");
  assert.equal(judge(guest(SAME), guest(OTHER), { mrenclave: [OTHER] }), "");
  assert.equal(judge(guest(SAME), guest(OTHER), { mrenclave: [OTHER] }, "upgrade"), "");
  assert.equal(judge(undefined, guest(OTHER), { casKeyHash: "x" }), "");
  assert.equal(judge(undefined, guest(OTHER), { mrenclave: [OTHER] }), "");
});

test("C-74 whatever the evidence says: older software, a development root, and as backup the same platform, get no key", () => {
  const judgeFacts = (own: Partial<InstanceFacts>, other: Partial<InstanceFacts>, purpose: "backup" | "upgrade" = "backup") =>
    instanceProblems(
      purpose,
      { ...facts("01", guest(SAME)), ...own },
      { ...facts("02", guest(SAME)), ...other },
      { mrenclave: [SAME] },
    ).join();
  assert.equal(judgeFacts({}, {}), "");
  assert.match(judgeFacts({ securityVersion: 2 }, {}), /^its security version is 1, at least 2 is needed: a downgrade never gets the key$/);
  assert.equal(judgeFacts({}, { securityVersion: 2 }), "");
  const same = { instanceKey: "01".repeat(32) };
  assert.match(judgeFacts({}, same), /^it runs on the platform of this CAS, and a backup is on another machine$/);
  assert.equal(judgeFacts({}, same, "upgrade"), "", "an upgrade stays where it is");
  assert.match(judgeFacts({}, { developmentRoot: true }), /^it has a development root, and this CAS has none$/);
  assert.equal(judgeFacts({ developmentRoot: true }, { developmentRoot: true }), "");
});

test("C-74 what this CAS lacks itself it does not ask of another; what the owner accepts neither; nothing else is let pass", () => {
  const weak = { weaknesses: ["can be moved"] };
  assert.equal(judge(guest(SAME, weak), guest(SAME, weak)), "");
  assert.equal(judge(guest(SAME), guest(SAME, weak), { tolerate: ["configuration-needed"] }), "");
  assert.match(judge(guest(SAME), guest(SAME, weak), { tolerate: ["out-of-date"] }), /^configuration does not match/);
  assert.equal(judge(claims({ debug: true }), claims({ debug: true })), "");
  assert.match(judge(guest(SAME), guest(SAME), {}, "upgrade"), /expected one that you name/, "the same code is no upgrade");
  const signed = claims({ kind: "tdx", codeIdentity: OTHER });
  assert.match(judge(guest(SAME), signed), /^measurement does not match/, "that somebody signed it says nothing to who is not signed");
});

/** Has the chain of a CAS and ends every connection when it is asked something. */
async function listenAndHangUp(t: TestContext) {
  const lasting = { notAfter: new Date("2049-01-01T00:00:00Z") };
  const chain = mintCasChain({ leaf: lasting, software: lasting, root: lasting });
  const server = createServer(
    { key: casKeys.leaf.export({ type: "pkcs8", format: "pem" }), cert: pemOf(chain).join(""), ALPNProtocols: ["http/1.1"] },
    (socket) => socket.once("data", () => socket.destroy()).on("error", () => undefined),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, casKeyHash: verifyCasChainPem(pemOf(chain), {}, new Date()).casKeyHash };
}

test("C-74 an instance that cannot be asked is told from one that is not what it should be", async (t) => {
  const cas = await startTestCas(t);
  const own = facts("01", undefined);
  const trust = () => ({
    anchors: {},
    tpm: { endorsementRoots: [], endorsementKeys: [] },
    findCollateral: async () => ({}),
    now: new Date(),
  });
  const ask = (address: string, casKeyHash = cas.running.casKeyHash, trusting = trust) =>
    attestInstance("backup", { address, casKeyHash }, own, trusting);
  const address = formatCasAddress(cas.running.clientAddress);
  assert.equal((await ask(address)).claims, undefined);
  await assert.rejects(ask("no address"), { code: "bad_request" });
  await assert.rejects(ask("127.0.0.1:1"), { code: "unavailable" });
  await assert.rejects(ask(address, createTestClient().keyHash), { code: "not_attested", message: /was not attested/ });
  const silent = await listenAndHangUp(t);
  await assert.rejects(ask(silent.address, silent.casKeyHash), { code: "unavailable" }, "it took the question and gave no answer");
  const faulty = () => {
    throw new RangeError("a fault of this program");
  };
  await assert.rejects(ask(address, cas.running.casKeyHash, faulty), RangeError);
});

test("C-74 a CAS judges the evidence of its backup: without a key hash, and no CAS that gives none", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-platform-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const trustAnchors = { simulated: [openDevelopmentPlatform(directory, new Date()).root] };
  const owner = createTestClient();
  const ownPlatform = findOwnPlatform({ simulated: { directory, kind: "sgx" } }, []);
  const start = (platform: typeof ownPlatform) =>
    startTestCas(t, {
      ...{ trustAnchors, ownPlatform: platform },
      selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } },
    });
  const [primary, backup, bare] = [await start(ownPlatform), await start(ownPlatform), await start(undefined)];
  const client = primary.client(owner);
  const address = formatCasAddress(backup.running.clientAddress);
  const registered = await client.registerInstance("backup", { address });
  assert.equal(registered.evidence, "simulated");
  await assert.rejects(
    client.registerInstance("backup", { address: formatCasAddress(bare.running.clientAddress), casKeyHash: bare.running.casKeyHash }),
    (error) =>
      error instanceof CasProblemError && error.problem.msg.some((line) => /proves what this CAS is, and it gives none/.test(line)),
  );
});
