import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { decodeManifest, Findings, type ManifestDiagnostic, type MeshPlan, toYaml } from "../src/index.ts";
import {
  CAS_KEY,
  imageOf,
  meshText,
  planOf,
  readMesh,
  readService,
  SIGNER,
  serviceText,
  serviceWithBuild,
} from "../src/testing/mesh-fixture.ts";

/** Rules of reading: what a manifest with this text is told, as codes. Nothing else may be reported. */
type Reading = readonly [rule: string, what: string, diagnostics: () => readonly ManifestDiagnostic[], ...codes: string[]];
const service = (parts: Record<string, string | null>) => () => readService(serviceText(parts));
const build = (fields: string) => () => readService(serviceWithBuild(fields));
const mesh = (parts: Record<string, string | null>) => () => readMesh(meshText(parts));
const secret = (...items: string[]) => service({ secrets: `secrets:\n  global:\n${items.map((item) => `    - ${item}`).join("\n")}` });
const files = (items: string) => service({ files: `injection_files:\n${items}` });
const policy = (fields: string) => mesh({ policy: `policy:\n  namespace: team-1\n  ${fields}` });
const cas = (fields: string) => mesh({ cas: `cas:\n  - cas_url: cas\n    ${fields}` });
const KEY = "{name: k, kind: private-key}";

