import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { type Claims, createDevelopmentRoot, VENDOR_TRUST_ANCHORS } from "@vouchsafe/attestation";
import { CasTerms, casExpectations, casTrustAnchors } from "./cas-terms.ts";
import { appraiseByTerms, describeCasClaims, describeMissingEvidence } from "./judge-cas-evidence.ts";

const SIGNER = { mrSigner: "aa".repeat(32), isvProdId: 7 };
const enclave: Claims = {
  ...{ kind: "sgx", userData: new Uint8Array(64), codeIdentity: "11".repeat(32), launchMeasurement: new Uint8Array(32) },
  ...{ signer: { ...SIGNER, isvSvn: 3 }, debug: false, platformId: "INTEL_QE_ID:00", tcb: { status: "UpToDate", advisories: [] } },
  details: {},
};
const named = { mrsigner: SIGNER.mrSigner, isvprodid: SIGNER.isvProdId };
const appraise = (claims: Partial<Claims>, terms: object = {}, ownSecurityVersion = 3) =>
  appraiseByTerms({ ...enclave, ...claims }, { securityVersion: 3 }, CasTerms.parse({ ...named, ...terms }), ownSecurityVersion);
const warnings = (claims: Partial<Claims>, terms: object = {}): readonly string[] => warningsOf(appraise(claims, terms));
const warningsOf = (verdict: ReturnType<typeof appraise>): readonly string[] =>
  verdict.kind === "proven" ? verdict.warnings : assert.fail(verdict.problems.join());

test("C-65 a signer is named by its key and its product: half of it names none", () => {
  const { signer, minSecurityVersion } = casExpectations(CasTerms.parse(named), 3);
  assert.deepEqual([signer, minSecurityVersion], [SIGNER, 3]);
  assert.equal(casExpectations(CasTerms.parse({ ...named, isvsvn: 2 }), 3).minSecurityVersion, 2);
  for (const half of [{ isvprodid: undefined }, { mrsigner: undefined }]) {
    const verdict = appraise({}, half);
    assert(verdict.kind === "refused");
    assert.match(verdict.problems[0], /signer does not match: a+; expected that of an official release, of which this build knows none/);
  }
});

test("C-66 own roots are believed in place of the vendors', and simulated evidence under its own root alone", () => {
  const now = new Date("2026-11-28T12:00:00Z");
  const der = createDevelopmentRoot(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, now);
  const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;
  const anchors = (terms: object) => casTrustAnchors(CasTerms.parse(terms)).anchors;
  const own = [Uint8Array.from(der)];
  assert.deepEqual(anchors({}), VENDOR_TRUST_ANCHORS);
  assert.deepEqual(anchors({ roots: [pem] }), { sgx: own, tdx: own, snp: own, nitro: own, tpm: own });
  assert.deepEqual(anchors({ onlyForTesting: { simulatedRoot: pem } }), { ...VENDOR_TRUST_ANCHORS, simulated: own });
});

test("C-71 what no switch of the command line accepts is accepted by none of them", () => {
  const refused = (claims: Partial<Claims>) => {
    const verdict = appraise(claims);
    return verdict.kind === "refused" ? verdict.acceptedBy : assert.fail(verdict.kind);
  };
  assert.equal(refused({ debug: true, tcb: { status: "OutOfDate", advisories: [] } }), "--only_for_testing-debug --out-of-date");
  assert.equal(refused({ debug: true, tcb: { status: "Revoked", advisories: [] } }), undefined);
});

test("C-71 what is accepted on request, or proves less than it seems to, is said, and nothing else is", () => {
  assert.deepEqual(warnings({}), []);
  assert.deepEqual(warnings({ debug: true }, { onlyForTesting: { debug: true } }), [
    "warning: this CAS can be debugged: the root user of its machine can read what it keeps",
  ]);
  assert.deepEqual(warnings({}, { onlyForTesting: { ignoreSigner: true } }), [
    `warning: who signed this CAS was not checked (${SIGNER.mrSigner})`,
  ]);
  assert.deepEqual(warnings({ tcb: { status: "OutOfDate", advisories: ["A-1", "A-2"] } }, { tolerate: ["out-of-date"] }), [
    "warning: the platform of this CAS is accepted although it is OutOfDate",
    "warning: advisories are open for the platform of this CAS: A-1, A-2",
  ]);
  const { signer: _signer, ...unsigned } = enclave;
  const byCode = CasTerms.parse({ mrenclave: [enclave.codeIdentity], onlyForTesting: { ignoreSigner: true } });
  const about = (more: Partial<Claims>) => warningsOf(appraiseByTerms({ ...unsigned, ...more }, { securityVersion: 3 }, byCode, 3));
  assert.deepEqual(about({ kind: "simulated", details: { imitates: "snp" } }), [
    "warning: DEVELOPMENT ONLY: the evidence is simulated (snp); it proves nothing",
  ]);
  assert.deepEqual(about({ kind: "tpm" }), [
    "notice: a TPM says what the machine booted; the root user of the machine can still read what this CAS keeps",
  ]);
});

test("what evidence proves, or that there is none, is said in one line", () => {
  const rest = `code identity ${"11".repeat(32)}, platform INTEL_QE_ID:00, UpToDate`;
  assert.equal(describeCasClaims(enclave), `evidence of kind sgx: ${rest}`);
  assert.equal(
    describeCasClaims({ ...enclave, kind: "simulated", details: { imitates: "tdx" } }),
    `evidence of kind simulated (tdx): ${rest}`,
  );
  const none = "expected evidence of hardware, found none: the CAS is not protected by it";
  assert.deepEqual([describeMissingEvidence(undefined), describeMissingEvidence("no device")], [none, `${none} (it says: no device)`]);
});
