import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse, parseDocument } from "yaml";
import { renderBuildTemplate } from "../src/chart-template.ts";
import { Findings } from "../src/diagnostic.ts";
import { readMeshManifest, readServiceManifest, substituteShellVariables, toYaml } from "../src/index.ts";
import { blockValue } from "../src/render-template.ts";
import { policyFileName, policyResourceName } from "../src/resource-name.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { imageOf, meshText, planOf, readService, serviceText } from "../src/testing/mesh-fixture.ts";

const app = imageOf(serviceText({ environment: "environment:\n  local: [{name: LOCAL, value: '<{{A}}>'}]\n  global: [{name: A}]" }));
const planWith = (value: string, section = "global") =>
  planOf(meshText({ env: `env:\n  - service: ${section}\n    env:\n      - {name: A, value: ${JSON.stringify(value)}}` }), { app });
const environmentOf = (value: string): unknown => {
  const { plan, diagnostics } = planWith(value);
  assert(plan !== undefined, JSON.stringify(diagnostics));
  return parse(toYaml(plan.policies[1]?.body ?? {})).services[0].environment;
};

test("AC-10, MF-17: a value never changes the structure of a policy", () => {
  const value = 'a"\n  tolerate: [debug-mode]';
  assert.deepEqual(environmentOf(value), { LOCAL: `<${value}>`, A: value });
});

test("hazard H2: every text survives from the mesh to the policy and the chart, in YAML 1.2 and 1.1", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }).filter((text) => !/\{\{|\$\$SCONE|\0|[\u{FDD0}-\u{FDD3}\uD800-\uDFFF]|\\\{/u.test(text)),
    fc.constantFrom(
      "yes",
      "no",
      "on",
      "0644",
      "1:30",
      "1_000",
      "~",
      "null",
      "true",
      "=",
      "<<",
      "- a",
      "a: b",
      "#x",
      "*a",
      "&a",
      "!t",
      "%d",
      "@x",
      "`x",
      " lead",
      "trail ",
      "0x1F",
      "1e3",
      ".inf",
      "2026-01-01",
      "",
    ),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const written = toYaml({ value: text, list: [text], [text === "" ? "k" : text]: "v" });
      for (const version of ["1.2", "1.1"] as const) {
        const read = parseDocument(written, { version }).toJS();
        assert.equal(read.value, text);
        assert.deepEqual(read.list, [text]);
      }
    }),
    { numRuns: 300 },
  );
});

test("hazard H2: values with metacharacters reach the program unchanged", () => {
  for (const value of ["yes", "1.10", "0644", "a: b", "#x", "'\"\\", "$HOME `id`", "{% x %}", "%s\n\ttab", "é ü 漢", "[a, b]", "*x"]) {
    assert.deepEqual(environmentOf(value), { LOCAL: `<${value}>`, A: value });
  }
});

test("MF-23: a service's own section wins over helm, helm over global, all over the default", () => {
  const image = imageOf(serviceText({ environment: "environment:\n  global: [{name: A, value: default}]" }));
  const of = (...sections: string[]) => {
    const env = sections.map((section) => `  - service: ${section}\n    env: [{name: A, value: ${section}}]`).join("\n");
    const { plan } = planOf(meshText({ env: env === "" ? "env: []" : `env:\n${env}` }), { app: image });
    return parse(toYaml(plan?.policies[1]?.body ?? {})).services[0].environment.A;
  };
  assert.deepEqual([of(), of("global"), of("global", "helm"), of("app", "global", "helm")], ["default", "global", "helm", "app"]);
});

test("MF-20: placeholders in values are resolved; MF-16: a backslash keeps them", () => {
  const env = 'env:\n  - service: global\n    env:\n      - {name: A, value: "{{B}}-x"}\n      - {name: B, value: "\\\\{{C}}"}';
  const { plan, diagnostics } = planOf(meshText({ env }), { app });
  assert(plan !== undefined, JSON.stringify(diagnostics));
  assert.equal(parse(toYaml(plan.policies[1]?.body ?? {})).services[0].environment.A, "{{C}}-x");
});

test("MF-21: a variable with an empty text is defined", () => {
  assert.deepEqual(environmentOf(""), { LOCAL: "<>", A: "" });
});

test("MF-22: a value that is a block scalar is read as one", () => {
  assert.equal(blockValue("|\n    create table a;\n      select 1;\n    drop b;\n"), "create table a;\n  select 1;\ndrop b;\n");
  assert.equal(blockValue("|-\n  x\n  y\n"), "x\ny");
  assert.equal(blockValue(">\n  x\n  y\n"), "x y\n");
  assert.equal(blockValue("| not a header"), undefined);
});