const READING: readonly Reading[] = [
  ["MF-1", "a byte order mark is skipped", () => readService(decodeOf(`\uFEFF${serviceText()}`))],
  [
    "MF-2",
    "anchors and aliases are allowed",
    service({ environment: "environment:\n  local:\n    - &a {name: A, value: x}\n  global: []" }),
  ],
  ["MF-2", "cyclic aliases are not", service({ environment: "environment: &e\n  local: *e" }), "E-YAML-SIZE"],
  ["MF-3", "versions compare as numbers", service({ apiVersion: "apiVersion: scone/5.10" })],
  ["MF-3", "three parts are allowed", service({ apiVersion: "apiVersion: scone/5.8.1" })],
  ["MF-3", "vouchsafe/v1 is a synonym", service({ apiVersion: "apiVersion: vouchsafe/v1" })],
  ["MF-3", "5.7 is too old", service({ apiVersion: "apiVersion: scone/5.7" }), "E-API-VERSION"],
  ["MF-4", "the historical kinds are read as genservice", service({ kind: "kind: genImage" }), "W-FIELD-SYNONYM"],
  ["MF-4", "a build kind is no kind of manifest", service({ kind: "kind: sconify_image" }), "E-KIND-UNKNOWN"],
  [
    "MF-6",
    "booleans and integers may be quoted, in any case",
    secret('{name: k, kind: private-key, migrate: "TRUE"}', '{name: b, kind: binary, size: "8"}'),
  ],
  ["MF-6", "another word is no boolean", secret("{name: k, kind: private-key, migrate: maybe}"), "E-FIELD-TYPE"],
  ["MF-8", "x- fields at the top are ignored", service({ extra: "x-team: {a: 1}" })],
  ["MF-9", "requirements at the top", service({ extra: "requirements: r.txt" }), "W-FIELD-SYNONYM"],
  ["MF-9", "repo.signature", mesh({ repo: "repo: {destination: reg.example.org/x, signature: k.pem}" }), "W-FIELD-SYNONYM"],
  [
    "MF-10",
    "one text is a list for dns, san and export",
    secret(KEY, "{name: c, kind: x509, private_key: k, dns: api, san: 'ip:10.0.0.1', export: {session: other}}"),
  ],
  ["MF-10", "one text is no list elsewhere", build("copy: app.py"), "E-FIELD-TYPE"],
  [
    "MF-14",
    "an unrendered variable in the fields that scripts render",
    mesh({ services: "services:\n  - {name: $APP, image: '$REPO/x:1'}" }),
    "E-VAR-SHELL",
  ],
  ["MF-18", "placeholders are allowed in the command", () => readService(serviceWithBuild("command: 'python3 {{FILE}}'", ["command"]))],
  ["MF-18", "and not in fields that build the image", build("pwd: '/{{DIR}}'"), "E-TPL-PLACE"],
  [
    "MF-28",
    "the closing $$ is required",
    service({ environment: "environment:\n  local: [{name: A, value: '$$SCONE::pw'}]" }),
    "E-SECRET-REF",
  ],
  [
    "MF-31",
    "escape(json) is an encoding",
    service({
      environment: "environment:\n  local: [{name: A, value: '$$SCONE::pw|escape(json)$$'}]",
      secrets: "secrets:\n  global: [{name: pw, kind: ascii}]",
    }),
  ],
  [
    "MF-36",
    "one name twice",
    service({ environment: "environment:\n  local: [{name: A, value: 1}]\n  global: [{name: A}]" }),
    "E-ENV-DUPLICATE",
  ],
  [
    "MF-37",
    "an unknown runtime setting is recorded",
    service({ environment: "environment:\n  local: [{name: SCONE_OTHER, value: 1}]" }),
    "W-RUNTIME-UNKNOWN",
  ],
  ["MF-39", "a dot would start a format", secret("{name: a.b, kind: ascii}"), "E-NAME"],
  [
    "MF-40",
    "an import may be a name, a name with a variable, or a mapping",
    service({ secrets: 'secrets:\n  import: [one, "{{TWO}}", {name: three, from: db, secret: other}]' }),
  ],
  ["MF-43", "a field of another kind", secret("{name: a, kind: ascii, dns: api}"), "E-SECRET-FIELD"],
  ["MF-47", "a path that is not normalised", files("  - {path: /etc/../x, content: a}"), "E-INJECT-PATH"],
  ["MF-47", "a path below /proc", files("  - {path: /proc/x, content: a}"), "E-INJECT-PATH"],
  ["MF-47", "one path twice", files("  - {path: /a, content: a}\n  - {path: /a, content: b}"), "E-INJECT-DUPLICATE"],
  [
    "MF-56",
    "requirements do not go with Java",
    () => readService(serviceWithBuild("kind: java21\nrequirements: r.txt", ["kind"])),
    "E-BUILD-FIELD",
  ],
  ["MF-57", "sconify_image needs from", () => readService(serviceWithBuild("kind: sconify_image", ["kind"])), "E-FIELD-MISSING"],
  [
    "MF-70",
    "words of tolerance, also tolerations as options",
    cas('tolerance: "--software-hardening-needed --insecure-configuration -G -S"'),
  ],
  ["MF-71", "trust-any needs debug", cas('tolerance: "--only_for_testing-trust-any"'), "E-TOLERANCE", "W-CAS-INSECURE"],
  ["MF-72", "blanks and empty items are dropped", policy('tolerate: " hyperthreading , ,insecure-igpu "')],
  ["MF-73", "the wildcard for advisories is accepted, with a warning", policy('ignore_advisories: "*"'), "W-ADVISORY-WILDCARD"],
  ["MF-74", "debug-mode belongs to debug mode", policy("tolerate: debug-mode"), "E-TOLERATE-DEBUG"],
  ["MF-75", "a flat env is read as global", mesh({ env: "env:\n  - {name: A, value: x}" }), "W-ENV-FLAT"],
  ["MF-76", "a section of no service", mesh({ env: "env:\n  - {service: nobody, env: []}" }), "E-ENV-SERVICE"],
];
const decodeOf = (text: string): string => {
  const findings = new Findings();
  return decodeManifest(new TextEncoder().encode(text), "service.yaml", findings) ?? assert.fail(JSON.stringify(findings.list()));
};
for (const [rule, what, diagnostics, ...codes] of READING) {
  test(`${rule}: ${what}${codes.length === 0 ? "" : `: ${codes.join(", ")}`}`, () => {
    assert.deepEqual([...new Set(diagnostics().map((found) => found.rule))].sort(), [...codes].sort());
  });
}

test("MF-7: a field that a template left empty is empty, not missing, and the message names the variable", () => {
  const [found] = mesh({ cas: "cas:\n  - cas_url:" })();
  assert.equal(found?.rule, "E-FIELD-EMPTY");
  assert.match(`${found?.message} ${found?.hint}`, /empty.*CAS_URL/);
});

test("MF-8: the nearest known field is named", () => {
  const [found] = service({ environment: null, extra: "enviroment: {}" })().filter(({ rule }) => rule === "E-FIELD-UNKNOWN");
  assert.match(`${found?.message} ${found?.expected} ${found?.hint}`, /environment/);
});

test("MF-8: with --allow-unknown-fields an unknown field is a warning", () => {
  const found = readMesh(meshText({ extra: "colour: red" }), { allowUnknownFields: true });
  assert.deepEqual(
    found.map(({ rule, severity }) => [rule, severity]),
    [["E-FIELD-UNKNOWN", "warning"]],
  );
});

