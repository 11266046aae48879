import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { jwtVerify } from "jose";
import {
  certificatesToRenew,
  completeCertificates,
  exportedSecret,
  formatSecret,
  materialise,
  type Randomness,
  renewCertificates,
  type StoredSecret,
  signJsonWebToken,
  systemRandomness,
  testRandomness,
  watchedRandomness,
} from "../src/index.ts";
import { certificateOf, chainSecrets, NOW, sessionWith, valuesOf } from "./session-fixture.ts";

const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
const DAY = 86_400;

function update(before: string, after: string) {
  const previous = { session: sessionWith(before), values: valuesOf(before).values };
  return { old: previous.values, now: materialise(sessionWith(after), { now: NOW, random: systemRandomness, previous }).values };
}

test("SL-103 generated texts use 94 characters, all of them, evenly", () => {
  const counts = new Map<string, number>();
  const value = valuesOf("  - {name: a, kind: ascii, size: 65536}\n").values.get("a");
  assert(value?.kind === "ascii" && value.text.length === 65_536);
  for (const character of value.text) counts.set(character, (counts.get(character) ?? 0) + 1);
  assert.equal(counts.size, 94);
  assert([...counts.keys()].every((character) => character >= "!" && character <= "~"));
  assert([...counts.values()].every((count) => Math.abs(count - 697) < 200));
});

test("SL-104, §12.1 kinds have the values the language says", () => {
  const { values, pending } = valuesOf(`
  - {name: text, kind: ascii}
  - {name: bytes, kind: binary, size: 7}
  - {name: fixed, kind: binary, value: AAbb}
  - {name: key, kind: private-key, key_type: Ed25519}
  - {name: public, kind: public-key, private_key: key}
  - {name: f, kind: config-fragment, value: {a: [1, x]}}
`);
  assert.deepEqual(pending, []);
  const hex = values.get("bytes");
  assert(hex?.kind === "binary" && /^[0-9a-f]{14}$/.test(hex.hex));
  assert.deepEqual(values.get("fixed"), { kind: "binary", hex: "aabb" });
  assert.deepEqual(values.get("f"), { kind: "config-fragment", value: { a: [1, "x"] } });
  const [key, derived] = [values.get("key"), values.get("public")];
  assert(key?.kind === "private-key" && derived?.kind === "public-key");
  assert(createPublicKey(createPrivateKey(key.pem)).equals(createPublicKey(derived.pem)));
  assert.deepEqual(new Map(Object.entries(JSON.parse(JSON.stringify(Object.fromEntries(values))))), values);
});

const kept = [
  ["ascii of the same size", "{name: a, kind: ascii}", "{name: a, kind: ascii, size: 20}", true],
  ["ascii of another size", "{name: a, kind: ascii}", "{name: a, kind: ascii, size: 21}", false],
  ["binary of the same size", "{name: a, kind: binary}", "{name: a, kind: binary}", true],
  ["another kind", "{name: a, kind: ascii}", "{name: a, kind: binary}", false],
  ["another name", "{name: b, kind: ascii}", "{name: a, kind: ascii}", false],
  ["explicit to generated", "{name: a, kind: ascii, value: x}", "{name: a, kind: ascii}", false],
  [
    "a key that migrates in both versions",
    "{name: a, kind: private-key, migrate: true}",
    "{name: a, kind: private-key, migrate: true}",
    true,
  ],
  ["a key that migrates in the new version only", "{name: a, kind: private-key}", "{name: a, kind: private-key, migrate: true}", false],
  ["a key that migrated in the old version only", "{name: a, kind: private-key, migrate: true}", "{name: a, kind: private-key}", false],
  [
    "a key of another type",
    "{name: a, kind: private-key, migrate: true}",
    "{name: a, kind: private-key, migrate: true, key_type: Ed25519}",
    false,
  ],
  ["an OpenPGP key", "{name: a, kind: pgp-key}", "{name: a, kind: pgp-key}", true],
] as const;
for (const [what, before, after, isKept] of kept) {
  test(`SL-155, SL-156 an update ${isKept ? "keeps" : "does not keep"} ${what}`, () => {
    const { old, now } = update(`  - ${before}\n`, `  - ${after}\n`);
    assert.notEqual(now.get("a"), undefined);
    if (isKept) assert.deepEqual(now.get("a"), old.get("a"));
    else assert.notDeepEqual(now.get("a"), old.get("a"));
  });
}

