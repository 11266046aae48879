import assert from "node:assert/strict";
import { test } from "node:test";
import {
  explainAttestation,
  hostArgument,
  type JsonValue,
  normaliseSession,
  parseConfigId,
  type Resolved,
  resolveAttestation,
  resolveOtpSecret,
  resolvePlatforms,
  resolveSecurity,
  resolveSessionName,
  totp,
  verifyTotp,
} from "../src/index.ts";
import { A, accepted, B, clean, KEY, refusedBy, SERVICE, TAG, warnedBy } from "./documents.ts";

const serviceWith = (rest: string) => `services: [{${SERVICE}, ${rest}}]`;
const commandOf = (command: string) =>
  accepted(`services: [{name: s, command: ${command}, pwd: /, attestation: {mrenclave: ${A}}}]`).services[0]?.command;
const attested = (attestation: string) => `services: [{name: s, command: x, pwd: /, attestation: ${attestation}}]`;

test("SL-37, SL-38 names: components, lengths, dots and slashes", () => {
  for (const name of ["a", "a/b/c", "A-Z_0.9~", "/", `${"x".repeat(128)}`, `${"x/".repeat(255)}x`, "..."])
    clean(`version: "0.3.12"\nname: ${name}\n`);
  for (const name of ["x".repeat(129), `${"x/".repeat(256)}x`, "ä", "a b", '""', "a:b"])
    refusedBy("SL-37", `version: "0.3.12"\nname: ${name}\n`);
  for (const name of ["a//b", "a/", "/a", "a/../b", ".", "a/."]) refusedBy("SL-38", `version: "0.3.12"\nname: ${name}\n`);
});

test("SL-44, SL-48, SL-49 namespace hash, predecessor and salt have exact lengths", () => {
  clean(`namespace_hash: ${A}`);
  refusedBy("SL-17", `namespace_hash: ${TAG}`);
  clean(`namespace_hash: ${A}\npredecessor: ~`);
  refusedBy("SL-17", `salt: ${A}`);
});

test("SL-55, SL-57 name, command and pwd are required; commands are not empty", () => {
  refusedBy("SL-55", `services: [{name: s, command: x, attestation: {mrenclave: ${A}}}]`);
  for (const command of ["[]", '""', '"  "', '[""]', "'\"\" a'", `'a "b'`, `"a 'b"`])
    refusedBy("SL-57", `services: [{name: s, command: ${command}, pwd: /, attestation: {mrenclave: ${A}}}]`);
  refusedBy("SL-14", `services: [{name: s, command: ~, pwd: /, attestation: {mrenclave: ${A}}}]`);
});

test("SL-56 a command string is split at white space, with quotes and two escapes", () => {
  assert.deepEqual(commandOf(`'python3  app.py	--a="b c"d'`), ["python3", "app.py", "--a=b cd"]);
  assert.deepEqual(commandOf(`"a 'b \\"c' d"`), ["a", 'b "c', "d"]);
  assert.deepEqual(commandOf(JSON.stringify(String.raw`a "x\"y\\z\n" '' b\c $HOME ~ *`)), [
    "a",
    'x"y\\z\\n',
    "",
    "b\\c",
    "$HOME",
    "~",
    "*",
  ]);
  assert.deepEqual(commandOf(`["a b", "", '"']`), ["a b", "", '"']);
});

test("SL-59 variables have names without = and text values", () => {
  refusedBy("SL-59", serviceWith('environment: {"": x}'));
  refusedBy("SL-59", serviceWith('environment: {"@@": x}'));
  refusedBy("SL-14", serviceWith("environment: {A: [x]}"));
});

test("SL-60 variables that act too early are warned of, not as host variables", () => {
  for (const name of ["SCONE_HEAP", "SCONE_CAS_ADDR", "SCONE_CONFIG_ID"]) warnedBy("SL-60", serviceWith(`environment: {${name}: x}`));
  clean(serviceWith('environment: {"@@SCONE_HEAP": ""}'));
});

