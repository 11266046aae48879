import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import {
  accessRule,
  accessRuleForm,
  applySessionPatch,
  evaluateAccess,
  type JsonValue,
  keyHashOf,
  type Operation,
  parseSession,
  parseSessionPatch,
  patchBetween,
  renderDecision,
  renderDiagnostics,
  sessionHash,
  uploaderLockedOut,
} from "../src/index.ts";
import { A, accepted, B, clean, documentOf, KEY, refusedBy, SERVICE, TAG, warnedBy } from "./documents.ts";

const signerPem = (type: "ed25519" | "p384" | "p256") => {
  const { publicKey } =
    type === "ed25519"
      ? generateKeyPairSync("ed25519")
      : generateKeyPairSync("ec", { namedCurve: type === "p384" ? "secp384r1" : "prime256v1" });
  return { publicKey, text: JSON.stringify(publicKey.export({ type: "spki", format: "pem" })) };
};
const [first, second] = [signerPem("ed25519"), signerPem("p384")];
const rule = (text: string, operation: Operation = "update", lookup: (name: string) => JsonValue | undefined = () => undefined) =>
  accessRule(accepted(text), operation, lookup);
const form = (text: string, operation: Operation = "update") => accessRuleForm(rule(text, operation));

test("SL-171 one entry or a list; what is not mentioned keeps its default", () => {
  assert.deepEqual(form("access_policy: {update: ANY}"), ["ANY"]);
  assert.deepEqual(form("access_policy: {update: ANY}", "create_sessions"), ["ANY"]);
  assert.deepEqual(form("access_policy: {update: ANY}", "read"), ["CREATOR"]);
  assert.deepEqual(form(`access_policy: {read: ${KEY}}`, "list_sessions"), [KEY]);
  assert.deepEqual(form("salt: 00112233445566778899aabbccddeeff"), ["CREATOR"]);
  refusedBy("SL-171", "access_policy: {read: []}");
  refusedBy("SL-171", "access_policy: {read: [creator]}");
  refusedBy("SL-171", `access_policy: {read: ${first.text}}`);
});

test("SL-172 ANY and NONE stand alone; NONE for ever and ANY beside secrets are warned of", () => {
  warnedBy("SL-172", "access_policy: {update: NONE}");
  warnedBy("SL-172", "access_policy: {read: ANY}\nsecrets: [{name: a, kind: ascii, value: x}]");
  refusedBy("SL-172", "access_policy: {update: [{require-all: [ANY, CREATOR]}]}");
  clean("access_policy: {read: [ANY], update: [CREATOR]}");
});

test("SL-173, SL-174 key hashes: alphabet, checksum, version; certificate hashes are gone", () => {
  clean(`access_policy: {read: [${KEY}], update: [${KEY}]}`);
  refusedBy("SL-173", `access_policy: {read: [${KEY.slice(0, -1)}r]}`);
  refusedBy("SL-173", "access_policy: {read: [1111111111111111111114oLvT2]}");
  refusedBy("SL-174", `access_policy: {read: [${A}]}`);
  refusedBy("SL-171", `access_policy: {read: [${KEY.replace("4", "0")}]}`);
});

test("SL-176 signers are Ed25519 or P-384 in PEM; the older form is warned of", () => {
  clean(`access_policy: {read: ${KEY}, update: [{signer: ${first.text}}, {signer: ${second.text}}]}`);
  refusedBy("SL-176", `access_policy: {update: [{signer: ${signerPem("p256").text}}]}`);
  const privateKey = JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }));
  const found = refusedBy("SL-176", `access_policy: {update: [{signer: ${privateKey}}]}`);
  assert(found.hidden);
});

