import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson, normaliseSession, parseSession, printSession, renderDiagnostics, sessionHash } from "../src/index.ts";
import { A, accepted, B, clean, diagnosticsOf, documentOf, refusedBy, SERVICE, warnedBy } from "./documents.ts";

const rendered = (body: string, json = false) => renderDiagnostics(diagnosticsOf(body), { source: documentOf(body), json });

test("SL-1 the text form has file, place, rule, path, finding, source line, caret and help", () => {
  assert.equal(
    rendered("service: []\n"),
    "t.yaml:3:1: error[SL-12]: service: unknown key `service`; expected one of `version`, `name`, `namespace_hash`, `predecessor`, `salt`, `services`, `secrets`, `secret_config`, `volumes`, `images`, `access_policy`, `security`, `creator`, `update_proposals`, `roles`\n  service: []\n  ^^^^^^^\nhelp: did you mean `services`?\n",
  );
});

test("SL-2 the machine form is one JSON object per line with these keys", () => {
  const lines = rendered("service: []\nsecrets: {}\n", true).trimEnd().split("\n");
  assert.equal(lines.length, 2);
  for (const line of lines) {
    assert.deepEqual(Object.keys(JSON.parse(line)), [
      "severity",
      "rule",
      "file",
      "path",
      "line",
      "column",
      "endLine",
      "endColumn",
      "message",
      "expected",
      "hint",
    ]);
  }
});

test("SL-3 columns count code points, and a placeholder in a block scalar is reported where it stands", () => {
  const { line, column } = refusedBy("SL-120", `services: [{${SERVICE}, environment: {"😀😀": "$$SCONE::x$$"}}]`);
  assert.deepEqual([line, column], [3, 36 + SERVICE.length]);
  const block = refusedBy(
    "SL-120",
    "images:\n  - name: i\n    injection_files:\n      - path: /c\n        content: |\n          a\n          b $$SCONE::x$$\n",
  );
  assert.deepEqual([block.line, block.column, block.path], [9, 13, "images[0].injection_files[0].content"]);
});

test("SL-4 every independent error is reported in source order, at most fifty", () => {
  const rules = diagnosticsOf("volumes: {}\nservices: {}\nsalt: zz\n").map(({ rule }) => rule);
  assert.deepEqual(rules, ["SL-29", "SL-29", "SL-17"]);
  assert.equal(diagnosticsOf(Array.from({ length: 80 }, (_, i) => `k${i}: 1\n`).join("")).length, 50);
});

const canary = "canary4711canary";
const hiding = [
  `secrets: [{name: a, kind: binary, value: ${canary}}]`,
  `secrets: [{name: a, kind: ascii, value: ${canary}, key_type: P-256}]`,
  `secrets: [{name: a, kind: ascii, valeu: ${canary}}]`,
  `secrets:\n  - name: k\n    kind: private-key\n    value: |\n      -----BEGIN PRIVATE KEY-----\n      ${canary}\n      -----END PRIVATE KEY-----\n`,
  `security: {service_access_token: ${canary}, mode: none}`,
  `security: {attestation: {one_time_password_shared_secret: ${canary}}}`,
  `volumes: [{name: v, fspf_key: ${canary}}]`,
  `secrets: [{name: a, kind: ascii, value: ${canary}`,
  `secrets:\n  - name: a\n    kind: ascii\n    value: |\n      ${canary}\n    @x\n`,
];
for (const body of hiding) {
  test(`SL-5 no diagnostic shows the secret of ${JSON.stringify(body.slice(0, 60).replace(canary, "…"))}`, () => {
    assert.notEqual(diagnosticsOf(body).length, 0);
    assert.doesNotMatch(rendered(body) + rendered(body, true), /canary/);
  });
}

