import assert from "node:assert/strict";
import { test } from "node:test";
import { diffSessions, normaliseSession, parseSession, renderSessionDifference, sessionHash } from "../src/index.ts";
import { A, accepted, KEY } from "./documents.ts";

const service = (more = "") => `services: [{name: s, command: x, pwd: /, attestation: {mrenclave: ${A}}${more}}]`;
const VAULT =
  "secrets: [{name: t, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, application_secret: s},";
const cases: readonly { readonly before: string; readonly after: string; readonly says: RegExp }[] = [
  {
    before: "",
    after: `secrets: [{name: p, kind: ascii, supplied_by: ${KEY}}]`,
    says: /allows:\n.*the holder of key 4FS3\S+ may set secret p/s,
  },
  {
    before: `secrets: [{name: p, kind: ascii, supplied_by: ${KEY}}]`,
    after: `secrets: [{name: p, kind: ascii, required: false, supplied_by: ${KEY}}]`,
    says: /allows:\n {2}services start while secret p has no value/,
  },
  {
    before: "secrets: [{name: a, kind: ascii}]",
    after: "secrets: [{name: a, kind: ascii, scope: instance}]",
    says: /secret a has another value for each instance/,
  },
  {
    before: "secrets: [{name: a, kind: ascii}]",
    after: "secrets: [{name: a, kind: ascii, rotate: {every: 90d}}]",
    says: /secret a changes every 90 days; 1 earlier value stays readable/,
  },
  {
    before: service(),
    after: service(", max_activations: 3, max_running: 1"),
    says: /service s may be started 3 times and no more\n {2}service s may run 1 times at once and no more/,
  },
  { before: service(", max_running: 1"), after: service(), says: /takes away:\n {2}service s may run 1 times at once and no more/ },
  {
    before: service(),
    after: service(", security: {singleton_enclaves: true, attestation: {evidence: [sgx]}}"),
    says: /attested once only\n {2}service s accepts evidence of kind sgx at most\n {2}service s tolerates no weakness/,
  },
  { before: "", after: "update_proposals: {enabled: true, expires: 14d}", says: /updates may wait 14 days for missing approvals/ },
  {
    before: service(),
    after: `${service()}\nroles: [{name: r, members: [${KEY}], may: [{raise_isvsvn: [s]}]}]`,
    says: /role r: the holder of key 4FS3\S+ may raise_isvsvn s/,
  },
  {
    before: service(),
    after: service(', environment: {C: "$$SCONE::self::certificate$$"}'),
    says: /each instance of service s has a certificate of its own/,
  },
  {
    before: "secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k}]",
    after:
      'secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, x509: {subject: {O: Acme}, uris: ["spiffe://a/b"]}}]',
    says: /certificate c: subject O=Acme\n {2}certificate c: for spiffe:\/\/a\/b/,
  },
  {
    before: `${VAULT} {name: a, import_akv: {vault: one.vault.azure.net}}]`,
    after: `${VAULT} {name: a, import_akv: {vault: two.vault.azure.net}}]\nsecret_config:\n  store_in: !akv {vault: three.vault.azure.net}`,
    says: /allows:\n {2}secret a comes from vault two.* as a\n {2}values and volume keys are kept, encrypted, in vault three.*takes away:\n {2}secret a comes from vault one.*Besides:\n {2}secret a comes from elsewhere/s,
  },
];

for (const { before, after, says } of cases) {
  test(`session diff says what an extension changes: ${after.slice(0, 60)}`, () => {
    assert.match(renderSessionDifference(diffSessions(accepted(before), accepted(after))), says);
    const { allows, takesAway } = diffSessions(accepted(after), accepted(after));
    assert.deepEqual([allows, takesAway], [[], []]);
  });
}

test("a document without extensions has none in its normal form", () => {
  const plain = accepted(
    `${service(', environment: {A: "$$SCONE::a$$"}')}\nsecrets: [{name: a, kind: ascii}, {name: k, kind: private-key}, {name: c, kind: x509, private_key: k}]`,
  );
  const form = JSON.stringify(normaliseSession(plain, { unknownCreator: "omit" }));
  for (const key of [
    "supplied_by",
    "required",
    "scope",
    "rotate",
    "epoch",
    'x509":{',
    "roles",
    "update_proposals",
    "max_",
    "network",
    "security",
  ])
    assert.equal(form.includes(key), false, key);
  // The hash of this very document before there were extensions.
  const { session } = parseSession(
    'version: "0.3.12"\nname: t\nsecrets: [{name: a, kind: ascii}]\naccess_policy: {read: ANY, update: NONE, create_sessions: NONE}\n',
  );
  assert.equal(session && sessionHash(session), "ce506c6b8ad6b757fe369ab596739b5650458f88cad6ff85327cea1dd4a8c70d");
});
