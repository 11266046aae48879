import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { A, accepted, B, KEY, SERVICE } from "../test/documents.ts";
import {
  accessRule,
  type Resolved,
  resolveAttestation,
  resolveOtpSecret,
  resolvePlatforms,
  resolveSecurity,
  type SectionLookup,
} from "./resolve-sections.ts";
import type { JsonValue, Operation, Security, Service, Session } from "./session.ts";

const SECRETS = "secrets: [{name: a, import: {session: o}}, {name: b, import: {session: o}}]";
const PLATFORM = `TPM_EK:${A}`;
const withService = (rest: string, general = ""): { readonly session: Session; readonly service: Service } => {
  const session = accepted(`${general}\nservices: [{${SERVICE}, ${rest}}]\n${SECRETS}`);
  return { session, service: session.services[0] ?? assert.fail() };
};
const of =
  (value: JsonValue | undefined): SectionLookup =>
  (name) =>
    name === "a" ? value : undefined;
const reasonOf = (result: Resolved<unknown> | undefined): string =>
  result?.kind === "unresolved" ? result.reason : assert.fail(JSON.stringify(result));

test("SL-82 no list of platforms admits any; a list that a secret leaves empty admits none", () => {
  assert.deepEqual(resolvePlatforms(withService("environment: {}").service, of(undefined)), { kind: "ok", value: [] });
  const { service } = withService('platforms: ["$$SCONE::a$$"]');
  assert.deepEqual(resolvePlatforms(service, of([PLATFORM, `TPM_EK:${B}`])), { kind: "ok", value: [PLATFORM, `TPM_EK:${B}`] });
  assert.equal(resolvePlatforms(service, of([])).kind, "unresolved");
});

test("SL-77 a placeholder in the value of a secret is not replaced, and counts for nothing", () => {
  const { service } = withService('platforms: ["$$SCONE::a$$"]');
  for (const value of ["$$SCONE::b$$", ["$$SCONE::b$$"]])
    assert.equal(reasonOf(resolvePlatforms(service, of(value))), "a placeholder inside the value of a secret is not replaced");
  const attested = accepted(`services: [{${SERVICE.replace(/attestation.*/, () => 'attestation: "$$SCONE::a$$"')}}]\n${SECRETS}`)
    .services[0];
  const variants = (value: JsonValue) => resolveAttestation(attested ?? assert.fail(), of(value));
  assert.equal(reasonOf(variants({ mrenclave: "$$SCONE::b$$" })[0]), "a placeholder inside the value of a secret is not replaced");
  assert.equal(variants({ mrenclave: A })[0]?.kind, "ok");
  assert.equal(variants({ mrenclave: A, more: 1 })[0]?.kind, "unresolved", "what is more than a variant is none");
});

test("SL-78 the reason names the place in the section, if there is one, and what is expected", () => {
  const { session, service } = withService('one_time_password_shared_secret: "$$SCONE::a$$", platforms: ["$$SCONE::a$$"]');
  const general = resolveSecurity(session, service, of(undefined));
  assert(general.kind === "ok");
  assert.equal(
    reasonOf(resolveOtpSecret(service, general.value, of("x"))),
    "a value that is not base32 of at least 128 bits (26 characters)",
  );
  assert.match(reasonOf(resolvePlatforms(service, of(["x"]))), /^\[0\]: a value that is not /);
});

test("a fault of whoever looks secrets up is no missing secret", () => {
  const { service } = withService('platforms: ["$$SCONE::a$$"]');
  const fault = new TypeError("a bug");
  const failing = () => {
    throw fault;
  };
  assert.throws(() => resolvePlatforms(service, failing), fault);
});

test("SL-91 a service's own section cannot stand in for the session's where that cannot be resolved", () => {
  const { session, service } = withService("security: {attestation: {mode: hardware}}", 'security: "$$SCONE::a$$"');
  assert.deepEqual(resolveSecurity(session, service, of(undefined)), {
    ...{ kind: "unresolved", reason: "secret a is not available", missing: true },
  });
});