test("SL-6 an error of one step stops before the next", () => {
  const text = 'version: "0.3.12"\nname: $MISSING\nservices: {}\n';
  const { diagnostics } = parseSession(text, { variables: new Map() });
  assert.deepEqual(
    diagnostics.map(({ rule }) => rule),
    ["SL-25"],
  );
  const structure = diagnosticsOf(`services: [{${SERVICE}, image_name: nope}]\nsalt: zz\n`);
  assert.deepEqual(
    structure.map(({ rule }) => rule),
    ["SL-17"],
  );
});

test("SL-7 a word within two edits of a known one, or a known synonym, gets a hint", () => {
  assert.match(refusedBy("SL-12", "acces_policy: {}").hint, /access_policy/);
  assert.match(refusedBy("SL-12", `services: [{${SERVICE}, env: {}}]`).hint, /environment/);
  assert.equal(refusedBy("SL-12", "completely_else: 1").hint, "");
});

test("SL-9 a byte-order mark is dropped; lists, scalars, nothing and two documents are refused", () => {
  assert.equal(parseSession(`\uFEFF${documentOf("salt: 00112233445566778899aabbccddeeff")}`).diagnostics.length, 0);
  for (const text of [
    "",
    "# nothing\n",
    "just text",
    "- a\n",
    "version: '0.3'\nname: t\n---\na: b\n",
    "%YAML 1.1\n---\nname: t\n",
    "name: [t\n",
    "name: t\n  x: y\n",
  ]) {
    const { session, diagnostics } = parseSession(text);
    assert.equal(session, undefined);
    assert.equal(diagnostics[0]?.rule, "SL-9", text);
  }
});

