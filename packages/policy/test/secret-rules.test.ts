import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { placeholderMeaning, renderFile, renderText, type Secret } from "../src/index.ts";
import { A, accepted, B, clean, KEY, refusedBy, SERVICE, warnedBy } from "./documents.ts";

const one = (text: string): Secret => clean(`secrets: [${text}]`).secrets[0] ?? assert.fail();
const pem = (type: "pkcs8" | "pkcs1" | "sec1", keyType: "ec" | "rsa" | "ed25519" = "ec") => {
  const { privateKey } =
    keyType === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "prime256v1" })
      : keyType === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ed25519");
  return privateKey.export({ type, format: "pem" }).toString();
};
const K = "{name: k, kind: private-key}";
const use = (placeholder: string, secrets: string) => `services: [{${SERVICE}, environment: {A: "${placeholder}"}}]\nsecrets: [${secrets}]`;
const inFile = (placeholder: string, secrets: string) =>
  `images: [{name: i, injection_files: [{path: /c, content: "${placeholder}"}]}]\nsecrets: [${secrets}]`;

test("SL-99 one source of the value, and no parameter of generation with an import", () => {
  refusedBy("SL-99", "secrets: [{name: a, kind: config-fragment}]");
  refusedBy("SL-99", "secrets: [{name: a, kind: ascii, size: 3, import: {session: o}}]");
  refusedBy("SL-99", "secrets: [{name: a, import: {session: o}, import_akv: {vault: v.example}}]");
  refusedBy("SL-99", "secrets: [{name: a, kind: binary, value: aa, supplied_by: CREATOR}]");
  refusedBy("SL-99", "secrets: [{name: a, kind: binary, size: 4, supplied_by: CREATOR}]");
  refusedBy("SL-99", "secrets: [{name: a, kind: ascii, required: false}]");
  refusedBy("SL-177", "secrets: [{name: a, kind: ascii, supplied_by: [{require-all: [CREATOR]}]}]");
  refusedBy("SL-105", "secrets: [{name: a, kind: x509, private_key: k, supplied_by: CREATOR}]");
  refusedBy(
    "SL-122",
    `services: [{${SERVICE}, environment: {A: "$$SCONE::a:privatekey$$"}}]\nsecrets: [{name: a, kind: x509, supplied_by: CREATOR}]`,
  );
});

test("SL-100 parameters that do not apply are refused or, for size next to value, ignored", () => {
  warnedBy("SL-100", "secrets: [{name: a, kind: ascii, value: v, size: 3}]");
  refusedBy("SL-100", "secrets: [{name: a, kind: ascii, valid_for: 1d}]");
  refusedBy("SL-100", "secrets: [{name: a, kind: pgp-key, value: x}]");
  refusedBy("SL-100", `secrets: [${K}, {name: j, kind: jwt, signer: k, alg: ES256, validity: {for: 1h}, issuer: k}]`);
});

test("SL-101 names: alphabet, self, and endings that look like formats", () => {
  for (const name of ["self", "a b", "ä", "x".repeat(129), '""', "a/b"]) refusedBy("SL-101", `secrets: [{name: ${name}, kind: ascii}]`);
  for (const name of ["a.crt", "a.key", "a.chain", "a.hex"]) warnedBy("SL-101", `secrets: [{name: ${name}, kind: ascii}]`);
});

test("SL-103 explicit texts keep their characters, with a warning outside ASCII", () => {
  const secret = accepted("secrets: [{name: a, kind: ascii, value: grün}]").secrets[0];
  assert(secret?.origin === "explicit" && secret.value === "grün");
  warnedBy("SL-103", "secrets: [{name: a, kind: ascii, value: grün}]");
});

test("SL-105 references may point forwards and to imports of unknown kind; cycles of one are found", () => {
  clean(`secrets: [{name: c, kind: x509, private_key: k, issuer: ca}, {name: ca, import: {session: o}}, ${K}]`);
  refusedBy("SL-105", `secrets: [${K}, {name: a, kind: x509-ca, private_key: k, issuer: a}]`);
  refusedBy("SL-105", "secrets: [{name: p, kind: public-key, private_key: nope}]");
});

test("SL-106 key types are spelled exactly", () => {
  for (const type of ["P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072", "ML-DSA-65"])
    one(`{name: k, kind: private-key, key_type: ${type}}`);
  for (const type of ["p-256", "ed25519", "RSA-4096", "RSA2048"])
    refusedBy("SL-106", `secrets: [{name: k, kind: private-key, key_type: ${type}}]`);
});