test("SL-62, SL-80, SL-84, SL-88 attestation is needed unless the mode is none, which warns", () => {
  refusedBy("SL-62", 'services: [{name: s, command: x, pwd: /, platforms: ["INTEL_QE_ID:0011223344556677889900aabbccddee"]}]');
  warnedBy("SL-88", "security: {attestation: {mode: none}}\nservices: [{name: s, command: x, pwd: /}]");
  warnedBy("SL-80", `security: {attestation: {mode: none}}\n${serviceWith("environment: {}")}`);
  warnedBy("SL-84", `security: {attestation: {mode: none}}\n${serviceWith('platforms: ["INTEL_QE_ID:0011223344556677889900aabbccddee"]')}`);
});

test("SL-63, SL-64 the file system's path, key and tag come together", () => {
  clean(serviceWith(`fspf_path: /f, fspf_key: ${A}, fspf_tag: ${TAG}`));
  refusedBy("SL-63", serviceWith(`fspf_key: ${A}`));
  refusedBy("SL-63", serviceWith("fspf_update_policy: no_rollback_protection"));
  refusedBy("SL-63", serviceWith(`fspf_path: /f, fspf_key: ${A}`));
  warnedBy("SL-64", serviceWith(`fspf_path: /f, fspf_key: ${A}, fspf_update_policy: no_rollback_protection`));
});

test("SL-65 a referenced key is a binary secret of 32 bytes", () => {
  const keyed = (secret: string) => `${serviceWith(`fspf_path: /f, fspf_key: "$$SCONE::k$$", fspf_tag: ${TAG}`)}\nsecrets: [${secret}]`;
  clean(keyed("{name: k, kind: binary, size: 32}"));
  clean(keyed(`{name: k, kind: binary, value: ${A}}`));
  clean(keyed("{name: k, import: {session: o, secret: a}}"));
  refusedBy("SL-65", keyed("{name: k, kind: ascii, size: 32}"));
  refusedBy("SL-65", keyed(`{name: k, kind: binary, value: ${TAG}}`));
});

test("SL-66, SL-67, SL-70 host arguments are whole arguments, each number once", () => {
  clean(`services: [{name: s, command: [x, "@@1", '\\@\\@3'], pwd: /, attestation: {mrenclave: ${A}}}]`);
  warnedBy("SL-66", `services: [{name: s, command: [x, "a@@1"], pwd: /, attestation: {mrenclave: ${A}}}]`);
  refusedBy("SL-67", `services: [{name: s, command: [x, "@@0"], pwd: /, attestation: {mrenclave: ${A}}}]`);
  refusedBy("SL-67", `services: [{name: s, command: [x, "@@1", '\\@\\@1'], pwd: /, attestation: {mrenclave: ${A}}}]`);
  assert.deepEqual(["@@1", "\\@\\@12", "@@x", "a@@1", "@@1 "].map(hostArgument), [1, 12, undefined, undefined, undefined]);
});

test("SL-69, SL-72 host variables are marked, their values ignored, and some names are dangerous", () => {
  const { services } = clean(serviceWith('environment: {"@@TZ": "", \\@\\@LANG: ""}'));
  assert.deepEqual(services[0]?.environment, [
    { name: "TZ", value: "", fromHost: true },
    { name: "LANG", value: "", fromHost: true },
  ]);
  warnedBy("SL-69", serviceWith('environment: {"@@TZ": utc}'));
  for (const name of ["LD_PRELOAD", "PYTHONPATH", "NODE_OPTIONS"]) warnedBy("SL-72", serviceWith(`environment: {"@@${name}": ""}`));
});

test("SL-71 a plain @ gets the hint to quote it, also in block lists", () => {
  assert.match(refusedBy("SL-71", "services:\n  - name: s\n    command:\n      - x\n      - @@1\n").hint, /"@@1"/);
});

test("SL-73, SL-74, SL-75 variants and signers", () => {
  clean(attested(`[{mrenclave: [${A}, ${B}]}, {signer: {mrsigner: ${A}, isvprodid: 0}}]`));
  for (const bad of ["{}", "[]", "[{}]", "{mrenclave: []}"]) refusedBy("SL-73", attested(bad));
  refusedBy("SL-74", attested(`{signer: {mrsigner: ${A}}}`));
  refusedBy("SL-74", attested("{signer: {isvprodid: 1}}"));
  refusedBy("SL-75", attested(`{signer: {mrsigner: ${A}, isvprodid: 1, isvsvn: 1, isvsvn_max: 2}}`));
  clean(attested(`{signer: {mrsigner: ${A}, isvprodid: 1, isvsvn_min: 2, isvsvn_max: 2}}`));
});