test("SL-157 values of secrets that are gone are gone with the update", () => {
  const { now } = update("  - {name: a, kind: ascii}\n  - {name: b, kind: ascii}\n", "  - {name: b, kind: ascii}\n");
  assert.deepEqual([...now.keys()], ["b"]);
});

test("SL-135 an update issues every certificate again; with a migrated key old leaves still verify", () => {
  const secrets =
    "  - {name: k, kind: private-key, migrate: true}\n  - {name: ca, kind: x509-ca, private_key: k, common_name: Root}\n  - {name: l, kind: private-key}\n  - {name: leaf, kind: x509, private_key: l, issuer: ca}\n";
  const { old, now } = update(secrets, secrets);
  const certificate = (values: ReadonlyMap<string, StoredSecret>, name: string) =>
    new X509Certificate(certificateOf({ values, pending: [], warnings: [] }, name).certificate);
  assert.notEqual(certificate(old, "ca").serialNumber, certificate(now, "ca").serialNumber);
  assert(certificate(old, "leaf").verify(certificate(now, "ca").publicKey));
  assert(certificate(old, "leaf").checkIssued(certificate(now, "ca")));
  assert(!certificate(old, "leaf").publicKey.equals(certificate(now, "leaf").publicKey));
});

test("SL-131, SL-133 serials are positive with 127 bits and differ; validity is as asked, from five minutes ago", () => {
  const made = valuesOf(
    "  - {name: k, kind: private-key}\n  - {name: c, kind: x509, private_key: k, valid_for: 1d}\n  - {name: d, kind: x509, private_key: k}\n",
  );
  const [c, d] = ["c", "d"].map((name) => new X509Certificate(certificateOf(made, name).certificate));
  assert(c && d);
  assert.match(c.serialNumber, /^[4-7][0-9A-F]{31}$/);
  assert.notEqual(c.serialNumber, d.serialNumber);
  assert.equal(new Date(c.validFrom).getTime(), NOW.getTime() - 300_000);
  assert.equal(new Date(c.validTo).getTime(), later(DAY).getTime());
  assert.equal(new Date(d.validTo).toISOString(), "4096-01-01T00:00:00.000Z");
  assert.equal(certificateOf(made, "d").renewAfter, undefined);
});

test("SL-133 a certificate never outlives its issuer, and the warning says so", () => {
  const made = valuesOf(
    "  - {name: k, kind: private-key}\n  - {name: ca, kind: x509-ca, private_key: k, valid_for: 1d}\n  - {name: c, kind: x509, private_key: k, issuer: ca, valid_for: 9d}\n",
  );
  assert.equal(certificateOf(made, "c").notAfter, later(DAY).toISOString());
  assert.match(made.warnings.join(), /certificate c ends with its issuer ca/);
});

test("SL-134 renewal at two thirds, with the same key and names, and of everything below a renewed CA", () => {
  const secrets =
    '  - {name: k, kind: private-key}\n  - {name: ca, kind: x509-ca, private_key: k, valid_for: 3d}\n  - {name: c, kind: x509, private_key: k, issuer: ca, san: "dns:a.example"}\n  - {name: other, kind: x509, private_key: k}\n';
  const session = sessionWith(secrets);
  const made = valuesOf(secrets);
  assert.deepEqual(certificatesToRenew(session, made.values, later(2 * DAY - 1)), []);
  assert.deepEqual(certificatesToRenew(session, made.values, later(2 * DAY)), ["ca", "c"]);
  assert.equal(renewCertificates(session, made.values, { now: NOW, random: systemRandomness }), undefined);
  const renewed = renewCertificates(session, made.values, { now: later(2 * DAY), random: systemRandomness });
  assert(renewed !== undefined);
  const [before, after] = [made, renewed].map((values) => new X509Certificate(certificateOf(values, "c").certificate));
  assert(before && after);
  assert.notEqual(before.serialNumber, after.serialNumber);
  assert.equal(before.subjectAltName, after.subjectAltName);
  assert(before.publicKey.equals(after.publicKey));
  assert.equal(certificateOf(renewed, "c").chain[0], certificateOf(renewed, "ca").certificate);
  assert.deepEqual(renewed.values.get("other"), made.values.get("other"));
});