test("SL-107, SL-108 explicit keys are unencrypted PKCS#8, of either version for Ed25519", () => {
  const explicit = (text: string, rest = "") => `secrets: [{name: k, kind: private-key, value: ${JSON.stringify(text)}${rest}}]`;
  clean(explicit(pem("pkcs8")));
  clean(explicit(pem("pkcs8", "rsa"), ", key_type: RSA-2048"));
  refusedBy("SL-107", explicit(pem("pkcs8"), ", key_type: P-384"));
  for (const bad of [pem("sec1"), pem("pkcs1", "rsa"), "nothing", pem("pkcs8").replace(/.{20}\n-----END/, "-----END")]) {
    assert.match(refusedBy("SL-107", explicit(bad)).expected, /openssl pkcs8/);
  }
  const version1 = pem("pkcs8", "ed25519");
  const der = Uint8Array.fromBase64(version1.replace(/-----[^-]+-----|\n/g, ""));
  const withPublicKey = Buffer.concat([
    Uint8Array.fromHex("3051020101300506032b657004220420"),
    der.subarray(-32),
    Uint8Array.fromHex("812100"),
    Buffer.alloc(32),
  ]);
  const version2 = `-----BEGIN PRIVATE KEY-----\n${withPublicKey.toString("base64")}\n-----END PRIVATE KEY-----\n`;
  const [left, right] = [version1, version2].map((text) => accepted(explicit(text)).secrets[0]);
  assert(left?.origin === "explicit" && right?.origin === "explicit");
  assert.equal(left.value, right.value);
});

test("SL-109 a public key has exactly one origin", () => {
  clean(`secrets: [${K}, {name: p, kind: public-key, private_key: k}]`);
  refusedBy("SL-109", "secrets: [{name: p, kind: public-key}]");
  refusedBy("SL-109", "secrets: [{name: p, kind: public-key, value: xyz}]");
});

const token = (rest: string, key = "P-384") =>
  `secrets: [{name: k, kind: private-key, key_type: ${key}}, {name: j, kind: jwt, signer: k, ${rest}}]`;

test("SL-110 tokens: required fields, fitting keys, texts only, no reserved claims", () => {
  clean(token("alg: ES384, validity: {for: 1h}, payload: {sub: me, n: 3}"));
  clean(token("alg: ES256, validity: {for: 1h}", "P-256"));
  clean(token("alg: EdDSA, validity: {for: 1h}", "Ed25519"));
  clean(token("alg: PS256, validity: {for: 1h}", "RSA-2048"));
  for (const bad of [
    "alg: ES384",
    "validity: {for: 1h}",
    "alg: HS256, validity: {for: 1h}",
    "alg: ES384, validity: {for: 1h}, payload: {iat: 1}",
    "alg: ES384, validity: {for: 1h}, payload: {a: [b]}",
    "alg: ES384, validity: {}",
  ]) {
    refusedBy("SL-110", token(bad));
  }
  warnedBy("SL-110", token('alg: ES384, validity: {for: 1h}, payload: {a: "x $$SCONE::k$$"}'));
});

test("SL-111 self values stand in payloads only", () => {
  clean(
    token('alg: ES384, validity: {for: 1h}, payload: {code: "$$SCONE::self::software_identity$$", s: "$$SCONE::self::session_hash$$"}'),
  );
  refusedBy("SL-111", token('alg: ES384, validity: {for: 1h}, payload: {code: "$$SCONE::self::nothing$$"}'));
  refusedBy("SL-111", use("$$SCONE::self::software_identity$$", K));
});

test("SL-112 tokens are neither exported nor public", () => {
  refusedBy("SL-112", token("alg: ES384, validity: {for: 1h}, export: {session: o}"));
  refusedBy("SL-150", token("alg: ES384, validity: {for: 1h}, export_public: true"));
});

test("SL-113 an access token has ids and one credential", () => {
  const ids = "tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f";
  clean(`secrets: [{name: t, kind: aad-token, ${ids}, application_secret: s3cret}]`);
  for (const rest of [
    ids,
    `${ids}, application_secret: s, certificate_thumbprint: ${"ab".repeat(20)}`,
    `${ids}, certificate_thumbprint: ${"ab".repeat(20)}`,
    "application_secret: s",
    `${ids}, application_secret: s, private_key: k`,
    `${ids}, application_secret: ""`,
  ]) {
    refusedBy("SL-113", `secrets: [{name: t, kind: aad-token, ${rest}}]`);
  }
});