test("SL-10 size, expanded size and depth are limited, quickly", () => {
  const started = performance.now();
  const bomb = `a0: &a0 [${"x,".repeat(50)}]\n${Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(10)}]\n`).join("")}`;
  for (const text of [
    `name: ${"x".repeat(1024 * 1024)}`,
    bomb,
    `a: ${"[".repeat(65)}${"]".repeat(65)}`,
    `${"- ".repeat(100_000)}a`,
    `a: ${"[".repeat(500_000)}`,
    `x: ${"é".repeat(600_000)}`,
  ]) {
    assert.equal(parseSession(text).diagnostics[0]?.rule, "SL-10", text.slice(0, 30));
  }
  assert(performance.now() - started < 2000);
});

test("SL-10 an alias can bring a node below the depth limit only", () => {
  const deep = `${"[".repeat(40)}${"]".repeat(40)}`;
  assert.equal(parseSession(`a: &a ${deep}\nb: ${"[".repeat(40)}*a${"]".repeat(40)}`).diagnostics[0]?.rule, "SL-10");
});

test("SL-11 a key may occur once, at any depth", () => {
  refusedBy("SL-11", `services: [{${SERVICE}, name: b}]`);
});

test("SL-13 anchors and aliases are allowed; merge keys and tags are not, except at store_in", () => {
  clean(
    "volumes:\n  - {name: v, fspf_key: &k " +
      A +
      ", fspf_tag: 00112233445566778899aabbccddeeff}\n  - {name: w, fspf_key: *k, fspf_tag: 00112233445566778899aabbccddeeff}\n",
  );
  refusedBy("SL-13", "base: &b {a: b}\nsecurity:\n  <<: *b\n");
  refusedBy("SL-13", "salt: !!str 00112233445566778899aabbccddeeff");
  refusedBy("SL-13", "salt: !cas 00112233445566778899aabbccddeeff");
  refusedBy("SL-13", "services: !cas []");
});

test("SL-14 plain scalars are taken by their text; null is no string", () => {
  const session = clean(
    `version: 0.3\nname: 1e3\nsalt: 12345678901234567890123456789012\nservices: [{${SERVICE}, environment: {N: 3, F: true, D: 1.50, E: ""}}]`,
  );
  assert.equal(session.name, "1e3");
  assert.equal(session.salt, "12345678901234567890123456789012");
  assert.deepEqual(
    session.services[0]?.environment.map(({ value }) => value),
    ["3", "true", "1.50", ""],
  );
  refusedBy("SL-14", `services: [{${SERVICE}, environment: {A: }}]`);
  refusedBy("SL-14", `services: [{${SERVICE}, environment: {A: null}}]`);
});

test("SL-15 integers are decimal, also quoted", () => {
  assert.deepEqual(
    accepted('secrets: [{name: a, kind: ascii, size: 7}, {name: b, kind: ascii, size: "7"}]').secrets.map(
      (secret) => "size" in secret && secret.size,
    ),
    [7, 7],
  );
  for (const size of ["-1", "+7", "1e3", "1_000", "0x10", "07", '" 7"', "99999", "0"])
    refusedBy("SL-15", `secrets: [{name: a, kind: ascii, size: ${size}}]`);
});

test("SL-16 booleans are true and false", () => {
  for (const value of ["yes", "on", "1", '"true"', "True", "~"])
    refusedBy("SL-16", `secrets: [{name: k, kind: private-key, migrate: ${value}}]`);
});

test("SL-17 upper case is normalised, prefixes and separators are refused", () => {
  assert.equal(accepted(`predecessor: ${A.toUpperCase()}`).predecessor, A);
  refusedBy("SL-45", `predecessor: 0x${A}`);
  refusedBy("SL-17", "salt: 00:12233445566778899aabbccddeeff");
});

test("SL-18 durations are terms with units; m is minutes, M months", () => {
  const seconds = (text: string) => {
    const secret = accepted(`secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, valid_for: "${text}"}]`)
      .secrets[1];
    return secret?.origin === "generated" && secret.kind === "x509" ? secret.validForSeconds : undefined;
  };
  assert.equal(seconds("90 days"), 90 * 86_400);
  assert.equal(seconds("1year 6months"), 31_557_600 + 6 * 2_630_016);
  assert.equal(seconds("24h"), 86_400);
  assert.equal(seconds("1d12h30m"), 86_400 + 12 * 3600 + 1800);
  assert.equal(seconds("1M"), 2_630_016);
  assert.equal(seconds("600 seconds"), 600);
  for (const text of ["", "d", "90", "0d", "1.5h", "-1d", "1 fortnight", "1d,2h", "99999999999999y", "20000y"]) {
    refusedBy("SL-18", `secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, valid_for: "${text}"}]`);
  }
});

test("SL-19 no string holds U+0000", () => {
  refusedBy("SL-19", `services: [{${SERVICE}, environment: {A: "a\\0b"}}]`);
  refusedBy("SL-19", `services: [{${SERVICE}, environment: {A: a\0b}}]`);
});

test("SL-20 paths are absolute, without .. and of limited length", () => {
  for (const path of ["app", "./app", "/a/../b", `/${"x".repeat(4095)}`, '""'])
    refusedBy("SL-20", `services: [{name: s, command: x, pwd: ${path}, attestation: {mrenclave: ${A}}}]`);
  clean(`services: [{name: s, command: x, pwd: "/a/..b/c d", attestation: {mrenclave: ${A}}}]`);
});

test("SL-21 a null predecessor is none; every other null is an error", () => {
  assert.equal(clean("predecessor: ~").predecessor, undefined);
  assert.equal(clean("predecessor: null").predecessor, undefined);
  refusedBy("SL-21", "services:\n");
  refusedBy("SL-21", "security: ~\n");
  refusedBy("SL-21", "secrets: [{name: f, kind: config-fragment, value: ~}]");
});

test("SL-22 the order of keys never matters, the order of lists does", () => {
  const options = { creator: { kind: "certificate", keyHash: "k", pem: undefined } } as const;
  const hash = (body: string) => sessionHash(accepted(body), options);
  assert.equal(
    hash("version: '0.3'\nname: t\nsalt: 00112233445566778899aabbccddeeff"),
    hash("salt: 00112233445566778899aabbccddeeff\nname: t\nversion: '0.3'"),
  );
  assert.notEqual(
    hash("secrets: [{name: a, kind: ascii}, {name: b, kind: ascii}]"),
    hash("secrets: [{name: b, kind: ascii}, {name: a, kind: ascii}]"),
  );
});

const VARIABLES = new Map([
  ["APP", "shop"],
  ["N", "32"],
  ["NONE", "~"],
  ["EVIL", 'x"\n  tolerate: [debug-mode]'],
  ["E", ""],
]);
const withVariables = (text: string) => parseSession(text, { variables: VARIABLES });

test("SL-23 variables are replaced in values, never in keys, and cannot change the structure", () => {
  const { session } = withVariables(
    `version: "0.3.12"\nname: $APP\nservices: [{${SERVICE}, environment: {$APP: "a$APP-\${APP}b", EVIL: $EVIL}}]`,
  );
  assert.equal(session?.name, "shop");
  assert.deepEqual(session?.services[0]?.environment, [
    { name: "$APP", value: "ashop-shopb", fromHost: false },
    { name: "EVIL", value: 'x"\n  tolerate: [debug-mode]', fromHost: false },
  ]);
});

test("SL-24 a name replaces the session's name, but a missing variable in it is still an error", () => {
  const options = { variables: VARIABLES, name: "other" };
  assert.equal(parseSession('version: "0.3.12"\nname: $APP\n', options).session?.name, "other");
  assert.equal(parseSession('version: "0.3.12"\nname: $MISSING\n', options).diagnostics[0]?.rule, "SL-25");
  assert.equal(parseSession('version: "0.3.12"\nname: t\n', { name: "a b" }).diagnostics[0]?.rule, "SL-37");
});

test("SL-26 an escaped dollar, a lone dollar and two dollars stay", () => {
  const { session } = withVariables(
    `version: "0.3.12"\nname: t\nservices: [{${SERVICE}, environment: {A: '\\$APP', B: "5$ $1 $", C: "$$APP", D: "$$SCONE::p$$$APP"}}]\nsecrets: [{name: p, kind: ascii}]`,
  );
  assert.deepEqual(
    session?.services[0]?.environment.map(({ value }) => value),
    ["$APP", "5$ $1 $", "$$APP", "$$SCONE::p$$shop"],
  );
});

test("SL-27 a value that is one variable can be null; otherwise it is text, also for integers", () => {
  assert.equal(withVariables('version: "0.3.12"\nname: t\npredecessor: $NONE\n').session?.predecessor, undefined);
  assert.equal(withVariables('version: "0.3.12"\nname: t\nsecrets: [{name: a, kind: ascii, size: $N}]\n').diagnostics.length, 0);
  assert.equal(withVariables('version: "0.3.12"\nname: t\npredecessor: "x$NONE"\n').diagnostics[0]?.rule, "SL-45");
});

test("SL-28 without variables nothing is replaced, as in a CAS", () => {
  assert.equal(accepted(`services: [{${SERVICE}, environment: {A: $HOME}}]`).services[0]?.environment[0]?.value, "$HOME");
});

test("SL-29, SL-31 an empty list equals absence, and a session needs no service", () => {
  assert.deepEqual(normaliseSession(clean("services: []\nsecrets: []\nvolumes: []\nimages: []"), { unknownCreator: "omit" }), {
    name: "t",
    version: "0.3.12",
  });
});

test("SL-30 names are required and unique in each list", () => {
  for (const list of ["secrets: [{kind: ascii}]", "volumes: [{files: encrypted}]", "images: [{volumes: []}]"]) refusedBy("SL-30", list);
  refusedBy("SL-30", "volumes: [{name: v}, {name: v}]");
  refusedBy("SL-30", "images: [{name: v}, {name: v}]");
  refusedBy("SL-101", "secrets: [{name: v, kind: ascii}, {name: v, kind: binary}]");
});

test("SL-33, SL-34, SL-35 versions are read by their text", () => {
  for (const version of ["0.3", '"0.3"', "0.3.0", "0.3.9", "0.3.12"]) clean(`version: ${version}\nname: t\n`);
  for (const version of ["0.30", "0.3.13", "0.3.01", "0.4", "1", "v0.3", "0.1", "0.2", "0.3.x"])
    refusedBy("SL-33", `version: ${version}\nname: t\n`);
  assert.match(refusedBy("SL-33", "version: 0.2\nname: t\n").hint, /key hashes/);
});

test("SL-36 what is newer than the stated version is accepted with a warning", () => {
  for (const body of [
    "version: 0.3.1\nname: t\nnamespace_hash: " + B,
    `version: 0.3.4\nname: t\nservices: [{${SERVICE}, environment: {A: "$$SCONE::b:hex$$"}}]\nsecrets: [{name: b, kind: binary}]`,
    "version: 0.3.11\nname: t\nsecrets: [{name: k, kind: private-key, key_type: P-384}, {name: j, kind: jwt, signer: k, alg: ES384, validity: {for: 1h}}]",
  ])
    warnedBy("SL-36", body);
});

test("SL-51 the hash is SHA-256 over the domain and RFC 8785 text, 64 lower-case digits", () => {
  const session = accepted("salt: 00112233445566778899aabbccddeeff\naccess_policy: {read: ANY, update: NONE}");
  assert.equal(
    canonicalJson(normaliseSession(session)),
    '{"access_policy":{"read":["ANY"],"update":["NONE"]},"name":"t","salt":"00112233445566778899aabbccddeeff","version":"0.3.12"}',
  );
  assert.match(sessionHash(session), /^[0-9a-f]{64}$/);
  assert.equal(
    canonicalJson({ b: [1, true, null, "é\n\u2028"], a: {}, "€": "", "\u{1F600}": 0 }),
    '{"a":{},"b":[1,true,null,"é\\n\u2028"],"€":"","😀":0}',
  );
});

test("SL-50, SL-52 spellings and defaults vanish from the normal form", () => {
  const long = accepted(`
