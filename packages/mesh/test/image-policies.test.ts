import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession } from "@vouchsafe/policy";
import { policyText } from "../src/service-policy.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { CODE_KEY, codeIdentityOf, imageOf, meshText, planOf, serviceText } from "../src/testing/mesh-fixture.ts";

const policies = (fields: string, image = imageOf(serviceText()), cas?: string) =>
  planOf(meshText({ policy: `policy:\n  namespace: team-1\n  evidence: node\n${fields}`, ...(cas === undefined ? {} : { cas }) }), {
    app: image,
  });
const identity = (digest: string, tag = "") => codeIdentityOf("node", { imageDigest: digest, fileSystemTag: tag });

test("MF-89: an image policy holds the attestation variants and tells them to the service's policy alone", () => {
  const image = imageOf(serviceText());
  const { plan, diagnostics } = policies("  image_policy_namespace: images", image);
  assert(plan !== undefined, JSON.stringify(diagnostics));
  assert.deepEqual(
    plan.policies.map(({ name, service, imageOf: of }) => [name, service, of]),
    [
      ["team-1", undefined, undefined],
      ["images", undefined, undefined],
      ["images/app", undefined, "app"],
      ["team-1/app", "app", undefined],
    ],
    "MF-103: exporters before importers",
  );
  const [, , held, own] = plan.policies;
  assert.deepEqual(held?.body["secrets"], [
    {
      name: "image_attestation",
      kind: "config-fragment",
      value: [{ mrenclave: [identity(image.digest)] }],
      export: [{ session: "team-1/app" }],
    },
  ]);
  const text = JSON.stringify(own?.body);
  assert(text.includes('"attestation":["$$SCONE::image_attestation$$"]'), text);
  assert(!text.includes(identity(image.digest)), "the code identity stands in the image policy only");
  assert(text.includes('"import":{"session":"images/app","secret":"image_attestation"}'), text);
  for (const { body } of plan.policies) {
    const { session, diagnostics: found } = parseSession(policyText(body, null));
    assert(session !== undefined, JSON.stringify(found));
  }
});

test("MF-89, MF-93: image policies in the namespace of the services would have their names", () => {
  assertFinding(policies("  image_policy_namespace: team-1").diagnostics, { code: "E-NAME-COLLISION", says: ["the image of app"] });
});

test("MF-69, MF-89: image policies on another CAS are refused by name", () => {
  const cas = "cas:\n  - {name: cas, cas_url: a, mode: NoUpload}\n  - {name: image, cas_url: b}";
  assertFinding(policies("  image_policy_namespace: images", undefined, cas).diagnostics, { code: "E-MODE-UNSUPPORTED", says: ["image"] });
});

test("MF-55, MF-94: the stable version is a variant of its own, and its state is pinned by its code identity", () => {
  const stable = { digest: `sha256:${"5".repeat(64)}`, fileSystemTag: "5a".repeat(16) };
  const image = imageOf(serviceText(), { encrypted: true, metadata: { stable } });
  const { plan, diagnostics } = policies("", image);
  assert(plan !== undefined, JSON.stringify(diagnostics));
  const services = plan.policies.at(-1)?.body["services"] as readonly Record<string, unknown>[]; // a list of mappings in every policy
  assert.deepEqual(services[0]?.["attestation"], [
    { mrenclave: [identity(image.digest, "7a".repeat(16))] },
    { mrenclave: [identity(stable.digest, stable.fileSystemTag)] },
  ]);
  assert.equal(services[0]?.["fspf_key"], CODE_KEY);
  assert.equal(services[0]?.["fspf_tag"], undefined);
  assert.equal(services[0]?.["fspf_update_policy"], "no_rollback_protection");
});