test("SL-113 the key of an application's certificate is an RSA key in PKCS#8, and neither it nor its line is shown", () => {
  const withKey = (text: string) =>
    `secrets: [{name: t, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, certificate_thumbprint: ${"AB".repeat(20)}, private_key: ${JSON.stringify(text)}}]`;
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const [token] = clean(withKey(rsa.export({ type: "pkcs8", format: "pem" }).toString().replaceAll("\n", "\r\n"))).secrets;
  assert(token?.kind === "aad-token" && token.origin === "generated" && token.credential.kind === "certificate");
  assert.equal(token.credential.privateKey, rsa.export({ type: "pkcs8", format: "pem" }));
  for (const [text, says] of [
    [ec.export({ type: "pkcs8", format: "pem" }).toString(), /a P-256 key/],
    [rsa.export({ type: "pkcs1", format: "pem" }).toString(), /PKCS#1 key/],
    ["canary-name", /not one PEM block/],
  ] as const) {
    const found = refusedBy("SL-113", withKey(text));
    assert.match(found.message, says);
    assert.deepEqual([found.path, found.hidden], ["secrets[0].private_key", true]);
    assert.equal(JSON.stringify(found).includes("canary"), false);
  }
});

test("SL-114 sections take fragments and texts; fragments stand nowhere else", () => {
  const f = "{name: f, kind: config-fragment, value: [outdated-tcb]}";
  clean(`security: {attestation: {tolerate: "$$SCONE::f$$"}}\nsecrets: [${f}]`);
  refusedBy("SL-117", use("$$SCONE::f$$", f));
  refusedBy("SL-114", `security: {attestation: {tolerate: "$$SCONE::k$$"}}\nsecrets: [${K}]`);
});

test("SL-115 placeholders are closed on their line and have a name", () => {
  for (const text of ["$$SCONE::a", "$$SCONE::$$", "$$SCONE::a b$$", "$$SCONE:a$$"])
    refusedBy("SL-115", use(text, "{name: a, kind: ascii}"));
  refusedBy(
    "SL-115",
    "images:\n  - name: i\n    injection_files:\n      - path: /c\n        content: |\n          $$SCONE::a\n          $$\nsecrets: [{name: a, kind: ascii}]\n",
  );
  clean(use("$$ $$x$$ $SCONE::a$", "{name: a, kind: ascii}"));
});

test("SL-116 the longest existing name wins; deprecated endings are warned of", () => {
  const cert = "{name: a, kind: x509, private_key: k}";
  warnedBy("SL-116", use("$$SCONE::a.key$$", `${K}, ${cert}`));
  assert.deepEqual(
    placeholderMeaning({ name: "a.key", format: undefined }, (name) => name === "a"),
    { secret: "a", format: ".key" },
  );
  assert.deepEqual(
    placeholderMeaning({ name: "a.key", format: undefined }, () => true),
    { secret: "a.key", format: undefined },
  );
  assert.equal(
    placeholderMeaning({ name: "a.key", format: "pem" }, (name) => name === "a"),
    undefined,
  );
});

test("SL-118 placeholders stand where the language allows them", () => {
  for (const body of [
    `services: [{${SERVICE}, image_name: "$$SCONE::a$$"}]`,
    'version: "$$SCONE::a$$"\nname: t',
    'salt: "$$SCONE::a$$"',
    'images: [{name: i, injection_files: ["/$$SCONE::a$$"]}]',
    'volumes: [{name: "$$SCONE::a$$"}]',
    `services: [{${SERVICE}, environment: {"$$SCONE::a$$": x}}]`,
    'secrets: [{name: b, kind: ascii, value: x, export: {session: "$$SCONE::a$$"}}]',
  ])
    refusedBy("SL-118", body);
});

test("SL-119 raw bytes stand in files only", () => {
  const cert = `${K}, {name: c, kind: x509, private_key: k}`;
  for (const format of [":crt:der", ":privatekey:der", ":pkcs12-with-private-key"]) {
    refusedBy("SL-119", use(`$$SCONE::c${format}$$`, cert));
    clean(inFile(`$$SCONE::c${format}$$`, cert));
  }
  clean(inFile("$$SCONE::b$$", "{name: b, kind: binary}"));
  refusedBy("SL-119", use("$$SCONE::i:der$$", "{name: i, import: {session: o}}"));
});

const values = {
  exists: (name: string) => ["a", "b"].includes(name),
  value: ({ secret }: { secret: string }) => (secret === "a" ? 'x"\\\n$$SCONE::b$$ @@1' : Uint8Array.of(0, 255)),
};

test("SL-121 replacement is one pass, adjacent placeholders are two", () => {
  assert.equal(renderText("<$$SCONE::a$$>", values), '<x"\\\n$$SCONE::b$$ @@1>');
  assert.deepEqual(renderFile("$$SCONE::b$$$$SCONE::b$$", values), Uint8Array.of(0, 255, 0, 255));
});

test("SL-119, SL-120, SL-124 at delivery: bytes in text, unknown secrets and unknown encodings are fatal", () => {
  assert.throws(() => renderText("$$SCONE::b$$", values), { code: "PLACEHOLDER_NOT_TEXT", rule: "SL-119" });
  assert.throws(() => renderText("$$SCONE::c$$", values), { code: "PLACEHOLDER_UNRESOLVED", rule: "SL-120" });
  assert.throws(() => renderFile("$$SCONE::b|escape(json)$$", values), { code: "PLACEHOLDER_NOT_TEXT", rule: "SL-124" });
  assert.throws(() => renderText("$$SCONE::a", values), { code: "PLACEHOLDER_MALFORMED", rule: "SL-115" });
  assert.equal(renderText('{"a":"$$SCONE::a|escape(json)$$"}', values), '{"a":"x\\"\\\\\\n$$SCONE::b$$ @@1"}');
});

function selfSigned(): string {
  const args = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    "/dev/null",
    "-subj",
    "/CN=x",
    "-days",
    "1",
  ];
  return JSON.stringify(execFileSync("openssl", args, { stdio: ["ignore", "pipe", "ignore"] }).toString());
}