test("SL-91 of the session's and the service's own section the stricter of each two holds", () => {
  const effective = (general: string, own: string): Security<never> => {
    const { session, service } = withService(`security: {${own}}`, `security: {${general}}`);
    const resolved = resolveSecurity(session, service, of(undefined));
    return resolved.kind === "ok" ? resolved.value : assert.fail(resolved.reason);
  };
  const attestation = (general: string, own: string) => effective(`attestation: {${general}}`, `attestation: {${own}}`).attestation;
  const single = "singleton_enclaves: true";
  assert.deepEqual(
    [effective(single, "attestation: {mode: hardware}"), effective("attestation: {mode: hardware}", single)].map(
      (one) => one.singletonEnclaves,
    ),
    [true, true],
  );
  const tolerant = "tolerate: [local-attestation-trust-cas-tcb]";
  const local = `must_be_sgx_local: true, ${tolerant}`;
  assert.deepEqual(
    [attestation(local, tolerant), attestation(tolerant, local), attestation(tolerant, tolerant)].map((one) => one.mustBeSgxLocal),
    [true, true, false],
  );
  const ignored = (general: string, own: string) =>
    attestation(`ignore_advisories: ${general}`, `ignore_advisories: ${own}`).ignoreAdvisories;
  assert.deepEqual(ignored('"*"', "[INTEL-SA-00001]"), ["INTEL-SA-00001"]);
  assert.deepEqual(ignored("[INTEL-SA-00001, INTEL-SA-00002]", "[INTEL-SA-00002]"), ["INTEL-SA-00002"]);
  assert.equal(ignored('"*"', '"*"'), "*");
});

test("SL-96 a service without a shared secret of its own takes that of the section", () => {
  const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
  const general = `security: {attestation: {one_time_password_shared_secret: ${secret}}}`;
  const { session, service } = withService("environment: {}", general);
  const effective = resolveSecurity(session, service, of(undefined));
  assert(effective.kind === "ok");
  assert.deepEqual(resolveOtpSecret(service, effective.value, of(undefined)), { kind: "ok", value: secret });
  const own = withService('one_time_password_shared_secret: "$$SCONE::a$$"', general).service;
  assert.deepEqual(resolveOtpSecret(own, effective.value, of(secret.toLowerCase())), { kind: "ok", value: secret });
});

const signer = {
  signer: generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }).toString(),
};
const rule = (policy: string, operation: Operation, value: JsonValue | undefined) =>
  accessRule(accepted(`access_policy: ${policy}\n${SECRETS}`), operation, () => value);
const kinds = (...given: Parameters<typeof rule>) => rule(...given).map(({ kind }) => kind);

test("SL-177, SL-182 a fragment may name signers for changes only", () => {
  const policy = `{read: "$$SCONE::a$$", update: ["$$SCONE::a$$"], list_sessions: "$$SCONE::a$$", create_sessions: "$$SCONE::a$$"}`;
  const of = (operation: Operation) => kinds(policy, operation, [signer])[0];
  assert.deepEqual(
    [of("read"), of("list_sessions"), of("update"), of("create_sessions")],
    ["placeholder", "placeholder", "at-least", "at-least"],
  );
});

test("SL-182 placeholders inside groups are replaced, and nothing else is", () => {
  const grouped = (group: string) => rule(`{read: ${KEY}, update: [{${group}: ["$$SCONE::a$$", CREATOR]}, CREATOR]}`, "update", KEY);
  const entries = [{ kind: "key", keyHash: KEY }, { kind: "creator" }];
  assert.deepEqual(grouped("require-all"), [{ kind: "all", entries }, { kind: "creator" }]);
  assert.deepEqual(grouped("require-at-least-2"), [{ kind: "at-least", count: 2, entries }, { kind: "creator" }]);
});

test("SL-181, SL-182 an access policy whose secret is missing, or holds none, admits nobody and names that secret", () => {
  for (const value of [undefined, { read: "nonsense" }, "$$SCONE::b$$", 5])
    assert.deepEqual(rule('"$$SCONE::a$$"', "read", value), [{ kind: "placeholder", secret: "a", text: "$$SCONE::a$$" }]);
  assert.deepEqual(rule('"$$SCONE::a$$"', "read", { read: KEY }), [{ kind: "key", keyHash: KEY }]);
  assert.deepEqual(rule(`{read: ${KEY}}`, "read", { read: "ANY" }), [{ kind: "key", keyHash: KEY }], "what is written is not looked up");
});