test("SL-177, SL-178, SL-179, SL-180 groups: where they stand, how many, no key twice, one connection", () => {
  for (const operation of ["read", "list_sessions"]) refusedBy("SL-177", `access_policy: {${operation}: [{signer: ${first.text}}]}`);
  refusedBy("SL-178", "access_policy: {update: [{require-all: []}]}");
  refusedBy("SL-178", `access_policy: {update: [{require-all: [CREATOR], signer: ${first.text}}]}`);
  refusedBy("SL-12", "access_policy: {update: [{require-at-least-0: [CREATOR]}]}");
  refusedBy("SL-179", `access_policy: {update: [{require-at-least-2: [{signer: ${first.text}}, {signer: ${first.text}}]}]}`);
  warnedBy(
    "SL-180",
    `access_policy: {read: ${KEY}, update: [{require-all: [CREATOR, ${KEY}, {require-all: [${KEY.replace(/^4FS.*/, "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9")}]}]}]}`,
  );
  clean(
    `access_policy: {read: ${KEY}, update: [{require-all: [{signer: ${first.text}}, {require-at-least-1: [{signer: ${second.text}}]}]}]}`,
  );
});

test("SL-175, C-60 nested rules are decided by keys and signatures", () => {
  const text = `access_policy: {read: ${KEY}, update: [{require-all: [{signer: ${first.text}}, {require-at-least-1: [{signer: ${second.text}}, ${KEY}]}]}]}`;
  const [one, two] = [first, second].map(({ publicKey }) => keyHashOf(publicKey));
  assert(one !== undefined && two !== undefined);
  const decide = (signers: string[], certificateKeyHash?: string) =>
    evaluateAccess(rule(text), { signerKeyHashes: new Set(signers), certificateKeyHash });
  assert(decide([one, two]).satisfied && decide([one], KEY).satisfied);
  assert(!decide([one]).satisfied && !decide([two], KEY).satisfied && !decide([]).satisfied);
  const shown = renderDecision(decide([one]));
  assert.match(shown, /all of 2 \(1 satisfied\): missing/);
  assert(!shown.includes(KEY) && !shown.includes(one));
});

test("SL-181, SL-182 rules from secrets: keys, CREATOR and fragments; what is missing or unsuitable is skipped and named", () => {
  const text = 'access_policy: {read: "$$SCONE::who$$", update: ["$$SCONE::who$$", CREATOR]}\nsecrets: [{name: who, import: {session: o}}]';
  assert.deepEqual(
    rule(text, "read", () => KEY),
    [{ kind: "key", keyHash: KEY }],
  );
  assert.deepEqual(
    rule(text, "read", () => "CREATOR"),
    [{ kind: "creator" }],
  );
  assert.deepEqual(rule(text, "update", () => [{ signer: JSON.parse(first.text) }])[0]?.kind, "at-least");
  for (const value of [undefined, "nonsense", 5, [{ "require-all": ["x"] }], "$$SCONE::who$$"]) {
    const decision = evaluateAccess(
      rule(text, "read", () => value),
      { certificateKeyHash: KEY },
    );
    assert.equal(decision.satisfied, false);
    assert.match(renderDecision(decision), /secret who/);
  }
  const whole = 'access_policy: "$$SCONE::who$$"\nsecrets: [{name: who, import: {session: o}}]';
  assert.deepEqual(
    rule(whole, "create_sessions", () => ({ read: KEY, update: ["ANY"] })),
    [{ kind: "any" }],
  );
  assert.equal(evaluateAccess(rule(whole), { certificateKeyHash: KEY }).satisfied, false);
});

test("SL-183, SL-192 an uploader who cannot take part in the next update is warned; for signed uploads only signatures count", () => {
  const text = documentOf(
    `access_policy: {read: ${KEY}, update: [{require-at-least-2: [{signer: ${first.text}}, {signer: ${second.text}}]}]}`,
  );
  const { document, session } = parseSession(text);
  assert(document !== undefined && session !== undefined);
  const update = accessRule(session, "update", () => undefined);
  const signer = { signerKeyHashes: new Set([keyHashOf(first.publicKey)]) };
  assert.equal(uploaderLockedOut(document, update, signer), undefined);
  assert.equal(uploaderLockedOut(document, update, { certificateKeyHash: KEY })?.rule, "SL-183");
  assert.equal(uploaderLockedOut(document, update, { certificateKeyHash: KEY })?.column, 17 + `read: ${KEY}, update: `.length);
});

test("SL-185, SL-186, SL-187 a creator who signs cannot read as CREATOR", () => {
  const creator = `creator: {signer: ${first.text}}\n`;
  refusedBy("SL-187", `${creator}access_policy: {read: [CREATOR], update: ANY}`);
  warnedBy("SL-187", `${creator}access_policy: {update: ANY}`);
  assert.deepEqual(form(`${creator}access_policy: {update: ANY}`, "read"), ["NONE"]);
  refusedBy("SL-186", "creator: somebody");
  refusedBy("SL-176", "creator: {signer: x}");
});