test("SL-122, SL-126, SL-127 explicit certificates: their key, their issuer, their form", () => {
  const certificate = selfSigned();
  refusedBy("SL-122", use("$$SCONE::c:privatekey$$", `{name: c, kind: x509, value: ${certificate}}`));
  clean(use("$$SCONE::c:crt$$", `{name: c, kind: x509, value: ${certificate}}`));
  refusedBy("SL-126", `secrets: [${K}, {name: c, kind: x509, private_key: k, value: ${certificate}}]`);
  const other = `{name: o, kind: private-key, value: ${JSON.stringify(pem("pkcs8"))}}`;
  refusedBy("SL-126", `secrets: [${other}, {name: c, kind: x509, private_key: o, value: ${certificate}}]`);
  refusedBy(
    "SL-127",
    `secrets: [{name: ca, kind: x509-ca, value: ${selfSigned()}}, {name: c, kind: x509, issuer: ca, value: ${certificate}}]`,
  );
  refusedBy("SL-127", "secrets: [{name: c, kind: x509, value: nonsense}]");
});

test("SL-125 literal text comes from an explicit secret", () => {
  const session = clean(use("$$SCONE::t$$", "{name: t, kind: ascii, value: $$SCONE::x$$}"));
  const secret = session.secrets[0];
  assert(secret?.origin === "explicit" && secret.value === "$$SCONE::x$$");
});

const cert = (rest: string) => `secrets: [${K}, {name: c, kind: x509, private_key: k, ${rest}}]`;

test("SL-128, SL-129, SL-130 names, purposes and common names of certificates", () => {
  const secret = clean(
    cert('endpoint: server, dns: [a.example, b.example], san: ["dns:A.example", "ip:2001:DB8:0::1", "ip:10.0.0.1", "uri:spiffe://x/y"]'),
  ).secrets[1];
  assert(secret?.origin === "generated" && secret.kind === "x509");
  assert.deepEqual(
    secret.san.map(({ kind, value }) => `${kind}:${value}`),
    ["dns:a.example", "dns:b.example", "ip:2001:db8::1", "ip:10.0.0.1", "uri:spiffe://x/y"],
  );
  clean(cert('endpoint: client, san: "dns:_x.*.example"').replace("_x.*", "_x"));
  for (const san of [
    "a.example",
    "dns:a.example.",
    "dns:*",
    "dns:a.*.example",
    "dns:-a",
    "dns:grün.example",
    "dns:",
    "ip:10.0.0.1/8",
    "ip:fe80::1%eth0",
    "ip:1.2.3",
    "ip:01.2.3.4",
    "email:a@b",
    `dns:${"a.".repeat(127)}b`,
    "uri:nothing",
  ]) {
    refusedBy("SL-129", cert(`san: ["${san}"]`));
  }
  refusedBy("SL-129", cert("san: []"));
  refusedBy("SL-130", cert(`common_name: ${"x".repeat(65)}`));
  refusedBy("SL-130", cert('common_name: ""'));
});