test("SL-76 the reading tells AND from OR", () => {
  const read = (text: string) => explainAttestation(accepted(attested(text)).services[0] ?? assert.fail());
  assert.equal(
    read(`{mrenclave: [${A}, ${B}], signer: {mrsigner: ${A}, isvprodid: 1, isvsvn_min: 3}}`),
    "admits: (mrenclave in 2 values AND signer 9f0c2e6a… product 1, version ≥ 3)",
  );
  assert.equal(read(`[{mrenclave: ${A}}, {mrenclave: ${B}}]`), "admits: mrenclave 9f0c2e6a… OR mrenclave 41d7e09c…");
});

const fragment = (value: string, name = "f") => `secrets: [{name: ${name}, kind: config-fragment, value: ${value}}]`;
const attestationOf = (body: string, lookup: (name: string) => JsonValue | undefined = () => undefined) =>
  resolveAttestation(accepted(body).services[0] ?? assert.fail(), lookup);

test("SL-77 a placeholder stands for a whole attestation, an item, a factor or a field; lists are spliced in", () => {
  const values: Record<string, JsonValue> = {
    all: [{ mrenclave: A }, { mrenclave: [B] }],
    item: { mrenclave: B },
    list: [A, B],
    one: A,
    signer: { mrsigner: A, isvprodid: 7 },
    number: "7",
  };
  const lookup = (name: string) => values[name];
  const imports = `secrets: [${Object.keys(values)
    .map((name) => `{name: ${name}, import: {session: o}}`)
    .join(", ")}]`;
  const resolved = (text: string) =>
    attestationOf(`${attested(text)}\n${imports}`, lookup).map((one) => (one.kind === "ok" ? one.value : one.reason));
  const variant = (mrenclave: string[]) => ({ mrenclave, signer: undefined });
  assert.deepEqual(resolved('"$$SCONE::all$$"'), [variant([A]), variant([B])]);
  assert.deepEqual(resolved(`["$$SCONE::all$$", {mrenclave: ${A}}]`), [variant([A]), variant([B]), variant([A])]);
  assert.deepEqual(resolved('["$$SCONE::item$$"]'), [variant([B])]);
  assert.deepEqual(resolved('{mrenclave: "$$SCONE::list$$"}'), [variant([A, B])]);
  assert.deepEqual(resolved(`{mrenclave: [${B}, "$$SCONE::one$$"]}`), [variant([B, A])]);
  const signer = { mrsigner: A, isvprodid: 7, isvsvn: undefined, isvsvnMin: undefined, isvsvnMax: undefined };
  assert.deepEqual(resolved('{signer: "$$SCONE::signer$$"}'), [{ mrenclave: undefined, signer }]);
  assert.deepEqual(resolved('{signer: {mrsigner: "$$SCONE::one$$", isvprodid: "$$SCONE::number$$"}}'), [{ mrenclave: undefined, signer }]);
});

test("SL-77 an explicit fragment is checked where it is used, an imported one at delivery", () => {
  clean(`${attested('"$$SCONE::f$$"')}\n${fragment(`[{mrenclave: ${A}}]`)}`);
  refusedBy("SL-77", `${attested('"$$SCONE::f$$"')}\n${fragment("[{mrenclave: 12}]")}`);
  refusedBy("SL-77", `security: "$$SCONE::f$$"\nservices: [{${SERVICE}}]\n${fragment("{attestation: {mode: sim}}")}`);
});

test("SL-78 a variant that cannot be resolved counts as not satisfied, the others remain", () => {
  const [first, second] = attestationOf(
    `${attested(`["$$SCONE::gone$$", {mrenclave: ${A}}]`)}\nsecrets: [{name: gone, import: {session: o}}]`,
  );
  assert.deepEqual(first, { kind: "unresolved", reason: "secret gone is not available", missing: true });
  assert.equal(second?.kind, "ok");
  const [wrong] = attestationOf(`${attested('"$$SCONE::w$$"')}\nsecrets: [{name: w, import: {session: o}}]`, () => ({
    mrenclave: "secret-value",
  }));
  assert(wrong?.kind === "unresolved" && !wrong.reason.includes("secret-value"));
});