test("MF-12: independent errors are reported together, each with line and column", () => {
  const found = readService(
    serviceText({
      apiVersion: "apiVersion: scone/5.1",
      environment: "environment:\n  local: [{name: 9X, value: 1}]",
      extra: "colour: red",
    }),
  );
  assert.deepEqual(found.map(({ rule }) => rule).sort(), ["E-API-VERSION", "E-FIELD-UNKNOWN", "E-NAME"]);
  assert(found.every(({ line, column }) => line >= 1 && column >= 1));
  assert.equal(new Set(found.map(({ line }) => line)).size, 3);
});

const app = (parts: Record<string, string | null> = {}, more: Parameters<typeof imageOf>[1] = {}) => imageOf(serviceText(parts), more);
interface Planned {
  readonly plan: MeshPlan;
  readonly codes: string[];
  /** The policy of the service `app`, as it would be uploaded. */
  readonly policy: ReturnType<typeof parse>;
  readonly values: ReturnType<typeof parse>;
}
function planned(parts: Record<string, string | null>, image = app(), more: Parameters<typeof planOf>[2] = {}): Planned {
  const { plan, diagnostics } = planOf(meshText(parts), { app: image }, more);
  assert(plan !== undefined, JSON.stringify(diagnostics));
  const own = plan.policies.find((each) => each.service === "app") ?? assert.fail("no policy of app");
  return {
    plan,
    codes: [...new Set(diagnostics.map(({ rule }) => rule))],
    policy: parse(toYaml(own.body)),
    values: parse(toYaml(plan.services[0]?.chart.effective ?? {})),
  };
}
const envOf = (...variables: string[]) => ({
  env: `env:\n  - service: global\n    env:\n${variables.map((each) => `      - ${each}`).join("\n")}`,
});
const fails = (
  parts: Record<string, string | null>,
  images: Parameters<typeof planOf>[1] = { app: app() },
  more: Parameters<typeof planOf>[2] = {},
) => planOf(meshText(parts), images, more).diagnostics;

test("MF-5: a scalar keeps its text: no number, boolean or date is made of it", () => {
  const image = app({
    environment:
      "environment:\n  local: [{name: A, value: 0644}, {name: B, value: 1.10}, {name: C, value: yes}]\n  global: [{name: D, value: 6379}]",
  });
  assert.deepEqual(planned({}, image).policy.services[0].environment, { A: "0644", B: "1.10", C: "yes", D: "6379" });
});

test("MF-19: a name without a value is an error", () => {
  const image = app({ environment: "environment:\n  local: [{name: A, value: '{{NOPE}}'}]" });
  assert(fails({}, { app: image }).some(({ rule, message }) => rule === "E-VAR-UNDEFINED" && message.includes("NOPE")));
});

test("MF-24: the platform's own names have values, and a mesh cannot define them", () => {
  const names = [
    "service_name",
    "image_name",
    "namespace",
    "session",
    "cas_service_name",
    "command",
    "CREATOR",
    "cas.cas.cas_url",
    "cas_cas_cas_url",
  ];
  const local = names.map((name, index) => `{name: V${index}, value: '{{${name}}}'}`).join(", ");
  const { policy: made } = planned({}, app({ environment: `environment:\n  local: [${local}]` }), { release: "fair" });
  assert.deepEqual(Object.values(made.services[0].environment).toSpliced(1, 1), [
    ...["fair-app", "team-1", "team-1/app", "python3", "python3", CAS_KEY, "cas.scone-system", "cas.scone-system"],
  ]);
  assert.match(made.services[0].environment.V1, /^reg\.example\.org\/x\/app:1@sha256:[0-9a-f]{64}$/);
  for (const name of names.filter((each) => !each.includes(".")))
    assert(
      fails(envOf(`{name: ${name}, value: x}`)).some(({ rule }) => rule === "E-VAR-RESERVED"),
      name,
    );
});

test("MF-25: RELEASE is the release, unless the mesh defines it", () => {
  const image = app({ environment: "environment:\n  local: [{name: A, value: '{{RELEASE}}'}]" });
  assert.equal(planned({}, image, { release: "fair" }).policy.services[0].environment.A, "fair");
  assert.equal(planned(envOf("{name: RELEASE, value: mine}"), image, { release: "fair" }).policy.services[0].environment.A, "mine");
});

