import assert from "node:assert/strict";
import { test } from "node:test";
import { Findings } from "../src/diagnostic.ts";
import { decodeManifest } from "../src/manifest-yaml.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { readMesh, readService, serviceText, serviceWithBuild } from "../src/testing/mesh-fixture.ts";

/** Manifests section 15.1 to 15.6: number, what is wrong, manifest, code, words of the text, position. */
type Line = readonly [number: string, what: string, text: string, code: string, says: readonly string[], at?: string];

const env = (text: string) => serviceText({ environment: `environment:\n  ${text}` });
const local = (item: string) => env(`local:\n    ${item}`);
const secrets = (text: string) => serviceText({ secrets: `secrets:\n  ${text}` });
const secret = (item: string) => secrets(`global:\n    - ${item}`);
const files = (text: string) => serviceText({ injection_files: `injection_files:\n  ${text}` });
const bomb = [
  "a: &a [1,1,1,1,1,1,1,1,1,1]",
  ...["b", "c", "d", "e", "f", "g"].map((name, index) => `${name}: &${name} [${Array(10).fill(`*${"abcdef"[index]}`).join(",")}]`),
].join("\n");

const LINES: readonly Line[] = [
  ["1", "an empty file", "", "E-YAML-EMPTY", ["service.yaml"], "1:1"],
  ["2", "a list at the top", "- a", "E-YAML-TOP", ["mapping"], "1:1"],
  ["3", "a tab as indentation", "build:\n\tname: x", "E-YAML-SYNTAX", ["tab"], "2:1"],
  ["4", "two documents", `${serviceText()}\n---\na: 1`, "E-YAML-MULTI", ["one document"]],
  ["5", "a key twice", "build: {}\nbuild: {}", "E-YAML-DUPLICATE", ["lines 1 and 2"], "2:1"],
  ["6", "a tag", "x-a: !!python/object x", "E-YAML-TAG", ["!!python/object"]],
  ["6a", "a merge key", "x-base: &base {a: 1}\nx-b:\n  <<: *base", "E-YAML-MERGE", ["not supported"], "3:3"],
  ["7", "aliases that expand to millions of nodes", bomb, "E-YAML-SIZE", ["100000"]],
  ["8a", "an empty version in a reference", "build:\n  image: reg/redis:\n", "E-YAML-SYNTAX", ["empty", "shell variable"], "2:10"],
  ["9", "no apiVersion", serviceText({ apiVersion: null }), "E-FIELD-MISSING", ["apiVersion"]],
  ["10", "an old apiVersion", serviceText({ apiVersion: "apiVersion: scone/5.7" }), "E-API-VERSION", ["at least 5.8"], "1:13"],
  ["11", "a bare number as apiVersion", serviceText({ apiVersion: "apiVersion: 5.8" }), "E-API-VERSION", ["scone/"]],
  ["12", "a word as apiVersion", serviceText({ apiVersion: "apiVersion: scone/latest" }), "E-API-VERSION", ["numbers"]],
  ["13", "no kind", serviceText({ kind: null }), "E-FIELD-MISSING", ["kind", "genservice", "mesh"]],
  ["14", "a build kind as kind", serviceText({ kind: "kind: python" }), "E-KIND-UNKNOWN", ["build.kind"], "2:7"],
  ["15", "an unknown kind", serviceText({ kind: "kind: gencas" }), "E-KIND-UNKNOWN", ["genservice", "mesh"]],
  ["16", "a kind with a capital", serviceText({ kind: "kind: Mesh" }), "E-KIND-UNKNOWN", ["did you mean mesh?"]],
  ["18", "a misspelt field", serviceText({ environment: "enviroment: {}" }), "E-FIELD-UNKNOWN", ["did you mean environment?"], "3:1"],
  ["19", "no build", serviceText({ build: null }), "E-FIELD-MISSING", ["build"]],
  ["21", "environment as a list", serviceText({ environment: "environment: [a]" }), "E-FIELD-TYPE", ["mapping"], "3:14"],
  ["22", "local as a mapping", env("local: {A: 1}"), "E-FIELD-TYPE", ["list of name/value"], "4:10"],
  ["23", "a name that starts with a digit", local("- {name: 9X, value: a}"), "E-NAME", ["letter"], "5:14"],
  ["24", "a name with =", local('- {name: "A=B", value: a}'), "E-NAME", ["="]],
  ["25", "a local variable without value", local("- name: A"), "E-FIELD-MISSING", ["value", "global"]],
  ["26", "a variable without name", local("- value: x"), "E-FIELD-MISSING", ["name"]],
  ["27", "a name in local and global", env("local: [{name: A, value: a}]\n  global: [{name: A}]"), "E-ENV-DUPLICATE", ["lines 4 and 5"]],
  ["28", "a bad size", local("- {name: SCONE_HEAP, value: 12Q}"), "E-RUNTIME-VALUE", ["K, M or G"], "5:33"],
  ["29", "dlopen of anything in production", local("- {name: SCONE_ALLOW_DLOPEN, value: 2}"), "E-DLOPEN", ["--mode debug"]],
  ["30", "a bad log level", local("- {name: SCONE_LOG, value: loud}"), "E-RUNTIME-VALUE", ["fatal, error, warning, info, debug, trace"]],
  ["31", "a NUL character", local('- {name: A, value: "a\\0b"}'), "E-VALUE-NUL", ["environment.local[0].value"]],
  ["32", "a list as value", local("- {name: A, value: [1]}"), "E-FIELD-TYPE", ["text"]],
  ["33", "a port out of range", local("- {name: INIT_CONTAINER1_PORT, value: 99999}"), "E-PORT", ["1–65535"]],
  ["34", "an unrendered reference", serviceWithBuild("to: $APP_IMAGE_REPO/x:1", ["to"]), "E-VAR-SHELL", ["$APP_IMAGE_REPO", "envsubst"]],
  ["35", "a placeholder without end", local('- {name: A, value: "{{HOST"}'), "E-TPL-SYNTAX", ["braces"], "5:24"],
  ["36", "a block in a manifest", local('- {name: A, value: "{{#if A}}x"}'), "E-TPL-SYNTAX", ["only names"]],
  ["37", "a placeholder where a file is named", serviceWithBuild('copy: ["{{FILE}}"]'), "E-TPL-PLACE", ["not available at build"]],
  ["42", "a secret reference without end", local('- {name: A, value: "$$SCONE::pw"}'), "E-SECRET-REF", ["closing $$"]],
  ["43", "a reference to an unknown secret", local('- {name: A, value: "$$SCONE::nope$$"}'), "E-SECRET-UNKNOWN", ["app", "nope"]],
  ["47", "an unknown encoding", local('- {name: A, value: "$$SCONE::a|escape(xml)$$"}'), "E-SECRET-REF", ["escape(json)"]],
  ["48", "an unknown kind of secret", secret("{name: a, kind: password}"), "E-SECRET-KIND", ["ascii", "x509-ca", "config-fragment"]],
  ["49", "a secret without kind", secret("{name: a}"), "E-FIELD-MISSING", ["kind"]],
  ["50", "a secret's name with a dot", secret("{name: a.b, kind: ascii}"), "E-NAME", ["start a format"]],
  ["51", "a secret twice", secrets("global: [{name: a, kind: ascii}, {name: a, kind: ascii}]"), "E-SECRET-DUPLICATE", ["lines"]],
  ["52", "a certificate without key", secret("{name: a, kind: x509}"), "E-SECRET-FIELD", ["private_key"]],
  [
    "53",
    "a certificate as private key",
    secrets("global: [{name: k, kind: private-key}, {name: ca, kind: x509-ca, private_key: k}, {name: a, kind: x509, private_key: ca}]"),
    "E-SECRET-REFERENCE",
    ["x509-ca", "private-key"],
  ],
  [
    "54",
    "an end-entity certificate as issuer",
    secrets(
      "global: [{name: k, kind: private-key}, {name: leaf, kind: x509, private_key: k}, {name: a, kind: x509, private_key: k, issuer: leaf}]",
    ),
    "E-SECRET-REFERENCE",
    ["x509-ca"],
  ],
  [
    "56",
    "two CAs that issue each other",
    secrets(
      "global: [{name: k, kind: private-key}, {name: a, kind: x509-ca, private_key: k, issuer: b}, {name: b, kind: x509-ca, private_key: k, issuer: a}]",
    ),
    "E-SECRET-CYCLE",
    ["a", "b"],
  ],
  [
    "57",
    "a CA with dns",
    secrets("global: [{name: k, kind: private-key}, {name: a, kind: x509-ca, private_key: k, dns: x}]"),
    "E-SECRET-FIELD",
    ["end-entity"],
  ],
  [
    "58",
    "a client certificate with dns",
    secrets("global: [{name: k, kind: private-key}, {name: a, kind: x509, private_key: k, endpoint: client, dns: x}]"),
    "E-SECRET-FIELD",
    ["not go together"],
  ],
  [
    "59",
    "an unknown endpoint",
    secrets("global: [{name: k, kind: private-key}, {name: a, kind: x509, private_key: k, endpoint: both}]"),
    "E-VALUE",
    ["server", "client"],
  ],
  [
    "60",
    "a weak key type",
    secret("{name: a, kind: private-key, key_type: RSA-1024}"),
    "E-VALUE",
    ["P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"],
  ],
  ["61", "size 0", secret("{name: a, kind: ascii, size: 0}"), "E-VALUE", ["1 to 65536"]],
  ["61", "size as a word", secret("{name: a, kind: ascii, size: ten}"), "E-VALUE", ["1 to 65536"]],
  ["61", "size too large", secret("{name: a, kind: ascii, size: 70000}"), "E-VALUE", ["1 to 65536"]],
  ["62", "lifetime beside a value", secret("{name: a, kind: x509, value: x, valid_for: 1 year}"), "E-SECRET-FIELD", ["not go together"]],
  ["62a", "a public private key", secret("{name: a, kind: private-key, export_public: true}"), "E-SECRET-PUBLIC", ["ascii", "x509"]],
  ["63", "a value that is not hexadecimal", secret("{name: a, kind: binary, value: xyz}"), "E-SECRET-VALUE", ["hexadecimal"]],
  ["64", "an odd number of digits", secret("{name: a, kind: binary, value: ABC}"), "E-SECRET-VALUE", ["even number"]],
  ["65", "a value that is no key", secret("{name: a, kind: private-key, value: hello}"), "E-SECRET-VALUE", ["PEM PKCS#8"]],
  ["66", "a lifetime that is no duration", secret("{name: a, kind: x509-ca, private_key: k, valid_for: soon}"), "E-VALUE", ["59d"]],
  ["67", "a name without type", secret("{name: a, kind: x509, private_key: k, san: example.org}"), "E-VALUE", ["dns:", "ip:"]],
  ["68", "a bad DNS name", secret('{name: a, kind: x509, private_key: k, dns: "bad name"}'), "E-CERT-DNS", ["bad name"]],
  ["69", "a long common name", secret(`{name: a, kind: x509, private_key: k, common_name: ${"x".repeat(65)}}`), "E-CERT-CN", ["65"]],
  [
    "70",
    "a token without tenant",
    secret("{name: a, kind: aad-token, client_id: c, application_secret: s}"),
    "E-SECRET-FIELD",
    ["tenant_id"],
  ],
  ["71", "import as text", secrets("import: redis_ca_cert"), "E-FIELD-TYPE", ["list"]],
  ["76", "a relative path", files("- {path: tls/a.crt, content: x}"), "E-INJECT-PATH", ["absolute"]],
  ["77", "a path with ..", files("- {path: /tls/../etc/x, content: x}"), "E-INJECT-PATH", ["normalized"]],
  ["78", "a path below /proc", files("- {path: /proc/self/x, content: x}"), "E-INJECT-PATH", ["reserved directories"]],
  ["79", "a path twice", files("- {path: /a, content: x}\n  - {path: /a, content: y}"), "E-INJECT-DUPLICATE", ["lines"]],
  ["80", "a file without path", files("- {content: x}"), "E-FIELD-MISSING", ["path"]],
  ["81", "a permission in decimal", files("- {path: /a, content: x, permission: 999}"), "E-VALUE", ["octal with 0o"]],
  ["81", "a permission without 0o", files("- {path: /a, content: x, permission: 0600}"), "E-VALUE", ["octal with 0o"]],
  ["84", "no command", serviceWithBuild("pwd: /", ["command"]), "E-FIELD-MISSING", ["build.command"]],
  ["85", "an empty command", serviceWithBuild('command: ""', ["command"]), "E-COMMAND", ["empty"]],
  ["86", "an open quote", serviceWithBuild('command: "sh -c \'x"', ["command"]), "E-COMMAND", ["quote is not closed"]],
  ["87", "a misspelt build kind", serviceWithBuild("kind: pyton", ["kind"]), "E-BUILD-KIND", ["did you mean python?", "sconify_image"]],
  ["88", "an unknown build kind", serviceWithBuild("kind: java99", ["kind"]), "E-BUILD-KIND", ["java21-ubuntu"]],
  ["89", "capitals in a reference", serviceWithBuild("to: UPPER/x", ["to"]), "E-IMAGE-REF", ["lower case"]],
  ["90", "a digest in the reference", serviceWithBuild(`to: repo/x@sha256:${"0".repeat(64)}`, ["to"]), "E-IMAGE-REF", ["no digest"]],
  ["91", "an empty reference", serviceWithBuild('to: ""', ["to"]), "E-FIELD-EMPTY", ["build.to", "variable"]],
  ["92", "copy as text", serviceWithBuild("copy: api.py"), "E-FIELD-TYPE", ["list"]],
  ["97", "requirements of a Java program", serviceWithBuild("kind: java21\nrequirements: r.txt", ["kind"]), "E-BUILD-FIELD", ["python"]],
  ["99", "nothing to convert", serviceWithBuild("kind: sconify_image", ["kind"]), "E-FIELD-MISSING", ["build.from"]],
  ["101", "a relative working directory", serviceWithBuild("pwd: python"), "E-VALUE", ["absolute"]],
  ["102", "the root without protection", serviceWithBuild('host_paths: ["/"]'), "E-HOST-PATH", ["/"]],
  ["103", "a directory protected in two ways", serviceWithBuild("dirs: [/a]\nplains: [/a]"), "E-PROTECT-CONFLICT", ["dirs", "plains"]],
  [
    "109",
    "a volume with import and export",
    serviceWithBuild("volumes:\n  - {name: v, path: /v, import: {session: s, volume: w}, export: [{session: t}]}"),
    "E-VOLUME",
    ["not both together"],
  ],
  [
    "110",
    "an unknown update policy",
    serviceWithBuild("volumes: [{name: v, path: /v, update_policy: none}]"),
    "E-VALUE",
    ["ephemeral", "rollback_protected", "no_rollback_protection"],
  ],
  [
    "111",
    "a short session hash",
    serviceWithBuild("volumes: [{name: v, path: /v, export: [{session: s, session_hash: abc}]}]"),
    "E-VALUE",
    ["64 hex digits"],
  ],
];

