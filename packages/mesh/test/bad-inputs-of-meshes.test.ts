import assert from "node:assert/strict";
import { test } from "node:test";
import type { ManifestDiagnostic } from "../src/diagnostic.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { CAS_KEY, ENCRYPTION_KEY, imageOf, meshText, planOf, readMesh, serviceText } from "../src/testing/mesh-fixture.ts";

/** Manifests section 15.3, 15.4 and 15.7 to 15.9: what is wrong in a mesh. */
type Line = readonly [
  number: string,
  what: string,
  diagnostics: () => readonly ManifestDiagnostic[],
  code: string,
  says: readonly string[],
  at?: string,
];

const cas = (fields: string) => () => readMesh(meshText({ cas: `cas:\n  - cas_url: cas\n    ${fields}` }));
const casList = (text: string) => () => readMesh(meshText({ cas: text }));
const policy = (fields: string) => () => readMesh(meshText({ policy: `policy:\n  namespace: team-1\n  ${fields}` }));
const envList = (text: string) => () => readMesh(meshText({ env: text }));
const serviceList = (text: string) => () => readMesh(meshText({ services: text }));

const READING: readonly Line[] = [
  ["114", "an empty list of CAS", casList("cas: []"), "E-FIELD-EMPTY", ["cas"]],
  ["115", "a CAS without address", casList("cas:\n  - name: cas"), "E-FIELD-MISSING", ["cas_url"]],
  ["116", "an address with http", casList("cas:\n  - cas_url: http://x"), "E-CAS-URL", ["host only"], "4:14"],
  ["117", "an empty key", cas("cas_key:"), "E-CAS-KEY-EMPTY", ["CAS_KEY", "kubectl provision", "--print-public-keys"], "5:5"],
  ["118", "an empty encryption key", cas("cas_encryption_key:"), "E-CAS-KEY-EMPTY", ["CAS_SESSION_ENCRYPTION_KEY"]],
  ["118a", "a key that is no key hash", cas("cas_key: K1"), "E-CAS-KEY", ["50 characters", "checksum"]],
  ["119", "an encryption key that is none", cas("cas_encryption_key: zz"), "E-CAS-ENCKEY", ["64 hex digits"]],
  [
    "121",
    "a mode in lower case",
    cas("mode: encryptedmanifest"),
    "E-CAS-MODE",
    ["Upload", "SignedManifest", "EncryptedManifest", "NoUpload", "EncryptedOnly", "SignOnline"],
  ],
  ["122", "an unknown word of tolerance", cas('tolerance: "--anything"'), "E-TOLERANCE", ["--anything"]],
  ["123", "a signer without product", cas('tolerance: "--mrsigner aa"'), "E-TOLERANCE", ["--isvprodid", "--isvsvn"]],
  [
    "124",
    "a CAS without role",
    casList("cas:\n  - {name: cas, cas_url: a}\n  - {name: x, alias: [storage], cas_url: b}"),
    "E-CAS-ROLE",
    ["cas, image, security, access, attestation"],
  ],
  [
    "125",
    "two CAS of one role",
    casList("cas:\n  - {name: cas, cas_url: a}\n  - {name: image, alias: [cas], cas_url: b}"),
    "E-CAS-ROLE",
    ["cas", "image"],
  ],
  [
    "126",
    "no CAS for policies",
    casList("cas:\n  - {name: image, cas_url: a}\n  - {name: access, cas_url: b}"),
    "E-CAS-ROLE",
    ["cas is missing"],
  ],
  [
    "127",
    "no namespace",
    () => readMesh(meshText({ policy: "policy: {tolerate: hyperthreading}" })),
    "E-FIELD-MISSING",
    ["namespace", "--policy-namespace"],
  ],
  [
    "128",
    "a namespace with a blank",
    () => readMesh(meshText({ policy: 'policy:\n  namespace: "a b"' })),
    "E-POLICY-NAME",
    ["allowed characters"],
  ],
  ["129", "an empty component", () => readMesh(meshText({ policy: 'policy:\n  namespace: "a//b"' })), "E-POLICY-NAME", ["empty component"]],
  ["129", "a leading slash", () => readMesh(meshText({ policy: "policy:\n  namespace: /a" })), "E-POLICY-NAME", ["empty component"]],
  ["130", "an unknown toleration", policy('tolerate: "outdated"'), "E-TOLERATE", ["outdated-tcb", "maa-managed-tcb"]],
  ["131", "debug mode tolerated in production", policy('tolerate: "debug-mode"'), "E-TOLERATE-DEBUG", ["--mode debug"]],
  ["132", "all advisories as a word", policy('ignore_advisories: "all"'), "E-ADVISORY", ["* or IDs"]],
  ["132a", "an unknown kind of evidence", policy("evidence: sgx2"), "E-EVIDENCE", ["sgx, tdx, snp, nitro, tpm, node, simulated"]],
  ["133", "maa without its toleration", policy("maa: https://maa.example.org"), "E-MAA", ["maa-managed-tcb"]],
  [
    "138",
    "an item without service beside items with it",
    envList("env:\n  - {service: global, env: []}\n  - {name: A, value: x}"),
    "E-ENV-MIXED",
    ["flat list", "sections"],
  ],
  ["139", "a section for an unknown service", envList("env: [{service: nosuch, env: []}]"), "E-ENV-SERVICE", ["app"]],
  [
    "140",
    "a section twice",
    envList("env:\n  - {service: global, env: []}\n  - {service: global, env: []}"),
    "E-ENV-DUPLICATE",
    ["lines 11 and 12"],
  ],
  [
    "141",
    "a variable twice in a section",
    envList("env: [{service: global, env: [{name: A, value: 1}, {name: A, value: 2}]}]"),
    "E-ENV-DUPLICATE",
    ["A", "lines"],
  ],
  ["142", "a variable without value", envList("env: [{service: global, env: [{name: LONELY}]}]"), "E-FIELD-MISSING", ["LONELY"]],
  ["143", "no services", serviceList("services: []"), "E-FIELD-EMPTY", ["services"]],
  [
    "144",
    "two services of one derived name",
    serviceList("services:\n  - image: reg.example.org/a.b:1\n  - image: reg.example.org/x/a-b:2"),
    "E-SERVICE-DUPLICATE",
    ["a-b", "lines"],
  ],
  ["145", "a reserved name", serviceList("services: [{name: global, image: 'r.example.org/x:1'}]"), "E-SERVICE-NAME", ["reserved"]],
  [
    "146",
    "a name with a blank",
    serviceList("services: [{name: 'my service', image: 'r.example.org/x:1'}]"),
    "E-SERVICE-NAME",
    ["allowed characters"],
  ],
  ["147", "a service without image", serviceList("services: [{name: app}]"), "E-FIELD-MISSING", ["image"]],
  ["161", "a word as extra value", () => readMesh(meshText({ extra: 'helm_extra_values: ["a"]' })), "E-EXTRA-VALUES", ["path=value"]],
  [
    "162",
    "extra values that are no YAML",
    () => readMesh(meshText({ extra: 'helm_extra_values: "a: ["' })),
    "E-EXTRA-VALUES",
    ["YAML error"],
  ],
  ["163", "a repo without destination", () => readMesh(meshText({ repo: "repo: {push: true}" })), "E-FIELD-MISSING", ["destination"]],
];