test("MF-26, MF-27: what is used without declaration works with a warning; what nobody uses gets another", () => {
  const image = app({ environment: "environment:\n  local: [{name: A, value: '{{B}}'}]" });
  const { codes, policy: made } = planned(envOf("{name: B, value: b}", "{name: UNUSED, value: u}"), image);
  assert.deepEqual(codes.sort(), ["W-VAR-UNDECLARED", "W-VAR-UNUSED"]);
  assert.equal(made.services[0].environment.A, "b");
});

test("MF-29, MF-30: references may stand in variables, files and arguments, not in the chart", () => {
  const secrets = "secrets:\n  global: [{name: pw, kind: ascii}]";
  const image = app({ secrets, environment: "environment:\n  local: [{name: A, value: '$$SCONE::pw$$'}]\n  global: [{name: B}]" });
  const { policy: made } = planned(envOf('{name: B, value: "$$SCONE::pw$$"}'), image);
  assert.deepEqual(made.services[0].environment, { A: "$$SCONE::pw$$", B: "$$SCONE::pw$$" });
  assert(fails(envOf('{name: imagePullSecrets, value: "$$SCONE::pw$$"}')).some(({ rule }) => rule === "E-SECRET-PLACE"));
});

test("MF-32, MF-33: formats of certificates, also the historical ones; the key needs the key", () => {
  const secrets = `secrets:\n  global:\n    - ${KEY}\n    - {name: ca, kind: x509-ca, private_key: k}\n    - {name: c, kind: x509, private_key: k, issuer: ca}`;
  const formats = [
    "c",
    "c:crt",
    "c.crt",
    "c.key",
    "c:privatekey:pkcs8:pem",
    "c:chain",
    "c.chain",
    "c:pkcs12-with-private-key",
    "ca.chain",
    "k:der",
  ];
  const items = formats.map((format, index) => `  - {path: /f${index}, content: '$$SCONE::${format}$$'}`).join("\n");
  assert.deepEqual(
    files(items)().filter(({ rule }) => rule !== "E-SECRET-UNKNOWN"),
    [],
  );
  const image = app({ secrets, files: `injection_files:\n${items}` });
  assert.deepEqual(
    planned({}, image).codes.filter((code) => code.startsWith("E-")),
    [],
  );
  // MF-80: an imported CA comes without its key.
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const user = app({ secrets: "secrets:\n  import: [ca]", files: "injection_files:\n  - {path: /k, content: '$$SCONE::ca.key$$'}" });
  const codes = fails({ services }, { app: user, db: imageOf(serviceText({ secrets })) }).map(({ rule }) => rule);
  assert(codes.includes("E-SECRET-FORMAT"), codes.join());
});

test("MF-34, MF-35, MF-38, MF-96: the program gets its variables, local ones stay out of the chart, settings and controls reach neither", () => {
  const environment =
    "environment:\n  local: [{name: HIDDEN, value: of-the-policy}, {name: SCONE_HEAP, value: 64M}, {name: SCONE_LOG, value: debug}, {name: restartPolicy, value: Always}]\n  global: [{name: SHOWN, value: s}]";
  const { policy: made, values } = planned({}, app({ environment }));
  assert.deepEqual(made.services[0].environment, { HIDDEN: "of-the-policy", SHOWN: "s" });
  assert(!JSON.stringify(values).includes("of-the-policy"));
  assert.equal(values.scone.scone_log, "debug");
  assert.equal(values.scone.api_session, "team-1/app/python3");
});

test("MF-41, MF-42, MF-44, MF-85: kinds are carried to the policy; warnings name a CA that does not survive and an unused import", () => {
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const db = imageOf(
    serviceText({
      secrets: `secrets:\n  global:\n    - ${KEY}\n    - {name: ca, kind: x509-ca, private_key: k}\n    - {name: token, kind: ascii, size: 12}`,
    }),
  );
  const user = app({
    secrets: "secrets:\n  import: [ca, token]",
    environment: "environment:\n  local: [{name: A, value: '$$SCONE::ca.chain$$'}]",
  });
  const { diagnostics, plan } = planOf(meshText({ services }), { app: user, db });
  assert(plan !== undefined, JSON.stringify(diagnostics));
  assert.deepEqual([...new Set(diagnostics.map(({ rule }) => rule))].sort(), ["W-CA-MIGRATE", "W-IMPORT-UNUSED"]);
  const of = (name: string) => parse(toYaml(plan.policies.find((each) => each.service === name)?.body ?? {})).secrets;
  assert.deepEqual(of("app"), [
    { name: "ca", kind: "x509-ca", import: { session: "team-1/db", secret: "ca" } },
    { name: "token", kind: "ascii", import: { session: "team-1/db", secret: "token" } },
  ]);
  assert.deepEqual(
    of("db").find(({ name }: { name: string }) => name === "token"),
    { name: "token", kind: "ascii", size: 12, export: [{ session: "team-1/app" }] },
  );
});

