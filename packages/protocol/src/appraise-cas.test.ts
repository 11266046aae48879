import assert from "node:assert/strict";
import { test } from "node:test";
import type { Claims, TcbStatus } from "@vouchsafe/attestation";
import { appraiseCas, type CasExpectations, type CasMismatch, describeMismatch, neededTolerances } from "./appraise-cas.ts";

const SIGNER = { mrSigner: "aa".repeat(32), isvProdId: 7 };
const enclave: Claims = {
  kind: "sgx",
  userData: new Uint8Array(64),
  codeIdentity: "11".repeat(32),
  launchMeasurement: new Uint8Array(32),
  signer: { ...SIGNER, isvSvn: 3 },
  debug: false,
  platformId: "platform",
  tcb: { status: "UpToDate", advisories: [] },
  details: {},
};
const strict: CasExpectations = {
  ...{ codeIdentities: [], signer: SIGNER, minSecurityVersion: 3 },
  ...{ ignoresSigner: false, allowsDebug: false, tolerated: [] },
};
const judge = (claims: Partial<Claims>, expected: Partial<CasExpectations> = {}) =>
  appraiseCas({ ...enclave, ...claims }, { securityVersion: 3 }, { ...strict, ...expected });
const platform = (status: TcbStatus): Partial<Claims> => ({ tcb: { status, advisories: ["INTEL-SA-1"] } });

const refused: { rule: string; found: CasMismatch[]; says: string; by: string | undefined }[] = [
  {
    rule: "C-65 debug mode",
    found: judge({ debug: true }),
    says: "mode does not match: debug; expected production",
    by: "--only_for_testing-debug",
  },
  {
    rule: "C-65 a lower security version",
    found: judge({}, { minSecurityVersion: 4 }),
    says: "security version does not match: 3; expected at least 4",
    by: "--isvsvn 3",
  },
  {
    rule: "C-65 a platform that is out of date",
    found: judge(platform("OutOfDate")),
    says: "platform does not match: OutOfDate (INTEL-SA-1); expected UpToDate",
    by: "--out-of-date",
  },
  {
    rule: "C-67 a platform of which only a part is accepted",
    found: judge(platform("ConfigurationAndSWHardeningNeeded"), { tolerated: ["configuration-needed"] }),
    says: "platform does not match: ConfigurationAndSWHardeningNeeded (INTEL-SA-1); expected UpToDate or configuration-needed",
    by: "--hardening-needed",
  },
  {
    rule: "C-67 a revoked platform, whatever is accepted",
    found: judge(platform("Revoked"), { tolerated: ["out-of-date", "configuration-needed", "hardening-needed"] }),
    says: "platform does not match: Revoked (INTEL-SA-1); expected UpToDate or out-of-date or configuration-needed or hardening-needed",
    by: undefined,
  },
  {
    rule: "C-66 another measurement, the signer notwithstanding",
    found: judge({}, { codeIdentities: ["22".repeat(32)] }),
    says: `measurement does not match: ${"11".repeat(32)}; expected ${"22".repeat(32)}`,
    by: `--mrenclave ${"11".repeat(32)}`,
  },
  {
    rule: "C-66 another signer, the measurement notwithstanding",
    found: judge({}, { codeIdentities: ["11".repeat(32)], signer: { mrSigner: "bb".repeat(32), isvProdId: 7 } }),
    says: `signer does not match: ${"aa".repeat(32)}; expected ${"bb".repeat(32)}`,
    by: `--mrsigner ${"aa".repeat(32)} --isvprodid 7 --isvsvn 3`,
  },
  {
    rule: "C-66 another product",
    found: judge({}, { signer: { ...SIGNER, isvProdId: 8 } }),
    says: "product does not match: 7; expected 8",
    by: `--mrsigner ${"aa".repeat(32)} --isvprodid 7 --isvsvn 3`,
  },
];
const { signer: _, ...guest } = enclave;
const judgeGuest = (claims: Partial<Claims>, expected: Partial<CasExpectations> = {}) =>
  appraiseCas({ ...guest, kind: "snp", ...claims }, { securityVersion: 3 }, { ...strict, ...expected });
const OWN = { codeIdentities: ["11".repeat(32)] };
refused.push(
  {
    rule: "C-66 code that nobody signed and nobody named",
    found: judgeGuest({}),
    says: `measurement does not match: ${"11".repeat(32)}; expected one that you name, as evidence of kind snp names no signer`,
    by: `--mrenclave ${"11".repeat(32)}`,
  },
  {
    rule: "C-65 signed code, by a client that knows no official release",
    found: judge({}, { signer: undefined }),
    says: `signer does not match: ${"aa".repeat(32)}; expected that of an official release, of which this build knows none`,
    by: `--mrsigner ${"aa".repeat(32)} --isvprodid 7 --isvsvn 3`,
  },
  {
    rule: "C-67 a guest that is less protected than it could be",
    found: judgeGuest({ weaknesses: ["can be moved", "SMT is on"] }, { ...OWN, tolerated: ["out-of-date"] }),
    says: "configuration does not match: can be moved; SMT is on; expected nothing weak",
    by: "--configuration-needed",
  },
);
for (const { rule, found, says, by } of refused) {
  test(`a CAS is refused for ${rule}`, () => {
    assert.deepEqual(found.map(describeMismatch), [says]);
    assert.deepEqual(
      found.map(({ acceptedBy }) => acceptedBy),
      [by],
    );
  });
}

test("C-65 to C-68 a CAS is accepted that is as expected, or whose lack was accepted", () => {
  assert.deepEqual(judge({}), []);
  assert.deepEqual(judge({}, { codeIdentities: ["11".repeat(32)], minSecurityVersion: 9 }), [], "the measurement replaces the version");
  assert.deepEqual(judge({ debug: true }, { allowsDebug: true }), []);
  assert.deepEqual(judge({}, { signer: undefined, ignoresSigner: true, codeIdentities: ["11".repeat(32)] }), []);
  assert.deepEqual(judge(platform("OutOfDateConfigurationNeeded"), { tolerated: ["out-of-date", "configuration-needed"] }), []);
  assert.deepEqual(judgeGuest({}, OWN), []);
  assert.deepEqual(judgeGuest({ weaknesses: ["can be moved"] }, { ...OWN, tolerated: ["configuration-needed"] }), []);
  assert.deepEqual([neededTolerances("Unknown"), neededTolerances("Revoked"), neededTolerances("UpToDate")], [undefined, undefined, []]);
});
