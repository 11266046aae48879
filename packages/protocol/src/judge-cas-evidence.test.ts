import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { createDevelopmentRoot, createSimulatedPlatform, encodeEvidence, simulateEvidence } from "@vouchsafe/attestation";
import { casEvidenceUserData } from "./cas-evidence.ts";
import type { VerifiedCasStatement } from "./cas-statement.ts";
import { CasTerms } from "./cas-terms.ts";
import type { CasStatement } from "./client-api.ts";
import { judgeCasEvidence } from "./judge-cas-evidence.ts";
import { ProtocolError } from "./protocol-error.ts";

const now = new Date("2026-11-28T12:00:00Z");
const key = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve }).privateKey;
const keys = { root: key(), authority: key(), processor: key("P-384"), platform: key(), quoting: key() };
const root = createDevelopmentRoot(keys.root, now);
const simulatedRoot = `-----BEGIN CERTIFICATE-----\n${Buffer.from(root).toString("base64")}\n-----END CERTIFICATE-----\n`;
const platform = createSimulatedPlatform(keys, root, now);
const WORKLOAD = { imageDigest: `sha256:${"0".repeat(64)}`, fileSystemTag: "", program: "cas" };

function said(kind: "sgx" | "tdx" | undefined, more: Partial<CasStatement> = {}, covers?: string): VerifiedCasStatement {
  const statement: CasStatement = {
    ...{ format: "vouchsafe/cas-statement/1", chain: [], sessionEncryptionKey: "00", version: "1", securityVersion: 1, instanceKey: "00" },
    ...{ state: "provisioned", selfProvisioned: false, ownerKeyHash: "o", databaseKeyInjected: false, recovery: null, recoveryKey: null },
    ...{ developmentRoot: false, nonce: "n" },
    ...more,
  };
  const signedStatement = JSON.stringify(statement);
  const identity = { casKeyHash: "k", softwareKeyHash: "s", casKey: new Uint8Array(0), chain: [] };
  const base = { statement, signedStatement, signature: "", identity, evidenceProblem: undefined };
  if (kind === undefined) return { ...base, evidence: null };
  const userData = casEvidenceUserData(covers ?? signedStatement);
  const { endorsements, ...rest } = encodeEvidence(simulateEvidence(platform, kind, { userData, workload: WORKLOAD }));
  return { ...base, evidence: { ...rest, ...(endorsements === undefined ? {} : { endorsements: { ...endorsements } }) } };
}

const judge = (attested: VerifiedCasStatement, terms: object) =>
  judgeCasEvidence(
    attested,
    CasTerms.parse({ ...terms, onlyForTesting: { simulatedRoot, ...("onlyForTesting" in terms ? Object(terms.onlyForTesting) : {}) } }),
    undefined,
    { ownSecurityVersion: 1, findCollateral: async () => ({}), now },
  );
const found = async (attested: VerifiedCasStatement, what: RegExp): Promise<string> => {
  const verdict = await judge(attested, {});
  assert(verdict.kind === "refused");
  return what.exec(verdict.acceptedBy ?? "")?.[1] ?? assert.fail(JSON.stringify(verdict));
};
const problems = async (attested: VerifiedCasStatement, terms: object): Promise<string> => {
  const verdict = await judge(attested, terms);
  return verdict.kind === "refused" ? `${verdict.problems.join("; ")} | ${verdict.acceptedBy ?? "nothing"}` : verdict.kind;
};

test("C-65 to C-68 terms as data: mrenclave, mrsigner with product and version, debug and signer for tests", async () => {
  const guest = said("tdx");
  const code = await found(guest, /^--mrenclave ([0-9a-f]{64})$/);
  assert.equal(await problems(guest, { mrenclave: ["00".repeat(32), code] }), "proven");
  assert.match(
    await problems(guest, { mrenclave: ["00".repeat(32)] }),
    /^measurement does not match: [0-9a-f]{64}; expected 0{64} \| --mrenclave/,
  );
  assert.match(await problems(guest, { mrenclave: [code], tolerate: [] }), /^proven$/);

  const enclave = said("sgx");
  const signer = await found(enclave, /^--mrsigner ([0-9a-f]{64}) /);
  const isvprodid = Number(await found(enclave, /--isvprodid (\d+)/));
  const isvsvn = Number(await found(enclave, /--isvsvn (\d+)/));
  assert.equal(await problems(enclave, { mrsigner: signer, isvprodid, isvsvn }), "proven");
  assert.match(await problems(enclave, { mrsigner: "00".repeat(32), isvprodid, isvsvn }), /signer does not match/);
  assert.match(await problems(enclave, { mrsigner: signer, isvprodid: isvprodid + 1, isvsvn }), /product does not match/);
  assert.match(await problems(enclave, { mrsigner: signer, isvprodid, isvsvn: 60_000 }), /security version does not match/);
  assert.equal(await problems(enclave, { onlyForTesting: { ignoreSigner: true } }), "proven");
});

test("C-64 evidence of another statement, or under a root that nobody trusts, is refused, whatever the terms tolerate", async () => {
  const replayed = said("tdx", {}, "another statement");
  assert.match(await problems(replayed, {}), /does not cover this statement: it was made by another CAS or for another request \| nothing/);
  const verdict = await judgeCasEvidence(said("tdx"), CasTerms.parse({}), undefined, {
    ...{ ownSecurityVersion: 1, findCollateral: async () => ({}), now },
  });
  assert(verdict.kind === "refused");
  assert.match(verdict.problems[0], /the evidence of kind simulated proves nothing/);
});

test("C-71 only evidence that proves nothing is a verdict: what else goes wrong on the way is the caller's", async () => {
  const failing = (error: Error) =>
    judgeCasEvidence(said("tdx"), CasTerms.parse({ onlyForTesting: { simulatedRoot } }), undefined, {
      ...{ ownSecurityVersion: 1, findCollateral: () => Promise.reject(error), now },
    });
  for (const error of [
    new ProtocolError("CAS_UNREACHABLE", "gone"),
    new TypeError("a bug"),
    Object.assign(new Error("of somebody else"), { code: "CAS_EVIDENCE" }),
  ])
    await assert.rejects(failing(error), error);
  const verdict = await failing(new ProtocolError("CAS_EVIDENCE", "no collateral", { remedy: "Get it." }));
  assert.deepEqual(verdict, { kind: "refused", problems: ["no collateral"], acceptedBy: undefined, remedy: "Get it." });
});

test("a CAS without evidence is unproven, and refused where evidence is required; C-69: a database key that the owner brought is refused", async () => {
  assert.deepEqual(await judge(said(undefined), {}), { kind: "unproven", problem: undefined });
  assert.match(await problems(said(undefined), { evidence: "required" }), /^expected evidence of hardware, found none/);
  for (const attested of [said(undefined, { databaseKeyInjected: true }), said("tdx", { databaseKeyInjected: true })])
    assert.match(
      await problems(attested, {}),
      /database key does not match: one that the owner brought.* \| .*--allow-cas-owner-secret-access$/,
    );
  assert.equal(await problems(said(undefined, { databaseKeyInjected: true }), { ownerSecretAccess: true }), "unproven");
});