test("SL-132 extension: control over subject, usages, constraints and end", () => {
  clean(
    `secrets: [${K}, {name: ca, kind: x509-ca, private_key: k, x509: {subject: {O: Acme, C: DE}, key_usage: [keyCertSign], name_constraints: {permitted_dns: [shop.example]}, not_after: 2030-01-01T00:00:00Z, max_path_len: 0}}]`,
  );
  for (const bad of [
    "{subject: {X: y}}",
    "{key_usage: [flying]}",
    "{not_after: tomorrow}",
    "{not_after: 2030-02-31T00:00:00Z}",
    "{subject: {C: de}}",
  ]) {
    assert.match(refusedBy(bad.includes("X:") ? "SL-12" : "SL-132", cert(`x509: ${bad}`)).path, /x509/);
  }
});

test("SL-133 certificates live ten minutes at least", () => {
  refusedBy("SL-133", cert("valid_for: 599s"));
  clean(cert("valid_for: 10m"));
});

test("SL-135 a shared CA with a key that does not migrate is warned of", () => {
  warnedBy("SL-135", `version: "0.3.12"\nname: t/a\nsecrets: [${K}, {name: ca, kind: x509-ca, private_key: k, export: {session: t/b}}]`);
  clean(
    'version: "0.3.12"\nname: t/a\nsecrets: [{name: k, kind: private-key, migrate: true}, {name: ca, kind: x509-ca, private_key: k, export: {session: t/b}}]',
  );
});

const shared = (reference: string) => `version: "0.3.12"\nname: team/app\nsecrets: [{name: a, kind: ascii, export: ${reference}}]`;

test("SL-137, SL-138, SL-140, SL-141, SL-142 references", () => {
  const exportsOf = (reference: string) => {
    const secret = accepted(shared(reference)).secrets[0];
    return secret?.origin === "generated" && "exports" in secret ? secret.exports : [];
  };
  const local = { sessionHash: undefined, cas: undefined };
  assert.deepEqual(exportsOf("[{session: ../db}, {namespace: ..}]"), [
    { scope: "session", target: "team/db", ...local },
    { scope: "namespace", target: "team", ...local },
  ]);
  const remote = { address: "cas.example:8081", key: { kind: "cas", keyHash: KEY } };
  assert.deepEqual(exportsOf(`"cas.example/cas_key=${KEY},session=vault"`), [
    { scope: "session", target: "vault", sessionHash: undefined, cas: remote },
  ]);
  assert.deepEqual(exportsOf(`{session: vault, session_hash: ${A}, cas_url: "cas.example", cas_key: ${KEY}}`), [
    { scope: "session", target: "vault", sessionHash: A, cas: remote },
  ]);
  assert.deepEqual(exportsOf(`"/session=vault,session_hash=${A}"`), [
    { scope: "session", target: "vault", sessionHash: A, cas: undefined },
  ]);
  for (const bad of [
    "{session: a, namespace: b}",
    "{}",
    `{namespace: a, session_hash: ${A}}`,
    `{namespace: a, cas_url: c, cas_key: ${KEY}}`,
  ])
    refusedBy("SL-137", shared(bad));
  for (const bad of [
    "{session: a, cas_url: c.example}",
    `{session: a, cas_key: ${KEY}}`,
    `{session: a, cas_url: c, cas_key: ${KEY}, cas_software_key: ${KEY}}`,
    `{session: a, cas_url: "c:99999", cas_key: ${KEY}}`,
  ])
    refusedBy("SL-138", shared(bad));
  for (const bad of ["{session: ../../../x}", `{session: ./x, cas_url: c, cas_key: ${KEY}}`]) refusedBy("SL-140", shared(bad));
  for (const bad of ['"/session=a,session=b"', '"/colour=red"', '"/session=./x"']) refusedBy("SL-141", shared(bad));
  for (const bad of ["other", `"other:${B}"`]) refusedBy("SL-142", shared(bad));
  refusedBy("SL-173", shared(`{session: a, cas_url: c, cas_key: ${KEY.slice(0, -1)}x}`));
});