const app = (parts: Readonly<Record<string, string | null>> = {}) => imageOf(serviceText(parts));
const globals = (...variables: string[]) => `env:\n  - service: global\n    env:\n${variables.map((text) => `      - ${text}`).join("\n")}`;
const wants = (...names: string[]) =>
  app({ environment: `environment:\n  global:\n${names.map((name) => `    - name: ${name}`).join("\n")}` });
const owner = imageOf(
  serviceText({
    secrets:
      "secrets:\n  global:\n    - {name: store_key, kind: private-key}\n    - {name: store_ca, kind: x509-ca, private_key: store_key}\n    - {name: token, kind: binary}\n    - {name: pw, kind: ascii}",
  }),
);
const two = (name = "store") =>
  `services:\n  - {name: app, image: 'reg.example.org/x/app:1'}\n  - {name: ${name}, image: 'reg.example.org/x/store:1'}`;
const importing = (items: string, more: Readonly<Record<string, string | null>> = {}) =>
  app({ secrets: `secrets:\n  import: ${items}`, ...more });
const plan =
  (
    mesh: Readonly<Record<string, string | null>>,
    images = { app: app() } as Parameters<typeof planOf>[1],
    more: Parameters<typeof planOf>[2] = {},
  ) =>
  () =>
    planOf(meshText(mesh), images, more).diagnostics;