test("SL-130 the subject is the common name, else the first DNS name, else the secret's name", () => {
  const made = valuesOf(`  - {name: k, kind: private-key}
  - {name: a, kind: x509, private_key: k, common_name: Ä, san: "dns:a.example"}
  - {name: b, kind: x509, private_key: k, san: ["ip:10.0.0.1", "dns:b.example"]}
  - {name: c, kind: x509, private_key: k, san: "dns:${"x".repeat(60)}.example"}
`);
  assert.deepEqual(
    ["a", "b", "c"].map((name) => new X509Certificate(certificateOf(made, name).certificate).subject),
    ["CN=Ä", "CN=b.example", "CN=c"],
  );
});

test("SL-127 with an imported CA the certificate waits, and is issued when the import is there", () => {
  const secrets =
    "  - {name: k, kind: private-key}\n  - {name: ca, import: {session: o}}\n  - {name: c, kind: x509, private_key: k, issuer: ca}\n";
  const made = valuesOf(secrets);
  assert.deepEqual(made.pending, ["c"]);
  const ca = certificateOf(valuesOf("  - {name: k, kind: private-key}\n  - {name: ca, kind: x509-ca, private_key: k}\n"), "ca");
  const options = { now: NOW, random: systemRandomness };
  const complete = completeCertificates(sessionWith(secrets), made.values, { ...options, imports: new Map([["ca", ca]]) });
  assert.deepEqual(complete.pending, []);
  assert(new X509Certificate(certificateOf(complete, "c").certificate).verify(new X509Certificate(ca.certificate).publicKey));
  const keyless = completeCertificates(sessionWith(secrets), made.values, {
    ...options,
    imports: new Map([["ca", { ...ca, privateKey: undefined }]]),
  });
  assert.deepEqual(keyless.pending, ["c"]);
});

test("SL-126, SL-127, field/2026-08-other-key: explicit certificates are adopted with their key and chain; foreign keys and issuers are refused", () => {
  const made = valuesOf(chainSecrets("P-256"));
  const [server, middle] = [certificateOf(made, "server"), certificateOf(made, "middle")];
  const quoted = (text: string | undefined) => JSON.stringify(text);
  const adopted = valuesOf(
    `  - {name: key, kind: private-key, value: ${quoted(server.privateKey)}}\n  - {name: c, kind: x509, private_key: key, value: ${quoted(server.certificate + server.chain.join(""))}}\n`,
  );
  assert.deepEqual(certificateOf(adopted, "c").chain, server.chain);
  assert.equal(certificateOf(adopted, "c").privateKey, server.privateKey);
  const imports = new Map<string, StoredSecret>([
    ["ca", { ...middle, privateKey: undefined }],
    [
      "k",
      {
        kind: "private-key",
        keyType: "P-256",
        pem: systemRandomness.privateKey("P-256").export({ type: "pkcs8", format: "pem" }).toString(),
      },
    ],
  ]);
  const issued = valuesOf(
    `  - {name: ca, import: {session: o}}\n  - {name: c, kind: x509, issuer: ca, value: ${quoted(server.certificate)}}\n`,
    { imports },
  );
  assert.deepEqual(certificateOf(issued, "c").chain, server.chain);
  assert.throws(
    () =>
      valuesOf(`  - {name: ca, import: {session: o}}\n  - {name: c, kind: x509, issuer: ca, value: ${quoted(middle.certificate)}}\n`, {
        imports,
      }),
    { code: "ISSUER_MISMATCH", rule: "SL-127" },
  );
  assert.throws(
    () =>
      valuesOf(`  - {name: k, import: {session: o}}\n  - {name: c, kind: x509, private_key: k, value: ${quoted(server.certificate)}}\n`, {
        imports,
      }),
    { code: "KEY_MISMATCH", rule: "SL-126" },
  );
});