test("SL-143, SL-144, SL-148, SL-150 exports that others could claim, imports, and public values", () => {
  warnedBy("SL-143", shared("{session: stranger}"));
  warnedBy("SL-143", shared("{namespace: other}"));
  clean(shared("[{session: team/db}, {namespace: team}, {session: ./x}]"));
  refusedBy("SL-143", shared("[]"));
  const imported = clean("secrets: [{name: a, import: {session: o}}]").secrets[0];
  assert(imported?.origin === "imported" && imported.import.secret === "a");
  refusedBy("SL-144", "secrets: [{name: a, import: {namespace: o}}]");
  refusedBy("SL-148", "secrets: [{name: a, import: {session: o}, export_public: true}]");
  warnedBy("SL-150", "secrets: [{name: a, kind: ascii, export_public: true}]");
  for (const kind of ["private-key", "pgp-key"]) refusedBy("SL-150", `secrets: [{name: a, kind: ${kind}, export_public: true}]`);
});

test("SL-151, SL-154 external stores", () => {
  const aad =
    "{name: t, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, application_secret: s}";
  clean(
    `secrets: [${aad}, {name: d, kind: binary, size: 32}, {name: a, import_akv: {vault: v.example, token: "$$SCONE::t$$", decryption_key: "$$SCONE::d$$"}}]`,
  );
  refusedBy("SL-151", "secrets: [{name: a, import_akv: {secret_name: x}}]");
  refusedBy("SL-151", `secrets: [${K}, {name: a, import_akv: {vault: v, token: "$$SCONE::k$$"}}]`);
  refusedBy("SL-151", `secrets: [{name: d, kind: binary}, {name: a, import_akv: {vault: v, decryption_key: "$$SCONE::d$$"}}]`);
  assert.deepEqual(clean("secret_config: {store_in: !cas}").secretStore, { kind: "cas" });
  assert.equal(
    clean(`secret_config:\n  store_in: !akv {vault: v.example, token: "$$SCONE::t$$"}\nsecrets: [${aad}]`).secretStore.kind,
    "akv",
  );
  for (const bad of ["cas", "!cas x", "!akv x", "{}"]) refusedBy("SL-154", `secret_config: {store_in: ${bad}}`);
});

test("SL-151, SL-154 a vault opens with the token that is named, or with the only one of the session", () => {
  const aad = (name: string) =>
    `{name: ${name}, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, application_secret: s}`;
  const imported = (more = "") => `{name: a, import_akv: {vault: v.example${more}}}`;
  clean(`secrets: [${aad("t")}, ${imported()}]`);
  clean(`secrets: [${aad("t")}, ${aad("u")}, ${imported(', token: "$$SCONE::u$$"')}]`);
  const none = refusedBy("SL-151", `secrets: [${imported()}]`);
  assert.deepEqual([none.path, none.message], ["secrets[0].import_akv", "no `aad-token` opens the vault"]);
  assert.match(
    refusedBy("SL-151", `secrets: [${aad("t")}, ${aad("u")}, ${imported()}]`).message,
    /`token` is missing, and the session has 2 tokens/,
  );
  const store = "secret_config:\n  store_in: !akv {vault: v.example}\n";
  clean(`${store}secrets: [${aad("t")}]`);
  assert.equal(refusedBy("SL-154", store).path, "secret_config.store_in");
  refusedBy("SL-151", `secrets: [${aad("t")}, {name: a, import_akv: {vault: v.example, decryption_key: "$$SCONE::a$$"}}]`);
  refusedBy("SL-154", `${store}secrets: [${aad("t")}, ${aad("u")}]`);
});

test("SL-151 names of secrets in vaults are Azure's, and only what can lie there is imported", () => {
  const aad =
    "{name: t, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, application_secret: s}";
  const imported = (name: string, more: string, kind = "") =>
    `secrets: [${aad}, {name: ${name}${kind}, import_akv: {vault: v.example${more}}}]`;
  clean(imported("db_password", ", secret_name: db-password"));
  assert.equal(refusedBy("SL-151", imported("db_password", "")).path, "secrets[1].name");
  for (const bad of ["a/b", "../x", "a?b", `${"a".repeat(128)}`, "a.b"])
    assert.equal(refusedBy("SL-151", imported("a", `, secret_name: "${bad}"`)).path, "secrets[1].import_akv.secret_name");
  for (const kind of ["jwt", "aad-token", "pgp-key"]) refusedBy("SL-99", imported("a", "", `, kind: ${kind}`));
  for (const kind of ["ascii", "binary", "config-fragment", "private-key", "public-key", "x509", "x509-ca"])
    clean(imported("a", "", `, kind: ${kind}`));
});