const environmentWith = (value: string) => ({ environment: `environment:\n  local:\n    - {name: A, value: "${value}"}` });

const PLANNING: readonly Line[] = [
  ["38", "a variable that the mesh does not set", plan({}, { app: wants("HOST") }), "E-VAR-UNDEFINED", ["app", "HOST"]],
  [
    "39",
    "an unknown variable in a file",
    plan({}, { app: app({ injection_files: 'injection_files:\n  - {path: /etc/app.conf, content: "{{NOPE}}"}' }) }),
    "E-VAR-UNDEFINED",
    ["NOPE"],
  ],
  [
    "40",
    "variables that refer to each other",
    plan({ env: globals('{name: A, value: "{{B}}"}', '{name: B, value: "{{A}}"}') }, { app: wants("A", "B") }),
    "E-VAR-CYCLE",
    ["A → B → A"],
  ],
  [
    "41",
    "a name of the platform",
    plan({ env: globals("{name: session, value: x}") }),
    "E-VAR-RESERVED",
    ["reserved names", "cas_service_name"],
  ],
  [
    "43",
    "a secret that nobody defines, in a variable of the mesh",
    plan({ env: globals('{name: A, value: "$$SCONE::nope$$"}') }, { app: wants("A") }),
    "E-SECRET-UNKNOWN",
    ["app", "nope"],
  ],
  [
    "44",
    "a key of an ascii secret",
    plan({ services: two() }, { app: importing("[pw]", environmentWith("$$SCONE::pw.key$$")), store: owner }),
    "E-SECRET-FORMAT",
    ["formats of ascii"],
  ],
  [
    "45",
    "raw bytes in a variable",
    plan({ services: two() }, { app: importing("[token]", environmentWith("$$SCONE::token$$")), store: owner }),
    "E-SECRET-FORMAT",
    [":hex"],
  ],
  [
    "46",
    "a secret in the chart",
    plan({ env: globals('{name: imagePullSecrets, value: "$$SCONE::x$$"}') }),
    "E-SECRET-PLACE",
    ["chart is public"],
  ],
  [
    "55",
    "a CA imported without its key as issuer",
    plan(
      { services: two() },
      {
        app: imageOf(
          serviceText({
            secrets:
              "secrets:\n  import: [store_ca]\n  global:\n    - {name: k, kind: private-key}\n    - {name: leaf, kind: x509, private_key: k, issuer: store_ca}",
          }),
        ),
        store: owner,
      },
    ),
    "E-SECRET-ISSUER",
    ["not available", "import"],
  ],
  [
    "72",
    "an import that nobody defines",
    plan({ services: two() }, { app: importing("[tokn]"), store: owner }),
    "E-SECRET-UNRESOLVED",
    ["token", "store"],
  ],
  [
    "73",
    "an import that two services define",
    plan(
      { services: `${two()}\n  - {name: third, image: 'reg.example.org/x/third:1'}` },
      { app: importing("[token]"), store: owner, third: owner },
    ),
    "E-SECRET-AMBIGUOUS",
    ["store", "third", "{name: token, from: store}"],
  ],
  [
    "74",
    "an import of an own secret",
    plan(
      { services: two() },
      { app: app({ secrets: "secrets:\n  import: [token]\n  global: [{name: token, kind: binary}]" }), store: owner },
    ),
    "E-SECRET-SELF",
    ["token"],
  ],
  [
    "75",
    "an import from an unknown service",
    plan({ services: two() }, { app: importing("[{name: a, from: nosuch}]"), store: owner }),
    "E-SECRET-UNRESOLVED",
    ["store"],
  ],
  [
    "137a",
    "a signed manifest with an encrypted program",
    plan({ cas: `cas:\n  - {cas_url: cas, mode: SignedManifest}` }, { app: imageOf(serviceText(), { encrypted: true }) }),
    "E-SIGNED-CODEKEY",
    ["EncryptedManifest", "encrypt: false"],
  ],
  ["149", "an image without metadata", plan({}, {}), "E-META-MISSING", ["image_policy", "genservice"]],
  [
    "151",
    "an image built in debug mode",
    plan({}, { app: imageOf(serviceText(), { metadata: { mode: "debug" } }) }),
    "E-MODE-MISMATCH",
    ["debug", "production"],
  ],
  [
    "153",
    "secrets of an image as a mapping",
    plan(
      { services: "services: [{name: app, image: 'r.example.org/x:1', image_secrets: s.yaml}]" },
      { app: imageOf(serviceText(), { overrides: { secrets: "a: 1" } }) },
    ),
    "E-FIELD-TYPE",
    ["list of secrets"],
  ],
  [
    "154",
    "a policy without the code identity",
    plan(
      { services: "services: [{name: app, image: 'r.example.org/x:1', image_policy: p.yaml}]" },
      {
        app: imageOf(serviceText(), {
          overrides: { policy: 'name: "{{session}}"\nservices: [{name: p, command: [p], pwd: /, attestation: [{mrenclave: ["00"]}]}]' },
        }),
      },
    ),
    "E-POLICY-TEMPLATE",
    ["code identity"],
  ],
  [
    "155",
    "a chart without Chart.yaml",
    plan(
      { services: "services: [{name: app, image: 'r.example.org/x:1', helm_chart: dir}]" },
      { app: imageOf(serviceText(), { overrides: { chart: new Map() } }) },
    ),
    "E-CHART",
    ["dir"],
  ],
  ["156", "a port that is none", plan({ env: globals("{name: APP_SERVICE_PORT, value: abc}") }), "E-CHART-VALUE", ["port"], "13:41"],
  [
    "157",
    "an unknown device plugin",
    plan({ env: globals("{name: useSGXDevPlugin, value: intel}") }),
    "E-CHART-VALUE",
    ["scone, azure or none"],
  ],
  ["158", "azure without memory", plan({ env: globals("{name: useSGXDevPlugin, value: azure}") }), "E-CHART-VALUE", ["sgxEpcMem"]],
  [
    "159",
    "an unknown restart policy",
    plan({ env: globals("{name: restartPolicy, value: Sometimes}") }),
    "E-CHART-VALUE",
    ["Always, OnFailure or Never"],
  ],
  ["160", "extra values of nobody", plan({ extra: "helm_extra_values: {nosuch: {}}" }), "E-EXTRA-VALUES", ["global, app"]],
  [
    "164",
    "two policies of one resource name",
    plan(
      { services: "services:\n  - {name: a_b, image: 'r.example.org/x:1'}\n  - {name: a-b, image: 'r.example.org/x:1'}" },
      { a_b: app(), "a-b": app() },
    ),
    "E-NAME-COLLISION",
    ["a_b", "a-b"],
  ],
  [
    "165",
    "a host name that is too long",
    plan(
      { services: `services:\n  - {name: ${"s".repeat(40)}, image: 'r.example.org/x:1'}` },
      { ["s".repeat(40)]: app() },
      { release: "r".repeat(40) },
    ),
    "E-NAME-LENGTH",
    ["63"],
  ],
];