test("MF-13: $NAME and ${NAME} are replaced, $$ never", () => {
  const missing: string[] = [];
  const text = substituteShellVariables(
    "a: $A ${B} $$SCONE::x$$ $1 $C",
    new Map([
      ["A", "1"],
      ["B", "2"],
    ]),
    (name) => missing.push(name),
  );
  assert.deepEqual([text, missing], ["a: 1 2 $$SCONE::x$$ $1 $C", ["C"]]);
});

test("MF-15: in other fields $ is an ordinary character", () => {
  assert.deepEqual(readService(serviceText({ environment: 'environment:\n  local: [{name: A, value: "!#go!$#"}]' })), []);
});

test("MF-92: names of files and resources", () => {
  assert.equal(policyFileName("-12-34/My_App.x"), "-12-34-my-app-x");
  assert.equal(policyResourceName("-12-34/My_App.x"), "12-34-my-app-x");
  assert.match(policyResourceName("n".repeat(80)), /^n{54}-[0-9a-f]{8}$/);
});

test("MF-126: the build-time part of a chart template", () => {
  const findings = new Findings();
  const variables = new Map([["chartname", "kiosk"]]);
  const text =
    'name: {{chartname}}\nport: {{PORT | default(value="{{APP_SERVICE_PORT}}")}}\n{% raw %}image: {{image_name}}{% endraw %}\nlog: {{LOG | default(value="error")}}\n';
  assert.equal(
    renderBuildTemplate(text, "values.template", variables, findings),
    "name: kiosk\nport: {{APP_SERVICE_PORT}}\nimage: {{image_name}}\nlog: error\n",
  );
  assert.deepEqual(findings.list(), []);
});

test("bad input 167: a statement in a chart template is E-TPL-SYNTAX", () => {
  const findings = new Findings();
  renderBuildTemplate("a\n{% if x %}", "values.template", new Map(), findings);
  assertFinding(findings.list(), { code: "E-TPL-SYNTAX", says: ["supported forms"], at: "2:1" });
});

test("bad input 168: an undefined name in a chart template is E-TPL-UNDEFINED", () => {
  const findings = new Findings();
  renderBuildTemplate("a: {{NOPE}}", "values.template", new Map(), findings);
  assertFinding(findings.list(), { code: "E-TPL-UNDEFINED", says: ["NOPE", "values.template", "line 1"], at: "1:4" });
});

test("hazard H1: whatever the text, reading ends with findings that have code and place, never with a crash", () => {
  const whole = [serviceText(), meshText()].join("\n---\n");
  const fragments = fc.constantFrom(
    "{{",
    "}}",
    "$$SCONE::",
    ": ",
    "- ",
    "\n",
    "\t",
    "|",
    "&a ",
    "*a",
    "!!x ",
    "'",
    '"',
    "[",
    "{",
    "\0",
    "\u{FDD0}",
    "__proto__: ",
    "<<: *a\n",
    "name",
    "kind: mesh\n",
  );
  const mutated = fc
    .tuple(
      fc.constantFrom(serviceText(), meshText(), whole),
      fc.array(fc.tuple(fc.nat(), fc.nat(5), fc.oneof(fragments, fc.string({ maxLength: 5 }))), { maxLength: 4 }),
    )
    .map(([text, edits]) =>
      edits.reduce(
        (before, [at, remove, insert]) =>
          before.slice(0, at % (before.length + 1)) + insert + before.slice((at % (before.length + 1)) + remove),
        text,
      ),
    );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string({ maxLength: 200 })), (text) => {
      for (const { diagnostics, manifest } of [readServiceManifest(text, "f"), readMeshManifest(text, "f")]) {
        assert.equal(
          manifest === undefined,
          diagnostics.some(({ severity }) => severity === "error"),
        );
        for (const { rule, line, column } of diagnostics) assert.ok(/^[EW]-/.test(rule) && line >= 1 && column >= 1);
      }
    }),
    { numRuns: 400 },
  );
});

test("hazard H3: __proto__ and constructor are ordinary names", () => {
  const { plan, diagnostics } = planOf(
    meshText({ extra: "helm_extra_values: {app: {__proto__: {polluted: true}, constructor: {x: 1}}}" }),
    { app: imageOf(serviceText()) },
  );
  assert(plan !== undefined, JSON.stringify(diagnostics));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.ok(Object.hasOwn(plan.services[0]?.chart.extra ?? {}, "__proto__"));
});