test("SL-77, SL-78 what cannot be resolved never counts as resolved, and the reason names the place and no value", () => {
  const session = accepted(
    `security: {attestation: {tolerate: "$$SCONE::f$$"}}\n${serviceWith('platforms: ["$$SCONE::f$$"], one_time_password_shared_secret: "$$SCONE::o$$"')}\nsecrets: [{name: f, import: {session: o}}, {name: o, import: {session: o}}]`,
  );
  const [service = assert.fail()] = session.services;
  const missing = () => undefined;
  const wrong = () => ["canary"];
  const secure = resolveSecurity(session, service, () => []);
  assert(secure.kind === "ok");
  for (const lookup of [missing, wrong]) {
    const results: readonly Resolved<unknown>[] = [
      resolvePlatforms(service, lookup),
      resolveSecurity(session, service, lookup),
      resolveOtpSecret(service, secure.value, lookup),
    ];
    for (const result of results) {
      assert(result.kind === "unresolved" && result.missing === (lookup === missing), JSON.stringify(result));
      assert(result.reason !== "" && !result.reason.includes("canary"));
    }
  }
  const platform = resolvePlatforms(service, wrong);
  assert(platform.kind === "unresolved");
  assert.match(platform.reason, /^\[0\]: a value that is not /);
});

test("SL-79 mrenclaves is the old spelling", () => {
  const { services } = clean(`services: [{name: s, command: x, pwd: /, mrenclaves: [${A}]}]`);
  assert.deepEqual(services[0]?.attestation, [{ mrenclave: [A], signer: undefined }]);
});

test("SL-82, SL-83, SL-87 platforms have a kind and exact digits", () => {
  const items = [
    "INTEL_QE_ID:0011223344556677889900AABBCCDDEE",
    `SNP_CHIP_ID:${A}${B}`,
    "TDX_QE_ID:0011223344556677889900aabbccddee",
    `TPM_EK:${A}`,
    `NODE_KEY:${KEY}`,
  ];
  const session = clean(serviceWith(`platforms: [${items.map((item) => JSON.stringify(item)).join(", ")}]`));
  assert.equal(session.services[0]?.platforms[0], "INTEL_QE_ID:0011223344556677889900aabbccddee");
  refusedBy("SL-82", serviceWith("platforms: []"));
  refusedBy("SL-82", serviceWith('platforms: ["OTHER:00"]'));
  refusedBy("SL-83", serviceWith(`platforms: [${B}]`));
  refusedBy("SL-87", serviceWith(`platforms: ["SNP_CHIP_ID:${A}"]`));
  refusedBy("SL-87", serviceWith('platforms: ["NODE_KEY:abc"]'));
  const imported = accepted(`${serviceWith('platforms: ["$$SCONE::p$$"]')}\nsecrets: [{name: p, import: {session: o}}]`);
  const [service = assert.fail()] = imported.services;
  assert.deepEqual(
    resolvePlatforms(service, () => [`TPM_EK:${A}`]),
    { kind: "ok", value: [`TPM_EK:${A}`] },
  );
});

test("SL-86 evidence kinds: simulated warns, unknown ones are refused, the default is hardware only", () => {
  const session = warnedBy("SL-86", "security: {attestation: {evidence: [simulated]}}");
  assert.equal(session.severity, "warning");
  refusedBy("SL-86", "security: {attestation: {evidence: [tdxx]}}");
  refusedBy("SL-86", "security: {attestation: {evidence: []}}");
  const effective = resolveSecurity(
    accepted(serviceWith("environment: {}")),
    accepted(serviceWith("environment: {}")).services[0] ?? assert.fail(),
    () => undefined,
  );
  assert(effective.kind === "ok");
  assert.deepEqual(effective.value.attestation.evidence, ["sgx", "tdx", "snp", "nitro"]);
});