for (const [number, what, text, code, says, at] of LINES) {
  test(`bad input ${number}: ${what} is ${code}`, () => {
    assertFinding(readService(text), { code, says, ...(at === undefined ? {} : { at }) });
  });
}

test("bad input 8: bytes that are no UTF-8 are E-YAML-ENCODING with their offset", () => {
  const findings = new Findings();
  decodeManifest(Uint8Array.of(0x61, 0x3a, 0x20, 0xff, 0x0a), "service.yaml", findings);
  assertFinding(findings.list(), { code: "E-YAML-ENCODING", says: ["offset 3"] });
});

test("bad input 17: a build section in a mesh belongs to genservice", () => {
  assertFinding(readMesh("apiVersion: scone/5.8\nkind: mesh\nbuild: {}\n"), { code: "E-FIELD-UNKNOWN", says: ["genservice"], at: "3:1" });
});

test("bad input 20: a mesh without policy is E-FIELD-MISSING", () => {
  assertFinding(readMesh("apiVersion: scone/5.8\nkind: mesh\n"), { code: "E-FIELD-MISSING", says: ["policy"] });
});

/** Section 15.9: accepted, with a warning or none. */
const ACCEPTED: readonly (readonly [number: string, what: string, text: string, ...warnings: string[]])[] = [
  ["169", "host_path", serviceWithBuild("host_path: [/etc/resolv.conf]"), "W-FIELD-SYNONYM", "W-HOST-PATH"],
  [
    "177",
    "numbers and words without quotes",
    env("local:\n    - {name: A, value: 1}\n    - {name: B, value: 760M}\n    - {name: C, value: true}\n    - {name: D, value: 0644}"),
  ],
  [
    "178",
    "block headers with digits",
    env("local:\n    - name: A\n      value: |+2\n          x\n    - name: B\n      value: |-4\n              y"),
  ],
  ["181", "a placeholder of an unknown name inside a comment", serviceText({ comment: "# {{nothing here}} {{#x" })],
  ["183", "size beside value", secret("{name: a, kind: ascii, size: 3, value: abc}"), "W-SECRET-SIZE"],
  ["192", "a public generated secret", secret("{name: a, kind: ascii, export_public: true}"), "W-PUBLIC-SECRET"],
  ["193", "an unknown runtime setting", local("- {name: SCONE_FANCY, value: 1}"), "W-RUNTIME-UNKNOWN"],
];
for (const [number, what, text, ...warnings] of ACCEPTED) {
  test(`input ${number}: ${what} is accepted${warnings.length === 0 ? "" : ` with ${warnings.join(" and ")}`}`, () => {
    const diagnostics = readService(text);
    assert.deepEqual([...new Set(diagnostics.map(({ rule }) => rule))], warnings);
  });
}