test("SL-50, SL-53 the creator counts only where a rule refers to it", () => {
  const signed = (read: string) =>
    sessionHash(accepted(`creator: {signer: ${first.text}}\naccess_policy: {read: ${KEY}, update: ${read}}`));
  assert.equal(signed("ANY"), sessionHash(accepted(`access_policy: {read: ${KEY}, update: ANY}`)));
  assert.notEqual(
    signed("CREATOR"),
    sessionHash(accepted(`creator: {signer: ${second.text}}\naccess_policy: {read: ${KEY}, update: CREATOR}`)),
  );
});

test("SL-159, SL-160, SL-162, SL-163, SL-164, SL-165 volumes", () => {
  clean(
    `volumes: [{name: v}, {name: w, files: authenticated-only}, {name: x, fspf_key: ${A}, fspf_tag: ${TAG}, export: [{session: t/a}, {to: {session: t/b}, update_policy: ephemeral, volume_alias: y}]}, {name: z, import: {session: o}}]`,
  );
  refusedBy("SL-160", `volumes: [{name: v, fspf_key: ${A}, fspf_tag: ${TAG}, files: encrypted}]`);
  refusedBy("SL-160", `volumes: [{name: v, fspf_tag: ${TAG}}]`);
  refusedBy("SL-162", "volumes: [{name: v, import: {session: o}, export: {session: p}}]");
  refusedBy("SL-162", `volumes: [{name: v, import: {session: o, cas_url: c, cas_key: ${KEY}}}]`);
  refusedBy("SL-162", `volumes: [{name: v, export: {session: o, cas_url: c, cas_key: ${KEY}}}]`);
  refusedBy("SL-162", "volumes: [{name: v, import: {namespace: o}}]");
  refusedBy("SL-163", "volumes: [{name: v, export: [{session: o, volume_alias: y}]}]");
  refusedBy("SL-164", "volumes: [{name: v, export: [{session: t/a}, {session: t/a}]}]");
  refusedBy("SL-164", "volumes: [{name: v, export: [{session: t/a}]}, {name: w, export: {to: {session: t/a}, volume_alias: v}}]");
  refusedBy("SL-165", "volumes: [{name: v, export: {to: {session: t/a}, update_policy: sometimes}}]");
});

const image = (rest: string) =>
  `volumes: [{name: v}, {name: w}]\nsecrets: [{name: a, kind: ascii}]\nimages: [{name: "reg.example/i:1", ${rest}}]`;

test("SL-166 mounts name volumes, once each, at one path each", () => {
  clean(image("volumes: [{name: v, path: /d}, {name: w, path: /d/x, update_policy: ephemeral}]"));
  refusedBy("SL-166", image("volumes: [{name: v, path: /d}, {name: w, path: /d}]"));
  refusedBy("SL-166", image("volumes: [{name: v, path: /d}, {name: v, path: /e}]"));
  refusedBy("SL-166", image("volumes: [{name: v}]"));
  warnedBy("SL-165", image("volumes: [{name: v, path: /d, update_policy: no_rollback_protection}]"));
});

test("SL-167, SL-168, SL-169, SL-170 injection files and what templates may use", () => {
  const session = clean(
    image(
      'injection_files: [/a, {path: /b, content: ""}, {path: /c, content: "x $$SCONE::a$$", permission: "0o640"}, {path: /d, content_base64: AAEC}, {path: /e, content: $$SCONE::no$$, raw: true}], provide_secrets: [a]',
    ),
  );
  assert.deepEqual(
    session.images[0]?.injectionFiles.map(({ source, permission }) => [source.kind, permission]),
    [
      ["image", 0o700],
      ["template", 0o700],
      ["template", 0o640],
      ["raw", 0o700],
      ["raw", 0o700],
    ],
  );
  for (const bad of ["600", "0600", '"rw"', "0o1777", "0o", "0o888", "-1"])
    refusedBy("SL-169", image(`injection_files: [{path: /a, content: x, permission: ${bad}}]`));
  refusedBy("SL-167", image("injection_files: [{path: /a, content: x, content_base64: AA==}]"));
  refusedBy("SL-167", image("injection_files: [{path: /a, raw: true}]"));
  refusedBy("SL-167", image("injection_files: [{path: /a, content_base64: '?'}]"));
  refusedBy("SL-168", image("injection_files: [{content: x}]"));
  refusedBy("SL-168", image("injection_files: [/a, {path: /a, content: x}]"));
  refusedBy("SL-170", image("provide_secrets: [b]"));
});