test("SL-89, SL-90, SL-91 advisories and tolerated weaknesses", () => {
  clean("security: {attestation: {ignore_advisories: [INTEL-SA-00161, INTEL-SA-00161], tolerate: [outdated-tcb]}}");
  clean('security: {attestation: {ignore_advisories: "*", tolerate: [debug-mode]}}');
  refusedBy("SL-90", 'security: {attestation: {ignore_advisories: ["*"]}}');
  warnedBy("SL-91", "security: {attestation: {tolerate: [debug]}}");
  const { security } = accepted("security: {attestation: {tolerate: [outdated-tcb, outdated-tcb]}}");
  assert(!("text" in security) && !("text" in security.attestation));
  assert.deepEqual(security.attestation.tolerate, ["outdated-tcb"]);
  warnedBy("SL-91", "security: {attestation: {tolerate: [outdated-tcb, outdated-tcb]}}");
});

test("SL-88, SL-92 maa and local attestation need what they need", () => {
  clean('security: {attestation: {mode: maa, tolerate: [maa-managed-tcb], url: "https://a.b.attest.azure.net/"}}');
  refusedBy("SL-88", "security: {attestation: {mode: maa, tolerate: [maa-managed-tcb]}}");
  refusedBy("SL-88", 'security: {attestation: {url: "https://a.b.attest.azure.net"}}');
  refusedBy("SL-88", 'security: {attestation: {mode: maa, tolerate: [maa-managed-tcb], url: "http://a.b.attest.azure.net"}}');
  clean("security: {attestation: {must_be_sgx_local: true, tolerate: [local-attestation-trust-cas-tcb]}}");
  refusedBy("SL-92", "security: {attestation: {mode: none, must_be_sgx_local: true, tolerate: [local-attestation-trust-cas-tcb]}}");
  warnedBy("SL-88", "security: {attestation: {min_rsa_signing_key_size: 3072}}");
});

test("SL-95 short tokens are warned of", () => {
  warnedBy("SL-95", "security: {service_access_token: short}");
  clean("security: {service_access_token: a-token-of-enough-length}");
});

test("a service's own section can only be stricter, unless the session allows otherwise", () => {
  const own = (general: string, mine: string) =>
    `security: {attestation: {${general}}}\n${serviceWith(`security: {attestation: {${mine}}}`)}`;
  const effective = (body: string) => {
    const session = accepted(body);
    const resolved = resolveSecurity(session, session.services[0] ?? assert.fail(), () => undefined);
    return resolved.kind === "ok" ? resolved.value.attestation.tolerate : [];
  };
  assert.deepEqual(effective(own("tolerate: [outdated-tcb, hyperthreading]", "tolerate: [outdated-tcb]")), ["outdated-tcb"]);
  assert.deepEqual(effective(own("tolerate: [outdated-tcb]", "mode: hardware")), []);
  refusedBy("SL-91", own("tolerate: [outdated-tcb]", "tolerate: [debug-mode]"));
  assert.deepEqual(effective(own("services_may_relax: true", "tolerate: [outdated-tcb]")), ["outdated-tcb"]);
});

test("a service's own section: the stricter mode and the fewer advisories hold, and one that cannot be resolved refuses", () => {
  const rules = (general: string, mine: string) => {
    const session = accepted(`security: {attestation: {${general}}}\n${serviceWith(`security: {attestation: {${mine}}}`)}`);
    const resolved = resolveSecurity(session, session.services[0] ?? assert.fail(), () => undefined);
    assert(resolved.kind === "ok");
    return resolved.value.attestation;
  };
  assert.equal(rules("mode: none", "mode: hardware").mode, "hardware");
  const beyond = (rule: string, general: string, mine: string) =>
    refusedBy(rule, `security: {attestation: {${general}}}\n${serviceWith(`security: {attestation: {${mine}}}`)}`);
  beyond("SL-88", "mode: hardware", "mode: none");
  const all = 'ignore_advisories: "*", tolerate: [debug-mode]';
  const one = "ignore_advisories: [INTEL-SA-00161]";
  assert.deepEqual(rules(all, one).ignoreAdvisories, ["INTEL-SA-00161"]);
  beyond("SL-89", `tolerate: [debug-mode], ${one}`, all);
  beyond("SL-89", one, "ignore_advisories: [INTEL-SA-00289]");
  assert.equal(rules(all, all).ignoreAdvisories, "*");
  beyond("SL-86", "evidence: [sgx, node]", "evidence: [node, tpm]");
  assert.deepEqual(rules("evidence: [sgx, node]", "evidence: [node]").evidence, ["node"]);
  assert.deepEqual(
    rules("evidence: [sgx, node]", "must_be_sgx_local: false").evidence,
    ["sgx", "node"],
    "kinds that are not named are the session's",
  );
  assert.deepEqual(rules("evidence: [tpm], services_may_relax: true", "tolerate: [outdated-tcb]").evidence, ["tpm"]);
  const session = accepted(`${serviceWith('security: "$$SCONE::f$$"')}\nsecrets: [{name: f, import: {session: o}}]`);
  assert.equal(resolveSecurity(session, session.services[0] ?? assert.fail(), () => undefined).kind, "unresolved");
});