services:
  - {name: s, command: [x, "a b"], pwd: /, attestation: [{mrenclave: [${A}]}], platforms: ["INTEL_QE_ID:0011223344556677889900aabbccddee"]}
secrets:
  - {name: k, kind: private-key}
  - {name: c, kind: x509, private_key: k, san: ["dns:a.example"], valid_for: 86400s, export: [{session: t/x}]}
access_policy: {update: [ANY], read: [CREATOR], create_sessions: [ANY], list_sessions: CREATOR}
security: {attestation: {mode: hardware, tolerate: [debug-mode], evidence: [sgx, tdx, snp, nitro]}}
images: [{name: i, injection_files: [{path: /c, content: x, permission: 0o700}]}]
`);
  const short = accepted(`
access_policy: {update: ANY}
images: [{name: i, injection_files: [{path: /c, content: "x"}]}]
security: {attestation: {tolerate: [debug]}}
secrets:
  - {name: k, kind: private-key, key_type: P-256, migrate: false}
  - {name: c, kind: x509, private_key: k, dns: a.example, valid_for: 1 day, export: {session: ./x}}
services:
  - {name: s, command: 'x "a b"', pwd: /, mrenclaves: [${A.toUpperCase()}], platforms: ["INTEL_QE_ID:0011223344556677889900AABBCCDDEE"], persistency: None, environment: {}}
`);
  assert.deepEqual(normaliseSession(long, { unknownCreator: "omit" }), normaliseSession(short, { unknownCreator: "omit" }));
});

test("SL-50 printing keeps words that look like other YAML types", () => {
  const session = accepted(
    `services: [{${SERVICE}, environment: {A: "true", B: "~", C: "0o17", D: "1e3", E: "a: b", F: " x ", G: "@x", H: "multi\\nline\\n", I: "- x", J: "'", K: "\\t", L: "\\u2028"}}]\naccess_policy: {read: ANY, update: ANY}`,
  );
  const again = parseSession(printSession(session));
  assert.deepEqual(again.session?.services[0]?.environment, session.services[0]?.environment);
});