const format = (secret: StoredSecret | undefined, name?: string) => {
  assert(secret !== undefined);
  const formatted = formatSecret(secret, name, { name: "x", random: systemRandomness });
  return formatted.kind === "text" ? formatted.text : formatted.bytes;
};

test("§12.2 binary formats", () => {
  const secret: StoredSecret = { kind: "binary", hex: "fbff00" };
  assert.deepEqual(format(secret), Uint8Array.of(0xfb, 0xff, 0));
  assert.deepEqual(
    ["hex", ".hex", "base64", "base64url", "base32", "base32nopad"].map((name) => format(secret, name)),
    ["fbff00", "fbff00", "+/8A", "-_8A", "7P7QA===", "7P7QA"],
  );
  assert.throws(() => format(secret, "pem"), { code: "FORMAT_UNKNOWN", rule: "SL-115" });
});

test("SL-123, §12.2 certificate formats: order and content of chains, PEM that can be joined", () => {
  const made = valuesOf(chainSecrets("P-256"));
  const [server, middle, root] = ["server", "middle", "root"].map((name) => certificateOf(made, name));
  assert(server && middle && root);
  assert.equal(format(server), server.certificate);
  assert.equal(format(server, "chain"), middle.certificate + root.certificate);
  assert.equal(format(server, ".chain"), root.certificate + middle.certificate + server.certificate);
  assert.equal(format(root, "chain"), "");
  assert.equal(format(root, ".chain"), root.certificate);
  assert.deepEqual(format(server, "crt:der"), new Uint8Array(new X509Certificate(server.certificate).raw));
  for (const name of ["privatekey", "privatekey:pem", "privatekey:pkcs8:pem", ".key"])
    assert.equal(format(server, name), server.privateKey);
  assert.match(
    String(format(server)),
    /^-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/=]{1,64}\n-----END CERTIFICATE-----\n$/,
  );
  const der = format(server, "privatekey:der");
  assert(typeof der !== "string");
  assert.equal(createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" }).asymmetricKeyType, "ec");
});

test("SL-122 a certificate whose key stayed with the exporter has no :privatekey", () => {
  const imported = { ...certificateOf(valuesOf(chainSecrets("P-256")), "server"), privateKey: undefined };
  for (const name of ["privatekey", ".key", "pkcs12-with-private-key"])
    assert.throws(() => format(imported, name), { code: "PRIVATE_KEY_ABSENT", rule: "SL-122" });
});

const ALGORITHMS = [
  ["ES384", "P-384"],
  ["ES256", "P-256"],
  ["EdDSA", "Ed25519"],
  ["PS256", "RSA-2048"],
] as const;
for (const [algorithm, keyType] of ALGORITHMS) {
  test(`SL-104, SL-110 a token signed with ${algorithm} is verified by jose`, async () => {
    const session = sessionWith(
      `  - {name: k, kind: private-key, key_type: ${keyType}}\n  - {name: t, kind: jwt, signer: k, alg: ${algorithm}, validity: {for: 10m}, payload: {sub: me, code: "$$SCONE::self::software_identity$$"}}\n`,
    );
    const { values } = materialise(session, { now: NOW, random: systemRandomness });
    assert.equal(values.has("t"), false, "tokens are not stored (SL-104)");
    const [key, definition] = [values.get("k"), session.secrets[1]];
    assert(key?.kind === "private-key" && definition?.kind === "jwt" && definition.origin === "generated");
    const token = signJsonWebToken(definition, key, { now: NOW, replace: (placeholder) => `<${placeholder.slice(9, -2)}>` });
    const { payload, protectedHeader } = await jwtVerify(token, createPublicKey(key.pem), { currentDate: NOW });
    assert.deepEqual(protectedHeader, { alg: algorithm, typ: "JWT" });
    const issued = NOW.getTime() / 1000;
    assert.deepEqual(payload, { sub: "me", code: "<self::software_identity>", iat: issued, nbf: issued, exp: issued + 600 });
    assert.throws(() => signJsonWebToken(definition, undefined, { now: NOW, replace: String }), { code: "TOKEN_KEY" });
  });
}