const RFC6238_SECRET = Buffer.from("12345678901234567890");
// RFC 6238 appendix B, SHA-1 rows: seconds since the epoch and the eight-digit value.
const RFC6238 = [
  [59, "94287082"],
  [1111111109, "07081804"],
  [1111111111, "14050471"],
  [1234567890, "89005924"],
  [2000000000, "69279037"],
  [20000000000, "65353130"],
] as const;

test("SL-97 one-time passwords are those of RFC 6238", () => {
  for (const [seconds, value] of RFC6238) assert.equal(totp(RFC6238_SECRET, Math.floor(seconds / 30), 8), value);
});

test("SL-97 the current and the previous step are accepted, each once; used and wrong differ", () => {
  const now = new Date(3_000_000_000_000);
  const step = 100_000_000;
  const verify = (at: number, lastUsedStep?: number) => verifyTotp(totp(RFC6238_SECRET, at), RFC6238_SECRET, { now, lastUsedStep });
  assert.deepEqual(verify(step), { kind: "ok", step });
  assert.deepEqual(verify(step - 1), { kind: "ok", step: step - 1 });
  assert.deepEqual(verify(step - 2), { kind: "wrong" });
  assert.deepEqual(verify(step + 1), { kind: "wrong" });
  assert.deepEqual(verify(step, step), { kind: "used" });
  assert.deepEqual(verify(step - 1, step), { kind: "used" });
  assert.deepEqual(verifyTotp("", RFC6238_SECRET, { now, lastUsedStep: undefined }), { kind: "wrong" });
});

test("SL-96 a secret by reference is base32 text, or bytes in base32; the service's own wins", () => {
  const otp = (secret: string, format = "") =>
    `security: {attestation: {one_time_password_shared_secret: "$$SCONE::o${format}$$"}}\n${serviceWith("environment: {}")}\nsecrets: [${secret}]`;
  clean(otp("{name: o, kind: ascii, value: JBSWY3DPEHPK3PXPJBSWY3DPEH}"));
  clean(otp("{name: o, kind: binary, size: 16}", ":base32nopad"));
  refusedBy("SL-96", otp("{name: o, kind: binary, size: 10}", ":base32nopad"));
  refusedBy("SL-96", otp("{name: o, kind: binary}"));
  refusedBy("SL-96", otp("{name: o, kind: ascii}"));
  const session = accepted(
    `security: {attestation: {one_time_password_shared_secret: jbswy3dpehpk3pxpjbswy3dpeh======}}\n${serviceWith("one_time_password_shared_secret: KRSXG5CTMVRXEZLUKRSXG5CTMV")}`,
  );
  const [service = assert.fail()] = session.services;
  const effective = resolveSecurity(session, service, () => undefined);
  assert(effective.kind === "ok");
  assert.equal(effective.value.attestation.oneTimePasswordSecret, "JBSWY3DPEHPK3PXPJBSWY3DPEH");
  assert.deepEqual(
    resolveOtpSecret(service, effective.value, () => undefined),
    { kind: "ok", value: "KRSXG5CTMVRXEZLUKRSXG5CTMV" },
  );
});

test("SL-98 the password follows the last @, the service the last slash before it", () => {
  assert.deepEqual(parseConfigId("a/b/web@123456"), { session: "a/b", service: "web", password: "123456" });
  assert.deepEqual(parseConfigId("a/web"), { session: "a", service: "web", password: undefined });
  for (const bad of ["web", "/web", "a/", "", "@1"]) assert.equal(parseConfigId(bad), undefined);
});