test("MF-86: the kind is written on both sides", () => {
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const db = imageOf(serviceText({ secrets: "secrets:\n  global: [{name: n, kind: binary, size: 4}]" }));
  const user = app({ secrets: "secrets:\n  import: [n]", environment: "environment:\n  local: [{name: A, value: '$$SCONE::n:hex$$'}]" });
  const { plan } = planOf(meshText({ services }), { app: user, db });
  const kinds = plan?.policies.flatMap(({ body }) => parse(toYaml(body)).secrets ?? []).map(({ kind }: { kind: string }) => kind);
  assert.deepEqual(kinds, ["binary", "binary"]);
});

test("MF-46, MF-48: files go into the policy with path, mode and content as written", () => {
  const image = app({ files: 'injection_files:\n  - {path: /a/b, content: "x\\n", permission: 0o400}\n  - /etc/template' });
  assert.deepEqual(planned({}, image).policy.images[0].injection_files, [
    { path: "/a/b", content: "x\n", permission: "0o400" },
    { path: "/etc/template" },
  ]);
});

test("MF-62, MF-63, MF-124: a volume stands in policy and chart", () => {
  const image = imageOf(serviceWithBuild("volumes: [{name: data, path: /data, update_policy: ephemeral}]"));
  const { policy: made, values } = planned({}, image);
  assert.deepEqual(made.volumes, [{ name: "data" }]);
  assert.deepEqual(made.images[0].volumes, [{ name: "data", path: "/data", update_policy: "ephemeral" }]);
  assert.equal(values.volumes.data.mountPath, "/data");
});

test("MF-67: a service without metadata is refused with what would help", () => {
  const [found] = fails({}, {}).filter(({ rule }) => rule === "E-META-MISSING");
  assert.match(`${found?.message} ${found?.expected}`, /image_policy, image_secrets, helm_chart and env/);
});

test("MF-78: an export to a whole namespace in image_secrets is honoured, with a warning", () => {
  const image = app({}, { overrides: { secrets: "- {name: wide, kind: ascii, export: [{namespace: team-1}]}" } });
  const { codes, policy: made } = planned({}, image);
  assert(codes.includes("W-EXPORT-NAMESPACE"));
  assert.deepEqual(made.secrets, [{ name: "wide", kind: "ascii", export: [{ namespace: "team-1" }] }]);
});

test("MF-77, MF-86: image_secrets hold full definitions of the policy language, which others import as any", () => {
  const aad =
    "{name: aad, kind: aad-token, tenant_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e, client_id: 6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4f, application_secret: s}";
  const secrets = `- ${aad}
- {name: stored, kind: ascii, import_akv: {vault: "{{V}}.vault.azure.net"}}
- {name: turning, kind: ascii, rotate: {every: 90d}}
- {name: typed, kind: ascii, supplied_by: CREATOR}
- {name: key, kind: private-key, key_type: ML-DSA-65, scope: instance}
`;
  const services =
    "services:\n  - {name: app, image: 'reg.example.org/x/app:1', image_secrets: s.yaml}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const db = imageOf(
    serviceText({ secrets: "secrets:\n  import: [stored]", environment: "environment:\n  local: [{name: A, value: '$$SCONE::stored$$'}]" }),
  );
  const { plan, diagnostics } = planOf(meshText({ services, env: "env: [{service: global, env: [{name: V, value: shop}]}]" }), {
    app: app({}, { overrides: { secrets } }),
    db,
  });
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === "error"),
    [],
  );
  const made = (name: string) => JSON.stringify(plan?.policies.find((policy) => policy.name === name)?.body["secrets"]);
  assert.match(made("team-1/app"), /"import_akv":\{"vault":"shop\.vault\.azure\.net"\},"export":\[\{"session":"team-1\/db"\}\]/);
  for (const says of ['"every":"90d"', '"supplied_by":"CREATOR"', '"key_type":"ML-DSA-65","scope":"instance"'])
    assert(made("team-1/app").includes(says), says);
  assert.match(made("team-1/db"), /"name":"stored","kind":"ascii","import":\{"session":"team-1\/app"/);
});

