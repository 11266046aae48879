import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession } from "@vouchsafe/policy";
import { policyText } from "../src/service-policy.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { CAS_KEY, ENCRYPTION_KEY, imageOf, meshText, planOf, serviceText } from "../src/testing/mesh-fixture.ts";

const CENTRAL = "  attestation_policy_name: org/attestation\n  security_policy_name: org/security\n  access_policy_name: org/access\n";
const OWN = `cas:\n  - {name: cas, cas_url: cas.scone-system, cas_key: ${CAS_KEY}, cas_encryption_key: ${ENCRYPTION_KEY}, mode: EncryptedManifest}\n`;

const planned = (cas: string | undefined) =>
  planOf(meshText({ policy: `policy:\n  namespace: team-1\n${CENTRAL}`, ...(cas === undefined ? {} : { cas }) }), {
    app: imageOf(serviceText()),
  });

function bodyOf(cas: string | undefined) {
  const { plan, diagnostics } = planned(cas);
  const body = plan?.policies.find(({ name }) => name === "team-1/app")?.body;
  assert(body !== undefined, JSON.stringify(diagnostics));
  const { session, diagnostics: found } = parseSession(policyText(body, null));
  assert(session !== undefined, JSON.stringify(found));
  return body;
}

test("MF-69: central policies lie in the mesh's own CAS where no other one has their roles", () => {
  const body = bodyOf(undefined);
  const fragment = (name: string, session: string) => ({ name, kind: "config-fragment", import: { session, secret: name } });
  assert.deepEqual(body["secrets"], [
    fragment("attestation", "org/attestation"),
    fragment("security", "org/security"),
    fragment("access_policy", "org/access"),
  ]);
  assert.deepEqual([body["security"], body["access_policy"]], ["$$SCONE::security$$", "$$SCONE::access_policy$$"]);
});

test("MF-69, SL-138: a central policy of another CAS is imported from there, by address and key", () => {
  const body = bodyOf(`${OWN}  - {name: attestation, alias: [access], cas_url: "cas.org.example:9443", cas_key: ${CAS_KEY}}`);
  const elsewhere = { cas_url: "cas.org.example:9443", cas_key: CAS_KEY };
  const imports = (body["secrets"] as { import: object }[]).map(({ import: from }) => from);
  assert.deepEqual(imports, [
    { session: "org/attestation", secret: "attestation", ...elsewhere },
    { session: "org/security", secret: "security" },
    { session: "org/access", secret: "access_policy", ...elsewhere },
  ]);
});

test("MF-69, SL-138: without the key of that CAS nothing is imported", () => {
  const { diagnostics } = planned(`${OWN}  - {name: security, cas_url: cas.org.example}`);
  assertFinding(diagnostics, { code: "E-CAS-KEY", says: ["security", "org/security", "cas_key"] });
});