test("SL-139, SL-140 names in references are absolute unless they begin with dots", () => {
  const resolve = (name: string, from = "team/app") => {
    const resolved = resolveSessionName(name, from);
    return "rule" in resolved ? resolved.rule : resolved.name;
  };
  assert.deepEqual(
    ["db", "./x", "../x", "..", "../../x", "../..", "./a/../b", "."].map((name) => resolve(name)),
    ["db", "team/app/x", "team/x", "team", "x", "/", "team/app/b", "team/app"],
  );
  assert.deepEqual(
    ["../../../x", "./a b", "./a//b"].map((name) => resolve(name)),
    ["SL-140", "SL-37", "SL-38"],
  );
  assert.equal(resolve("./x", "/"), "x");
});

test("SL-50 a service in normal form keeps what was said and nothing else", () => {
  const { services } = normaliseSession(clean(serviceWith(`image_name: i, environment: {B: "1", "@@A": ""}`) + "\nimages: [{name: i}]"), {
    unknownCreator: "omit",
  });
  assert.deepEqual(services, [
    { name: "s", command: ["x"], environment: { B: "1", "@@A": "" }, pwd: "/", image_name: "i", attestation: [{ mrenclave: [A] }] },
  ]);
});

test("SL-85 a variant names facts of one kind of evidence: registers, host data, least versions", () => {
  const [a32, a48] = ["ab".repeat(32), "AB".repeat(48)];
  const read = (text: string) => accepted(attested(text)).services[0]?.attestation[0];
  assert.deepEqual(read(`{tpm: {pcrs: {7: ${a32}, "15": [${a32}, ${A}]}}}`), {
    mrenclave: undefined,
    signer: undefined,
    hardware: { kind: "tpm", values: { pcr7: [a32], pcr15: [a32, A] }, minimumTcb: {} },
  });
  assert.deepEqual(read(`{snp: {measurement: ${a48}, minimum_tcb: {boot_loader: 4, microcode: 219}}}`), {
    mrenclave: undefined,
    signer: undefined,
    hardware: { kind: "snp", values: { measurement: ["ab".repeat(48)] }, minimumTcb: { bootLoader: 4, microcode: 219 } },
  });
  const snp = "{snp: {vmpl: [0, 1], product: Genoa, signing_key: VCEK, platform: [alias-check, smt-off]}}";
  assert.deepEqual(read(snp), {
    mrenclave: undefined,
    signer: undefined,
    hardware: {
      kind: "snp",
      values: { vmpl: ["0", "1"], product: ["Genoa"], signing_key: ["VCEK"] },
      platform: ["alias-check", "smt-off"],
      minimumTcb: {},
    },
  });
  const a8 = "00000010000000e7";
  assert.deepEqual(read(`{tdx: {td_attributes: ${a8}, xfam: ${a8}, minimum_tcb: {module_version: 3, module_svn: 5, microcode: 2}}}`), {
    mrenclave: undefined,
    signer: undefined,
    hardware: {
      kind: "tdx",
      values: { td_attributes: [a8], xfam: [a8] },
      minimumTcb: { moduleVersion: 3, moduleSvn: 5, microcode: 2 },
    },
  });
  assert.deepEqual(read("{snp: {guest_policy: [smt-off, single-socket], guest_svn_min: 7}}"), {
    mrenclave: undefined,
    signer: undefined,
    hardware: { kind: "snp", values: {}, minimumTcb: {}, guestPolicy: ["smt-off", "single-socket"], minimumSvn: 7 },
  });
  clean(attested(`[{sgx: {config_svn_min: 2, isvfamilyid: ${"0".repeat(32)}}, mrenclave: ${A}}, {tpm: {firmware_version: ${a8}}}]`));
  clean(attested(`{tdx: {mrtd: ${a48}, rtmr3: [${a48}], mrconfigid: ${a48}}, image: "sha256:${a32}"}`));
  clean(attested(`[{sgx: {config_id: ${"0".repeat(128)}}, mrenclave: ${A}}, {nitro: {pcrs: {0: ${a48}}}}]`));
  clean(`${attested('{tpm: {pcrs: {7: "$$SCONE::pcr$$"}}}')}\nsecrets: [{name: pcr, import: {session: o}}]`);
  for (const bad of [
    "{tpm: {pcrs: {}}}",
    "{tpm: {}}",
    `{tpm: {pcrs: {24: ${a32}}}}`,
    `{tpm: {pcrs: {07: ${a32}}}}`,
    `{tpm: {pcrs: {7: ${a48}}}}`,
    "{tpm: {pcrs: {7: []}}}",
    `{nitro: {pcrs: {32: ${a48}}}}`,
    `{tdx: {mrtd: ${a48}}, snp: {measurement: ${a48}}}`,
    "{snp: {minimum_tcb: {}}}",
    "{snp: {vmpl: 4}}",
    "{snp: {vmpl: []}}",
    "{snp: {product: genoa}}",
    "{snp: {platform: [alias_check]}}",
    "{snp: {platform: []}}",
    "{snp: {minimum_tcb: {microcode: 256}}}",
    "{snp: {guest_policy: [smt]}}",
    "{snp: {guest_svn_min: 4294967296}}",
    "{sgx: {config_svn_min: 65536}}",
    "{tdx: {minimum_tcb: {}}}",
    "{tdx: {minimum_tcb: {microcode: 256}}}",
    "{tdx: {xfam: 00}}",
    `{image: "${a32}"}`,
    "{image: []}",
  ])
    refusedBy("SL-85", attested(bad));
  refusedBy("SL-12", attested(`{tdx: {mrtdx: ${a48}}}`));
  refusedBy("SL-12", attested("{tdx: {minimum_tcb: {boot_loader: 1}}}"));
});

