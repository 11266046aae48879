import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { clean, diagnosticsOf, KEY, SERVICE } from "../../test/documents.ts";

const OTHER = "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9";
const signer = `{signer: ${JSON.stringify(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }))}}`;
const certificate = JSON.stringify(
  execFileSync("openssl", "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -days 1".split(" "), {
    ...{ encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  }),
);
const IMPORT = "secrets: [{name: k, import: {session: o}}]";
/** Everything that is said about a document, as a reader sees it. */
const said = (body: string) => diagnosticsOf(body).map(({ severity, rule, path, message }) => [severity, rule, path, message]);
const saysNothing = (body: string) => void clean(body);

test("SL-180 a change that needs more than one connection at once is warned of, whatever group asks for it", () => {
  const update = (entry: string) => `access_policy: {read: ${KEY}, update: ${entry}}`;
  const message = "more than one connection key is required at once; an upload carries one at most";
  const warned = [["warning", "SL-180", "access_policy.update", message]];
  for (const group of ["require-all", "require-at-least-2"])
    assert.deepEqual(said(update(`{${group}: [${KEY}, ${OTHER}]}`)), warned, group);
  assert.deepEqual(said(update(`{require-at-least-2: [${signer}, {require-all: [${KEY}, ${OTHER}]}]}`)), warned);
  assert.deepEqual(said(update(`{require-all: [${KEY}, ${certificate}]}`)), warned);
  saysNothing(update(`{require-at-least-1: [${KEY}, ${OTHER}]}`));
  saysNothing(update(`{require-at-least-2: [${KEY}, ${OTHER}, ${signer}]}`));
  saysNothing(update(`[{require-all: [${KEY}, ${OTHER}]}, ${KEY}]`));
  assert.deepEqual(said(`access_policy: {read: ${KEY}, update: ${KEY}, create_sessions: {require-all: [${KEY}, ${OTHER}]}}`), [
    ["warning", "SL-180", "access_policy.create_sessions", message],
  ]);
});

test("SL-187 a signer who is to read as CREATOR is told at the entry; one who says nothing of reading, at the creator", () => {
  const message = "CREATOR is a signer and cannot read";
  const policy = (text: string) => said(`creator: ${signer}\naccess_policy: {${text}, update: ${signer}}`);
  assert.deepEqual(policy("read: CREATOR"), [["error", "SL-187", "access_policy.read", message]]);
  assert.deepEqual(policy(`read: [${KEY}, CREATOR]`), [["error", "SL-187", "access_policy.read[1]", message]]);
  assert.deepEqual(policy(`read: ${KEY}, list_sessions: [CREATOR]`), [["error", "SL-187", "access_policy.list_sessions[0]", message]]);
  assert.deepEqual(policy(`list_sessions: ${KEY}`), [
    ["warning", "SL-187", "creator", "without `read` nobody may read a session whose creator is a signer"],
  ]);
  saysNothing(`access_policy: {read: [${KEY}, CREATOR], update: ${signer}}`);
  saysNothing(`creator: ${signer}\naccess_policy: "$$SCONE::k$$"\n${IMPORT}`);
});

const role = (may: string, secrets = "{name: p, kind: ascii, supplied_by: [CREATOR]}, {name: a, kind: ascii}", members = KEY) =>
  `services: [{${SERVICE}}]\nsecrets: [${secrets}]\nupdate_proposals: {enabled: true, expires: 14d}\nroles: [{name: r, members: [${members}], may: [${may}]}]`;

test("SL-105 extension roles: what a role may do names services and secrets that there are, and values that are kept", () => {
  saysNothing(role("{raise_isvsvn: [s]}, {write_secret: [p]}, {read_secret: [a, p]}"));
  const told = (may: string, secrets?: string) => said(role(may, secrets)).map(([, rule, path, message]) => [rule, path, message]);
  assert.deepEqual(told("{raise_isvsvn: [s, a]}"), [["SL-105", "roles[0].may[0].raise_isvsvn[1]", "service `a` is not defined"]]);
  assert.deepEqual(told("{write_secret: [s]}"), [["SL-105", "roles[0].may[0].write_secret[0]", "secret `s` is not defined"]]);
  assert.deepEqual(told("{write_secret: [a]}"), [["SL-105", "roles[0].may[0].write_secret[0]", "secret `a` is not supplied by anybody"]]);
  const unread = (secret: string) =>
    told("{read_secret: [x]}", `{name: x, ${secret}}, {name: k, kind: private-key}`).map(([, , message]) => message);
  assert.deepEqual(unread("import: {session: o}"), ["secret `x` is an import"]);
  assert.deepEqual(unread("kind: ascii, scope: instance"), ["secret `x` has another value for each instance"]);
  assert.deepEqual(unread("kind: jwt, signer: k, alg: ES256, validity: {for: 1h}"), ["secret `x` of kind `jwt` has no value that is kept"]);
  const id = "6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e";
  assert.deepEqual(unread(`kind: aad-token, tenant_id: ${id}, client_id: ${id}, application_secret: s3cret`), [
    "secret `x` of kind `aad-token` has no value that is kept",
  ]);
  assert.deepEqual(unread("kind: config-fragment, value: 5"), ["secret `x` of kind `config-fragment` has no value that is kept"]);
});

test("SL-105 extension roles: roles are checked also where the access policy comes from a secret", () => {
  const body = role("{raise_isvsvn: [none]}", "{name: k, import: {session: o}}");
  assert.deepEqual(said(`access_policy: "$$SCONE::k$$"\n${body}`), [
    ["error", "SL-105", "roles[0].may[0].raise_isvsvn[0]", "service `none` is not defined"],
  ]);
});

test("SL-177 extension roles: secrets are written and read over one connection, which some member has to have", () => {
  const warnedOf = (members: string, may = "{read_secret: [a]}") =>
    said(role(may, undefined, members)).map(([severity, rule, path]) => [severity, rule, path]);
  const warned = [["warning", "SL-177", "roles[0].members"]];
  for (const members of [signer, "NONE", `{require-all: [${KEY}, ${OTHER}]}`]) assert.deepEqual(warnedOf(members), warned, members);
  for (const members of [KEY, "CREATOR", "ANY", `${signer}, ${KEY}`, '"$$SCONE::a$$"']) assert.deepEqual(warnedOf(members), [], members);
  assert.deepEqual(warnedOf(signer, "{raise_isvsvn: [s]}"), []);
});
