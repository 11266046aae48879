import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Claims } from "@vouchsafe/attestation";
import { CasProblemError, formatCasAddress } from "@vouchsafe/protocol";
import { openDevelopmentPlatform } from "../development/development-platform.ts";
import { findOwnPlatform } from "../identity/own-platform.ts";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";
import { type InstanceFacts, type InstanceTerms, instanceProblems } from "./attest-instance.ts";

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