test("SL-85, SL-50 such facts are read in words and keep their spelling in the normal form", () => {
  const guest = attested("{snp: {vmpl: 0, product: [Genoa, Turin], platform: alias-check}}");
  assert.equal(
    explainAttestation(accepted(guest).services[0] ?? assert.fail()),
    "admits: (snp product in 2 values AND snp vmpl 0 AND snp platform with alias-check)",
  );
  const normal = normaliseSession(clean(guest), { unknownCreator: "omit" });
  const attestation = [{ snp: { product: ["Genoa", "Turin"], vmpl: [0], platform: ["alias-check"] } }];
  assert.deepEqual((normal.services as { attestation: object[] }[])[0]?.attestation, attestation);
  for (const [written, reading] of [
    [
      { snp: { guest_policy: ["single-socket"], guest_svn_min: 7, minimum_tcb: { boot_loader: 4 } } },
      "admits: (snp guest policy with single-socket AND snp TCB boot_loader ≥ 4 AND snp guest_svn ≥ 7)",
    ],
    [{ tdx: { minimum_tcb: { module_version: 3, module_svn: 5 } } }, "admits: (tdx TCB module_version ≥ 3 AND tdx TCB module_svn ≥ 5)"],
    [{ sgx: { config_svn_min: 2 } }, "admits: sgx config_svn ≥ 2"],
  ] as const) {
    const minima = attested(JSON.stringify(written));
    assert.equal(explainAttestation(accepted(minima).services[0] ?? assert.fail()), reading);
    const kept = normaliseSession(clean(minima), { unknownCreator: "omit" });
    assert.deepEqual((kept.services as { attestation: object[] }[])[0]?.attestation, [written]);
  }
  const text = attested(`{tpm: {pcrs: {7: ${A}}}, image: "sha256:${A}"}`);
  assert.equal(explainAttestation(accepted(text).services[0] ?? assert.fail()), "admits: (image 9f0c2e6a… AND tpm pcr7 9f0c2e6a…)");
  const { services } = normaliseSession(clean(text), { unknownCreator: "omit" });
  assert.deepEqual((services as { attestation: object[] }[])[0]?.attestation, [{ image: [`sha256:${A}`], tpm: { pcrs: { 7: [A] } } }]);
});

test("SL-12 extension counters: refused by name, because no CAS would count", () => {
  const { message, path } = refusedBy("SL-12", "counters: [{name: invoices, scope: service}]");
  assert.match(message, /needs counters in the CAS, which this version does not have/);
  assert.equal(path, "counters");
});

test("SL-197 extension network: declared connections are refused by name, because no shield would carry them out", () => {
  const { message, path } = refusedBy("SL-197", serviceWith("network: {default: refuse}"));
  assert.match(message, /needs a network shield, which the runtime does not have/);
  assert.equal(path, "services[0].network");
});