const shielded = (variables: Record<string, string>, secrets = "") =>
  `services: [{${SERVICE}, environment: {${Object.entries(variables)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(", ")}}}]\nsecrets: [${secrets}]`;
const SHIELD = "SCONE_NETWORK_SHIELD";

test("SL-197, SL-199 shield variables: known values, whole groups", () => {
  clean(shielded({ [SHIELD]: "protected" }));
  clean(
    shielded({
      [`${SHIELD}_SERVER_web`]: "protected",
      [`${SHIELD}_SERVER_web_PORT`]: "TCP:8443",
      [`${SHIELD}_SERVER_web_CLIENT_AUTH`]: "disabled",
    }),
  );
  clean(
    shielded({
      [`${SHIELD}_CLIENT_a_b`]: "unprotected",
      [`${SHIELD}_CLIENT_a_b_DESTINATION`]: "TCP:db:5432",
      [`${SHIELD}_CLIENT_a_b_DESTINATION_IP`]: "*",
    }),
  );
  for (const bad of [
    { [SHIELD]: "on" },
    { SCONE_PIPE: "yes" },
    { SCONE_ALLOW_DLOPEN: "3" },
    { [`${SHIELD}_SERVER_web_PORT`]: "TCP:1" },
    { [`${SHIELD}_SERVER_web`]: "maybe", [`${SHIELD}_SERVER_web_PORT`]: "TCP:1" },
    { [`${SHIELD}_SERVER_web`]: "protected", [`${SHIELD}_SERVER_web_PORT`]: "TCP:1" },
    { [`${SHIELD}_SERVER_web`]: "refuse", [`${SHIELD}_SERVER_web_PORT`]: "8443" },
    { [`${SHIELD}_CLIENT_db`]: "refuse", [`${SHIELD}_CLIENT_db_DESTINATION`]: "TCP:db:1" },
    { [`${SHIELD}_CLIENT_db`]: "protected", [`${SHIELD}_CLIENT_db_DESTINATION`]: "unix:/x", [`${SHIELD}_CLIENT_db_SERVER_AUTH`]: "x" },
  ])
    refusedBy("SL-197", shielded(bad));
  warnedBy("SL-197", shielded({ SCONE_ALLOW_DLOPEN: "2" }));
  warnedBy(
    "SL-197",
    shielded({
      [`${SHIELD}_CLIENT_d`]: "unprotected",
      [`${SHIELD}_CLIENT_d_DESTINATION`]: "unix:/x",
      [`${SHIELD}_CLIENT_d_SERVER_AUTH`]: "disabled",
    }),
  );
});

test("SL-198 identities have names, trust entries are CAs", () => {
  const server = (identity: string, trust: string) => ({
    [`${SHIELD}_SERVER_w`]: "protected",
    [`${SHIELD}_SERVER_w_PORT`]: "TCP:1",
    [`${SHIELD}_SERVER_w_IDENTITY`]: identity,
    [`${SHIELD}_SERVER_w_CLIENT_AUTH`]: trust,
  });
  const secrets =
    '{name: k, kind: private-key}, {name: ca, kind: x509-ca, private_key: k}, {name: good, kind: x509, private_key: k, issuer: ca, san: "dns:a"}, {name: bare, kind: x509, private_key: k, issuer: ca}';
  clean(shielded(server("$$SCONE::good:privatekey$$$$SCONE::good$$$$SCONE::good:chain$$", "$$SCONE::ca$$"), secrets));
  refusedBy("SL-198", shielded(server("$$SCONE::bare$$", "$$SCONE::ca$$"), secrets));
  refusedBy("SL-198", shielded(server("$$SCONE::good$$", "$$SCONE::bare$$"), secrets));
});