test("MF-43: a field that no kind has, or that another kind has, does not belong to a secret", () => {
  for (const wrong of ["{name: a, kind: pgp-key, key_type: P-256}", "{name: a, kind: pgp-key, identity: x}"])
    assert(
      fails({}, { app: app({}, { overrides: { secrets: `- ${wrong}` } }) }).some(
        ({ rule }) => rule === "E-SECRET-FIELD" || rule === "E-FIELD-UNKNOWN",
      ),
      wrong,
    );
});

test("MF-81, MF-82: a shared name is a warning while nobody imports it; own and imported at once is an error", () => {
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const secrets = "secrets:\n  global: [{name: pw, kind: ascii}]";
  const both = { app: app({ secrets }), db: imageOf(serviceText({ secrets })) };
  assert.deepEqual([...new Set(fails({ services }, both).map(({ rule }) => rule))], ["W-SECRET-SHARED-NAME"]);
  const self = app({ secrets: "secrets:\n  global: [{name: pw, kind: ascii}]\n  import: [pw]" });
  assert(fails({ services }, { ...both, app: self }).some(({ rule }) => rule === "E-SECRET-SELF"));
});

test("MF-83: imports in a circle are allowed", () => {
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const image = (own: string, other: string) =>
    imageOf(
      serviceText({
        secrets: `secrets:\n  global: [{name: ${own}, kind: ascii}]\n  import: [${other}]`,
        environment: `environment:\n  local: [{name: A, value: '$$SCONE::${other}$$'}]`,
      }),
    );
  const { plan, diagnostics } = planOf(meshText({ services }), { app: image("a", "b"), db: image("b", "a") });
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    plan?.policies.map(({ name }) => name),
    ["team-1", "team-1/app", "team-1/db"],
    "MF-103: circles in the order of the mesh",
  );
});

test("MF-84: after resolution every reference is checked", () => {
  const image = app({}, { overrides: { secrets: "- {name: c, kind: x509, private_key: nowhere}" } });
  assert(fails({}, { app: image }).some(({ rule, message }) => rule === "E-SECRET-UNKNOWN" && message.includes("nowhere")));
});

test("MF-87, MF-88, MF-90, MF-91: names of policies and services, without the release", () => {
  const image = imageOf(
    serviceText({ build: "build:\n  name: app\n  kind: python\n  to: reg.example.org/x/app:1\n  command: /opt/my prog.sh" }),
  );
  const { plan } = planned({}, image, { release: "fair" });
  assert.deepEqual(
    plan.policies.map(({ name }) => name),
    ["team-1", "team-1/app"],
  );
  assert.equal(plan.services[0]?.prepared.serviceId, "team-1/app/my");
  const [namespace] = plan.policies;
  assert.deepEqual(Object.keys(namespace?.body ?? {}).sort(), ["access_policy", "creator", "name", "salt", "version"]);
  assert.deepEqual(namespace?.body["access_policy"], {
    read: [CAS_KEY],
    update: [{ signer: SIGNER }],
    create_sessions: [{ signer: SIGNER }],
  });
});

test("MF-95: accepted kinds of evidence are written where they are not the default", () => {
  assert.equal(planned({}).policy.security.attestation.evidence, undefined);
  assert.deepEqual(planned({ policy: "policy: {namespace: team-1, evidence: 'node, tpm'}" }).policy.security.attestation.evidence, [
    "node",
    "tpm",
  ]);
  assert.deepEqual(
    planned({ policy: "policy: {namespace: team-1, evidence: sgx}" }, app(), { evidence: { kinds: ["node"], simulates: undefined } }).policy
      .security.attestation.evidence,
    ["node"],
    "--evidence wins",
  );
});