const SHARING = `
  - {name: k, kind: private-key, export: [{session: shop/web}]}
  - {name: c, kind: x509, private_key: k, export: [{session: shop/web}, {session: shop/api}]}
  - {name: a, kind: ascii, export: [{namespace: shop}]}
  - {name: pinned, kind: ascii, export: [{session: shop/web, session_hash: ${"ab".repeat(32)}}]}
  - {name: own, kind: ascii}
`;

test("SL-136, SL-144, SL-145, SL-146, SL-147 an importer gets what is exported to it, with the key only if that is too; hazard C4", () => {
  const session = sessionWith(SHARING, "shop/db");
  const exporter = { session, sessionHash: "cd".repeat(32), values: materialise(session, { now: NOW, random: systemRandomness }).values };
  const ask = (name: string, secret: string, request: { sessionHash?: string; kind?: "ascii" | "binary" } = {}, hash = "00".repeat(32)) => {
    const result = exportedSecret(exporter, { secret, sessionHash: request.sessionHash, kind: request.kind }, { name, sessionHash: hash });
    return result.kind === "ok" ? result.value : result.reason;
  };
  const web = ask("shop/web", "c");
  const api = ask("shop/api", "c");
  assert(typeof web !== "string" && web.kind === "x509" && web.privateKey !== undefined);
  assert(typeof api !== "string" && api.kind === "x509" && api.privateKey === undefined && api.certificate === web.certificate);
  assert.deepEqual(api.chain, web.chain, "the chain travels with the certificate");
  assert.equal(ask("shop/api", "k"), "not exported");
  assert.equal(ask("shop/web", "own"), "not exported");
  assert.equal(ask("shop/web", "nothing"), "secret missing");
  assert.notEqual(typeof ask("shop/any/thing", "a"), "string");
  assert.notEqual(typeof ask("shop", "a"), "string");
  assert.equal(ask("shopping", "a"), "not exported");
  assert.equal(ask("shop/web", "pinned"), "hash differs");
  assert.notEqual(typeof ask("shop/web", "pinned", {}, "ab".repeat(32)), "string");
  assert.equal(ask("shop/web", "a", { sessionHash: "ef".repeat(32) }), "hash differs");
  assert.notEqual(typeof ask("shop/web", "a", { sessionHash: "cd".repeat(32) }), "string");
  assert.equal(ask("shop/web", "a", { kind: "binary" }), "kind differs");
});

test("SL-146 an export to a session on another CAS is for that CAS's key, and a local one for local sessions only", () => {
  const key = "4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q";
  const session = sessionWith(
    `  - {name: a, kind: ascii, export: [{session: x, cas_url: cas.example, cas_key: ${key}}]}\n  - {name: b, kind: ascii, export: [{session: x}]}\n`,
  );
  const exporter = { session, sessionHash: "", values: materialise(session, { now: NOW, random: systemRandomness }).values };
  const ask = (secret: string, keyHash?: string) =>
    exportedSecret(
      exporter,
      { secret, sessionHash: undefined, kind: undefined },
      { name: "x", sessionHash: "", cas: keyHash === undefined ? undefined : { keyHash, softwareKeyHash: undefined } },
    ).kind;
  assert.deepEqual([ask("a", key), ask("a"), ask("a", "other"), ask("b"), ask("b", key)], ["ok", "refused", "refused", "ok", "refused"]);
});

test("generation is a function of its randomness: the same bytes give the same values", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const fixed: Randomness = { bytes: (count) => new Uint8Array(count).fill(65), privateKey: () => privateKey };
  const secrets = "  - {name: a, kind: ascii}\n  - {name: b, kind: binary}\n  - {name: p, kind: pgp-key}\n";
  assert.deepEqual(valuesOf(secrets, { random: fixed }).values, valuesOf(secrets, { random: fixed }).values);
});