test("SL-104 extension scope: a value that differs between services or instances stands nowhere where there is one for all", () => {
  const own = (more: string) => `secrets: [{name: a, kind: ascii, scope: instance${more}}]`;
  clean(own(""));
  refusedBy("SL-104", own(", export: {session: ./x}"));
  refusedBy("SL-104", own(", export_public: true"));
  refusedBy("SL-104", own(", rotate: {every: 1d}"));
  refusedBy("SL-104", "secrets: [{name: k, kind: private-key, scope: instance, migrate: true}]");
  refusedBy("SL-104", "secrets: [{name: k, kind: private-key, scope: instance, key_type: RSA-2048}]");
  refusedBy(
    "SL-104",
    `services: [{${SERVICE}, fspf_path: /f, fspf_tag: ${A.slice(0, 32)}, fspf_key: "$$SCONE::f$$"}]\nsecrets: [{name: f, kind: binary, size: 32, scope: service}]`,
  );
  const pair = (key: string, certificate: string) =>
    `secrets: [{name: k, kind: private-key${key}}, {name: c, kind: x509, private_key: k${certificate}}]`;
  clean(pair(", scope: instance", ", scope: instance"));
  clean(pair("", ", scope: instance"));
  refusedBy("SL-104", pair(", scope: instance", ", scope: service"));
  refusedBy("SL-104", "secrets: [{name: k, kind: private-key, scope: service}, {name: c, kind: x509-ca, private_key: k}]");
  const named = '"dns:$$SCONE::self::instance_id$$.w.example"';
  clean(pair("", `, scope: instance, san: ${named}`));
  refusedBy("SL-129", pair("", `, scope: service, san: ${named}`));
  refusedBy("SL-118", pair("", ', scope: instance, san: "dns:$$SCONE::k$$.example"'));
  refusedBy("SL-129", pair("", ', scope: instance, san: "ip:$$SCONE::self::instance_id$$"'));
});

test("SL-111 extension self: the predefined identity stands in texts and files, its CA without the key", () => {
  const text = (placeholder: string) => `services: [{${SERVICE}, environment: {A: "$$SCONE::${placeholder}$$"}}]`;
  for (const name of ["certificate", "private_key", "ca", "instance_id", "certificate:chain", "private_key:pem"])
    clean(text(`self::${name}`));
  refusedBy("SL-122", text("self::ca:privatekey"));
  refusedBy("SL-111", text("self::session"));
  refusedBy("SL-111", text("self::nothing"));
  refusedBy("SL-115", text("self::instance_id:hex"));
  refusedBy("SL-115", text("self::private_key:previous"));
  refusedBy("SL-119", text("self::certificate:pkcs12-with-private-key"));
  refusedBy("SL-111", `services: [{${SERVICE}, platforms: ["$$SCONE::self::instance_id$$"]}]`);
});

test("SL-115 extension rotate: the previous value needs one that is kept", () => {
  const use = (secret: string) =>
    `services: [{${SERVICE}, environment: {A: "$$SCONE::a:previous$$"}}]\nsecrets: [{name: a, kind: ascii${secret}}]`;
  clean(use(", rotate: {every: 1d}"));
  refusedBy("SL-115", use(", rotate: {every: 1d, keep: 0}"));
  refusedBy("SL-115", use(""));
});

test("SL-135 extension epoch: an intermediate that is new with each update needs a root that stays", () => {
  const chain = (root: string, own: string, issuer = ", issuer: root") =>
    `secrets: [{name: rk, kind: private-key${root}}, {name: root, kind: x509-ca, private_key: rk}, {name: k, kind: private-key${own}}, {name: ca, kind: x509-ca, private_key: k${issuer}, epoch: on_update}]`;
  clean(chain(", migrate: true", ""));
  refusedBy("SL-135", chain("", ""));
  refusedBy("SL-135", chain(", migrate: true", ", migrate: true"));
  refusedBy("SL-135", chain(", migrate: true", "", ""));
});