test("MF-98: a policy template may use the built-in lists and conditions", () => {
  const template = `name: "{{session}}"\n{{predecessor_key}}: "{{predecessor}}"\nservices:\n  - name: "{{cas_service_name}}"\n    command: [x]\n    attestation: "{{attestation}}"\n    environment: {}\n{{#if secrets}}\nsecrets:\n{{#each secrets}}\n  - "{{this}}"\n{{/each}}\n{{/if}}\n`;
  const image = app({ secrets: "secrets:\n  global: [{name: pw, kind: ascii}]" }, { overrides: { policy: template } });
  const { policy: made } = planned({}, image);
  assert.equal(made.name, "team-1/app");
  assert.deepEqual(made.secrets, [{ name: "pw", kind: "ascii" }]);
});

test("MF-105: in SignedManifest mode explicit values are warned about, an encrypted program is an error", () => {
  const casSection = `cas:\n  - {cas_url: cas, mode: SignedManifest}`;
  const image = app({ secrets: "secrets:\n  global: [{name: pw, kind: ascii, value: shown}]" });
  assert(planned({ cas: casSection }, image).codes.includes("W-SIGNED-SECRET"));
  const encrypted = app({}, { encrypted: true });
  assert(
    fails({ cas: casSection }, { app: encrypted }).some(
      ({ rule, expected }) => rule === "E-SIGNED-CODEKEY" && /EncryptedManifest/.test(expected),
    ),
  );
});

test("MF-107: the common name of a certificate over 64 characters is refused where it is explicit", () => {
  const explicit = secret(KEY, `{name: c, kind: x509, private_key: k, common_name: ${"n".repeat(65)}}`)();
  assert.deepEqual(
    explicit.map(({ rule }) => rule),
    ["E-CERT-CN"],
  );
});

test("MF-108: helm_extra_values finds a curated image by its alias", () => {
  const image = app({}, { metadata: { aliases: ["redis-scone"] } });
  assert.equal(planned({ extra: "helm_extra_values: {redis-scone: {replicaCount: 3}}" }, image).values.replicaCount, 3);
});

test("MF-122: a Deployment restarts always, a job as the mesh says", () => {
  const deployment = planned(envOf("{name: restartPolicy, value: OnFailure}"));
  assert(deployment.codes.includes("W-RESTART-POLICY"));
  assert.equal(deployment.values.jobs.restartPolicy, "Always");
  assert.equal(
    planned(envOf("{name: workloadKind, value: job}", "{name: restartPolicy, value: Never}")).values.jobs.restartPolicy,
    "Never",
  );
  assert(
    fails(envOf("{name: workloadKind, value: job}", "{name: restartPolicy, value: Always}")).some(({ rule }) => rule === "E-CHART-VALUE"),
  );
});

test("MF-123: readiness is the launcher's word unless the image says otherwise", () => {
  assert.deepEqual(planned({}).values.readiness, { mode: "launcher" });
});

test("MF-125: a service waits for the owners of its imported secrets that have a port", () => {
  const services = "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: db, image: 'reg.example.org/x/db:1'}";
  const env = "env:\n  - service: db\n    env: [{name: APP_SERVICE_PORT, value: 5432}]";
  const db = imageOf(serviceText({ secrets: "secrets:\n  global: [{name: pw, kind: ascii}]" }));
  const user = app({ secrets: "secrets:\n  import: [pw]", environment: "environment:\n  local: [{name: A, value: '$$SCONE::pw$$'}]" });
  const { plan } = planOf(meshText({ services, env }), { app: user, db }, { release: "fair" });
  const values = parse(toYaml(plan?.services[0]?.chart.effective ?? {}));
  assert.deepEqual(values.initContainers.waitFor, [{ host: "fair-db", port: 5432 }]);
});

test("MF-127, MF-128, MF-129: host names are the author's; likely mistakes are warned about", () => {
  const image = app({ environment: "environment:\n  global: [{name: DB_HOST}, {name: K8sNAMESPACE, value: ''}]" });
  const codes = (host: string) => planned(envOf(`{name: DB_HOST, value: ${host}}`), image, { release: "fair" }).codes;
  assert.deepEqual(codes("fair-app"), []);
  assert.deepEqual(codes("db.example.org"), []);
  assert.deepEqual(codes("fair-dbb"), ["W-HOST-UNKNOWN"]);
  assert.deepEqual(codes("-db"), ["W-HOST-UNKNOWN"]);
  assert.deepEqual(planned(envOf("{name: DB_HOST, value: x}", "{name: K8sNAMESPACE, value: ''}"), image).codes, ["W-K8S-NAMESPACE"]);
});