const working = systemRandomness;
const broken: readonly { readonly what: string; readonly random: Randomness; readonly says: RegExp }[] = [
  { what: "only zeros", random: { ...working, bytes: (count) => new Uint8Array(count) }, says: /same byte again/ },
  {
    what: "the same bytes each time",
    random: { ...working, bytes: (count) => Uint8Array.from({ length: count }, (_, at) => at) },
    says: /same bytes again/,
  },
  { what: "too few bytes", random: { ...working, bytes: (count) => working.bytes(count - 1) }, says: /2499 bytes instead of 2500/ },
  {
    what: "too many ones",
    random: { ...working, bytes: (count) => working.bytes(count).map((byte) => byte | 1) },
    says: /ones in 20000 bits/,
  },
  {
    what: "the same key each time",
    random: {
      ...working,
      privateKey: (
        (key) => () =>
          key
      )(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey),
    },
    says: /same key again/,
  },
];
for (const { what, random, says } of broken) {
  test(`hazard D7: a generator that gives ${what} is found before anything is made with it`, () => {
    assert.throws(() => testRandomness(random), { name: "RandomnessError", message: says });
  });
}

test("hazard D7: values made while the generator breaks are not used", () => {
  const stuck = watchedRandomness({ ...working, bytes: (count) => new Uint8Array(count).fill(7) });
  assert.throws(() => valuesOf("  - {name: a, kind: binary, size: 32}\n", { random: stuck }), { name: "RandomnessError" });
  testRandomness(working);
});

test("certificate control: subject, usages, name constraints, path length, URIs and end are as written", () => {
  const made = valuesOf(`  - {name: k, kind: private-key}
  - {name: ca, kind: x509-ca, private_key: k, common_name: Root, x509: {subject: {O: Acme, C: DE}, max_path_len: 0, name_constraints: {permitted_dns: [shop.example]}, not_after: 2030-01-01T00:00:00Z}}
  - {name: c, kind: x509, private_key: k, issuer: ca, san: "dns:a.shop.example", x509: {ext_key_usage: [serverAuth, clientAuth], uris: ["spiffe://shop.example/a"]}}
`);
  const [ca, leaf] = ["ca", "c"].map((name) => new X509Certificate(certificateOf(made, name).certificate));
  assert(ca && leaf);
  assert.equal(ca.subject, "C=DE\nO=Acme\nCN=Root");
  assert.equal(new Date(ca.validTo).toISOString(), "2030-01-01T00:00:00.000Z");
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(leaf.subjectAltName, "DNS:a.shop.example, URI:spiffe://shop.example/a");
  assert(leaf.verify(ca.publicKey));
});

test("a signature made with a delivered key verifies with the delivered certificate", () => {
  const made = valuesOf(chainSecrets("Ed25519"));
  const { certificate, privateKey } = certificateOf(made, "server");
  const parsed = new X509Certificate(certificate);
  assert(privateKey !== undefined && parsed.checkPrivateKey(createPrivateKey(privateKey)));
  const message = Buffer.from("hello");
  assert(verify(null, message, parsed.publicKey, sign(null, message, privateKey)));
});

test("extension: a rotating secret gets a new value when due, keeps the last ones, and its certificates follow", () => {
  const secrets =
    "  - {name: a, kind: ascii, rotate: {every: 10d, keep: 2}}\n  - {name: b, kind: binary, size: 4, rotate: {every: 10d}}\n  - {name: k, kind: private-key, rotate: {every: 30d, keep: 0}}\n  - {name: c, kind: x509, private_key: k}\n  - {name: p, kind: public-key, private_key: k}\n";
  const session = sessionWith(secrets);
  const renew = (values: ReadonlyMap<string, StoredSecret>, at: Date) =>
    renewCertificates(session, values, { now: at, random: systemRandomness })?.values;
  const first = valuesOf(secrets).values;
  assert.equal(renew(first, later(10 * DAY - 1)), undefined);
  const second = renew(first, later(10 * DAY));
  assert(second !== undefined);
  assert.notEqual(format(second.get("a")), format(first.get("a")));
  assert.equal(format(second.get("a"), "previous"), format(first.get("a")));
  assert.equal(format(second.get("b"), "previous:hex"), format(first.get("b"), "hex"));
  assert.deepEqual([second.get("k"), second.get("c")], [first.get("k"), first.get("c")]);
  const third = renew(second, later(30 * DAY));
  assert(third !== undefined);
  assert.notDeepEqual(third.get("c"), first.get("c"));
  assert.notDeepEqual(third.get("p"), first.get("p"));
  const a = third.get("a");
  assert(a?.kind === "ascii" && a.previous?.length === 2);
  assert.equal(renew(third, later(30 * DAY)), undefined);
});