test("extension: roles and proposals name members, services and secrets that exist", () => {
  const roles = (may: string) =>
    `services: [{${SERVICE}}]\nsecrets: [{name: p, kind: ascii, supplied_by: [${KEY}]}]\nupdate_proposals: {enabled: true, expires: 14d}\nroles: [{name: release, members: [${KEY}], may: [${may}]}]`;
  clean(roles("{raise_isvsvn: [s]}, {write_secret: [p]}"));
  refusedBy("SL-105", roles("{raise_isvsvn: [nope]}"));
  refusedBy("SL-105", roles("{read_secret: [s]}"));
  refusedBy("SL-12", roles("{raise_isvsvn: [s], add_mrenclave: [s]}"));
  refusedBy("SL-12", roles("{fly: [s]}"));
  const withSecrets = (secrets: string, may: string, members = KEY) =>
    `secrets: [${secrets}]\nroles: [{name: r, members: [${members}], may: [${may}]}]`;
  clean(withSecrets("{name: a, kind: ascii}", "{read_secret: [a]}"));
  refusedBy("SL-105", withSecrets("{name: a, kind: ascii}", "{write_secret: [a]}"));
  refusedBy("SL-105", withSecrets("{name: a, import: {session: o}}", "{read_secret: [a]}"));
  warnedBy("SL-177", withSecrets("{name: a, kind: ascii}", "{read_secret: [a]}", "NONE"));
});

test("SL-75 extension roles: a patch raises versions and adds measurements, and says where it is wrong", () => {
  const session = accepted(
    `services: [{name: s, command: x, pwd: /, attestation: [{mrenclave: ${A}}, {signer: {mrsigner: ${A}, isvprodid: 1, isvsvn_min: 3, isvsvn_max: 9}}]}, {name: p, command: x, pwd: /, attestation: {signer: {mrsigner: ${A}, isvprodid: 1, isvsvn: 4}}}]`,
  );
  const patch = (change: string, service = "s") =>
    parseSessionPatch(`{predecessor: ${A}, services: [{name: ${service}, ${change}}]}`, { file: "p.yml" });
  const applied = (change: string, service?: string) => applySessionPatch(session, patch(change, service).patch ?? assert.fail());
  const refusedAs = (says: RegExp, change: string, service?: string) => {
    const result = applied(change, service);
    assert(result.kind === "refused" && says.test(result.reason), JSON.stringify(result));
  };
  const raised = applied(`isvsvn_min: 9, add_mrenclave: [${B}, ${B}]`);
  assert(raised.kind === "ok");
  assert.deepEqual(raised.changes, [
    { action: "raise_isvsvn", service: "s" },
    { action: "add_mrenclave", service: "s" },
  ]);
  assert.equal(patchBetween(session, raised.session)?.services[0]?.isvsvnMin, 9);
  assert.equal(patchBetween(session, { ...raised.session, salt: TAG }), undefined, "a change beyond a patch is none");
  refusedAs(/9, so 10 would admit nothing/, "isvsvn_min: 10");
  refusedAs(/can be raised only/, "isvsvn_min: 3");
  refusedAs(/pins `isvsvn`/, "isvsvn_min: 5", "p");
  refusedAs(/to which measurements could be added/, `add_mrenclave: ${B}`, "p");
  refusedAs(/these measurements already/, `add_mrenclave: ${A}`);
  refusedAs(/no service q/, "isvsvn_min: 5", "q");
  for (const [change, at] of [
    ["isvsvn_min: x", /^p\.yml:1:\d+: error\[SL-15\]: services\[0\]\.isvsvn_min/],
    ["isvsvn: 5", /error\[SL-12\].*unknown key `isvsvn`/],
  ] as const)
    assert.match(renderDiagnostics(patch(change).diagnostics, { source: "" }), at);
  assert.equal(parseSessionPatch("services: [{name: s}]").patch, undefined);
});

test("no document crashes the reader: every rule error is a diagnostic", () => {
  assert.equal(
    parseSession('version: "0.3.12"\nname: t\naccess_policy: {update: [{require-all: [{require-all: [{require-all: x}]}]}]}').session,
    undefined,
  );
});
