import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { encodeWorkload, simulatedCodeIdentity } from "@vouchsafe/attestation";
import { parseSession } from "@vouchsafe/policy";
import { policyText } from "../src/service-policy.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { codeIdentityOf, imageOf, meshText, planOf, serviceText } from "../src/testing/mesh-fixture.ts";

const image = imageOf(serviceText());
const workload = { imageDigest: image.digest, fileSystemTag: image.service.fileSystem?.tag ?? "" };
const [hex32, hex48] = ["12".repeat(32), "34".repeat(48)];
const planned = (fields: string) =>
  planOf(
    meshText({ policy: `policy:\n  namespace: team-1\n${fields}` }),
    { app: image },
    {
      codeIdentity: (kind, given, simulates) => {
        if (kind === "simulated" && simulates !== undefined) return simulatedCodeIdentity(simulates, given);
        return kind === "node" ? codeIdentityOf(kind, given) : undefined;
      },
    },
  );
/** Attestation variants of the service's policy, as the policy language reads them. */
function variantsOf(fields: string): readonly unknown[] {
  const { plan, diagnostics } = planned(fields);
  assert(plan !== undefined, JSON.stringify(diagnostics));
  const body = plan.policies.find(({ service }) => service === "app")?.body ?? {};
  const { session, diagnostics: found } = parseSession(policyText(body, null));
  assert(session !== undefined, JSON.stringify(found));
  return session.services[0]?.attestation ?? [];
}
const digest = (algorithm: string) => createHash(algorithm).update(encodeWorkload(workload)).digest();
const extended = (algorithm: string, bytes: number) =>
  createHash(algorithm).update(Buffer.alloc(bytes)).update(digest(algorithm)).digest("hex");
const hardware = (kind: string, values: object) => ({
  mrenclave: undefined,
  signer: undefined,
  hardware: { kind, values, minimumTcb: {} },
});

test("MF-94: each kind of hardware is bound to the image where its evidence has room for it; the launch comes from the mesh", () => {
  const references = `
  references:
    tdx: {mrtd: ${hex48}, rtmr0: [${hex48}]}
    snp: {measurement: ${hex48}}
    nitro: {pcrs: {0: ${hex48}, 1: ${hex48}, 2: ${hex48}}}
    tpm: {pcrs: {7: "${hex32}"}}`;
  assert.deepEqual(variantsOf(`  evidence: [tdx, snp, nitro, tpm, node]${references}`), [
    { mrenclave: [codeIdentityOf("node", workload)], signer: undefined },
    hardware("tdx", { mrtd: [hex48], rtmr0: [hex48], mrconfigid: [digest("sha384").toString("hex")] }),
    hardware("snp", { measurement: [hex48], host_data: [digest("sha256").toString("hex")] }),
    hardware("nitro", { pcr0: [hex48], pcr1: [hex48], pcr2: [hex48], pcr16: [extended("sha384", 48)] }),
    hardware("tpm", { pcr7: [hex32], pcr15: [extended("sha256", 32)] }),
  ]);
});

test("an enclave of the mesh's own is named by its measurement", () => {
  assert.deepEqual(variantsOf(`  evidence: sgx\n  references: {sgx: {mrenclave: "${hex32}"}}`), [
    { mrenclave: [hex32], signer: undefined },
  ]);
});

for (const kind of ["sgx", "tdx", "snp", "tpm"] as const) {
  test(`SL-86: simulated:${kind} needs no reference value: what the software platform launches is known`, () => {
    const identity = simulatedCodeIdentity(kind, workload);
    assert.deepEqual(variantsOf(`  evidence: "simulated:${kind}"`), [{ mrenclave: [identity], signer: undefined }]);
    const { plan, diagnostics } = planned(`  evidence: "simulated:${kind}"`);
    assert.deepEqual(plan?.evidence, { kinds: ["simulated"], simulates: kind });
    assertFinding(diagnostics, { code: "W-EVIDENCE-WEAK", says: ["simulated"] });
  });
}

test("E-EVIDENCE: what cannot be known is asked for, by kind and by name", () => {
  for (const [fields, says] of [
    ["  evidence: tdx", /policy\.references\.tdx with mrtd/],
    ["  evidence: [node, snp]", /policy\.references\.snp with measurement/],
    [`  evidence: tdx\n  references: {tdx: {rtmr0: "${hex48}"}}`, /mrtd/],
    [
      `  evidence: tdx\n  references: {tdx: {mrtd: "${hex48}", mrconfigid: "${hex48}"}}`,
      /mrconfigid of tdx is given.*follows from the image/,
    ],
    [`  evidence: nitro\n  references: {nitro: {pcrs: {0: "${hex48}"}}}`, /pcrs 0, 1 and 2/],
    ['  evidence: "simulated:nitro"', /simulated:tdx/],
    ['  evidence: "simulated:"', /simulated:tdx/],
  ] as const) {
    const { plan, diagnostics } = planned(fields);
    assert.equal(plan, undefined, fields);
    const texts = diagnostics.map(({ rule, message, expected }) => `${rule} ${message} ${expected ?? ""}`).join("\n");
    assert.match(texts, /E-EVIDENCE/, texts);
    assert.match(texts, says);
  }
});