for (const [number, what, diagnostics, code, says, at] of [...READING, ...PLANNING]) {
  test(`bad input ${number}: ${what} is ${code}`, () => {
    assertFinding(diagnostics(), { code, says, ...(at === undefined ? {} : { at }) });
  });
}

const storeWith = (key: string) =>
  imageOf(serviceText({ secrets: `secrets:\n  global:\n    - ${key}\n    - {name: store_ca, kind: x509-ca, private_key: store_key}` }));
const useCa = environmentWith("$$SCONE::store_ca$$");
const ACCEPTED: readonly (readonly [
  number: string,
  what: string,
  diagnostics: () => readonly ManifestDiagnostic[],
  warning: string | undefined,
])[] = [
  ["170", "restartPolicy OnFailure of a Deployment", plan({ env: globals("{name: restartPolicy, value: OnFailure}") }), "W-RESTART-POLICY"],
  ["171", "the wildcard of advisories", policy('ignore_advisories: "*"'), "W-ADVISORY-WILDCARD"],
  [
    "172",
    "an empty namespace of Kubernetes",
    plan({ env: globals('{name: K8sNAMESPACE, value: ""}') }, { app: wants("K8sNAMESPACE") }),
    "W-K8S-NAMESPACE",
  ],
  ["173", "a flat list of variables", envList("env:\n  - {name: A, value: x}"), "W-ENV-FLAT"],
  ["174", "tolerations as words of the CAS", cas('tolerance: "--software-hardening-needed --insecure-configuration"'), undefined],
  ["175", "a namespace that starts with -", () => readMesh(meshText({ policy: "policy:\n  namespace: -123-456" })), undefined],
  ["179", "a variable without effect", plan({ env: globals("{name: session_secrets, value: x}") }), undefined],
  ["179", "a misspelt variable", plan({ env: globals("{name: REDIS_HSOT, value: x}") }), "W-VAR-UNUSED"],
  ["180", "the tag latest", serviceList("services: [{name: app, image: 'r.example.org/x:latest'}]"), undefined],
  [
    "182",
    "a host without release",
    plan({ env: globals("{name: REDIS_HOST, value: -redis}") }, { app: wants("REDIS_HOST") }),
    "W-HOST-UNKNOWN",
  ],
  ["184", "an own CA whose key does not migrate", plan({}, { app: storeWith("{name: store_key, kind: private-key}") }), undefined],
  [
    "185",
    "evidence of the node agent",
    plan({}, { app: app() }, { evidence: { kinds: ["node"], simulates: undefined } }),
    "W-EVIDENCE-WEAK",
  ],
  [
    "186",
    "the key of a CA by its name",
    plan(
      { services: two() },
      {
        app: importing("[store_key]", environmentWith("$$SCONE::store_key$$")),
        store: storeWith("{name: store_key, kind: private-key, migrate: true}"),
      },
    ),
    "W-CA-KEY-EXPORT",
  ],
  [
    "187",
    "an imported CA whose key does not migrate",
    plan({ services: two() }, { app: importing("[store_ca]", useCa), store: storeWith("{name: store_key, kind: private-key}") }),
    "W-CA-MIGRATE",
  ],
  [
    "188",
    "a CAS for testing in production",
    cas('tolerance: "--only_for_testing-debug --only_for_testing-ignore-signer --only_for_testing-trust-any"'),
    "W-CAS-INSECURE",
  ],
  [
    "189",
    "an export to a namespace",
    plan(
      { services: "services: [{name: app, image: 'r.example.org/x:1', image_secrets: s.yaml}]" },
      { app: imageOf(serviceText(), { overrides: { secrets: "- {name: a, kind: ascii, export: [{namespace: team-1}]}" } }) },
    ),
    "W-EXPORT-NAMESPACE",
  ],
  ["190", "an image among the extra values", plan({ extra: "helm_extra_values: {app: {image: x}}" }), "W-EXTRA-OVERRIDE"],
  ["191", "an import that nothing uses", plan({ services: two() }, { app: importing("[token]"), store: owner }), "W-IMPORT-UNUSED"],
  ["194", "two services of one image", plan({ services: two() }, { app: owner, store: owner }), "W-SECRET-SHARED-NAME"],
  [
    "195",
    "an explicit value in a signed manifest",
    plan(
      { cas: "cas:\n  - {cas_url: cas, mode: SignedManifest}" },
      { app: app({ secrets: "secrets:\n  global: [{name: a, kind: ascii, value: open}]" }) },
    ),
    "W-SIGNED-SECRET",
  ],
  [
    "196",
    "a variable that is used but not declared",
    plan({ env: globals("{name: X, value: x}") }, { app: app(environmentWith("{{X}}")) }),
    "W-VAR-UNDECLARED",
  ],
];
for (const [number, what, diagnostics, warning] of ACCEPTED) {
  test(`input ${number}: ${what} is accepted${warning === undefined ? "" : ` with ${warning}`}`, () => {
    assert.deepEqual([...new Set(diagnostics().map(({ rule }) => rule))], warning === undefined ? [] : [warning]);
  });
}

test("MF-101: the keys of the tutorial's CAS are accepted", () => {
  assert.deepEqual(cas(`cas_key: ${CAS_KEY}\n    cas_encryption_key: ${ENCRYPTION_KEY}`)(), []);
});
