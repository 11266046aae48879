import assert from "node:assert/strict";
import { test } from "node:test";
import { planService, readServiceManifest } from "../src/index.ts";
import { assertFinding } from "../src/testing/assert-finding.ts";
import { serviceWithBuild } from "../src/testing/mesh-fixture.ts";

const DISCRETION = ["-XX:+DisableAttachMechanism", "-XX:-UsePerfData", "-XX:ErrorFile=/dev/null"];

function plan(fields: string, libraries: readonly string[] = [], environment = "") {
  const text = serviceWithBuild(fields, ["kind", "command"]).replace("environment: {}", environment || "environment: {}");
  const { manifest, diagnostics } = readServiceManifest(text, "service.yaml");
  assert(manifest !== undefined, JSON.stringify(diagnostics));
  return planService(manifest, { copy: [], libraries }, { mode: "production" });
}

const COMMANDS: readonly (readonly [given: string, planned: readonly string[]])[] = [
  ["java App", ["java", "-cp", "/app:/app/a.jar:/app/lib/b.jar", ...DISCRETION, "App"]],
  [
    "java -Xmx64m main.java.App -cp none",
    ["java", "-cp", "/app:/app/a.jar:/app/lib/b.jar", ...DISCRETION, "-Xmx64m", "main.java.App", "-cp", "none"],
  ],
  [
    "java --add-modules java.sql App -jar",
    ["java", "-cp", "/app:/app/a.jar:/app/lib/b.jar", ...DISCRETION, "--add-modules", "java.sql", "App", "-jar"],
  ],
  ["/usr/bin/java App", ["/usr/bin/java", "-cp", "/app:/app/a.jar:/app/lib/b.jar", ...DISCRETION, "App"]],
  ["java -cp x App", ["java", ...DISCRETION, "-cp", "x", "App"]],
  ["java -Xint -classpath x App", ["java", ...DISCRETION, "-Xint", "-classpath", "x", "App"]],
  ["java --class-path=x App", ["java", ...DISCRETION, "--class-path=x", "App"]],
  ["java -jar a.jar", ["java", ...DISCRETION, "-jar", "a.jar"]],
  ["sh -c 'java App'", ["sh", "-c", "java App"]],
];
for (const [given, planned] of COMMANDS) {
  test(`MF-56: the class path of ${JSON.stringify(given)} is the working directory and all copied archives, unless there is one`, () => {
    const { manifest, diagnostics } = plan(`kind: java21\npwd: /app\ncommand: ${given}`, ["/app/a.jar", "/app/lib/b.jar"]);
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(manifest?.command, planned);
    for (const word of planned) assert(manifest?.metadata.policyTemplate.includes(word), word);
  });
}

const RELEASES = { java: 17, java17: 17, "java-glibc": 17, "java17-glibc": 17, java21: 21, "java21-ubuntu": 21 };
for (const [kind, release] of Object.entries(RELEASES)) {
  test(`manifests section 3.6: the base of ${kind} is OpenJDK ${release}, all of it from the Debian release that maintains it; classes are encrypted`, () => {
    const { manifest } = plan(`kind: ${kind}\ncommand: java App`);
    const suite = release === 17 ? "bookworm" : "trixie";
    assert.deepEqual(manifest?.base, { kind: "debian", packages: [`openjdk-${release}-jre-headless`], suite });
    assert.equal(manifest?.encrypt, true);
    assert.deepEqual(manifest?.runtimeSettings, { SCONE_ALLOW_DLOPEN: "1", SCONE_FORK: "1", SCONE_MPROTECT: "1" });
  });
}

test("MF-37: an interpreter may load code, start programs and change memory unless the manifest says otherwise", () => {
  const { manifest } = plan("kind: python\ncommand: python3 a.py", [], "environment: {local: [{name: SCONE_ALLOW_DLOPEN, value: 0}]}");
  assert.deepEqual(manifest?.runtimeSettings, { SCONE_ALLOW_DLOPEN: "0", SCONE_FORK: "1", SCONE_MPROTECT: "1" });
});

for (const kind of ["java8", "java15"]) {
  test(`${kind} is refused by name, with what to use instead`, () => {
    const release = kind.slice(4);
    const says = [`no stable Debian release maintains Java ${release}`, "java17 or java21"];
    assertFinding(plan(`kind: ${kind}\ncommand: java App`).diagnostics, { code: "E-BUILD-KIND", says });
  });
}

test("MF-56: a command that names a source is E-COMMAND, with the class", () => {
  const { diagnostics } = plan("kind: java17\ncommand: java main/java/App.java");
  assertFinding(diagnostics, { code: "E-COMMAND", says: ["main/java/App.java", "java main.java.App"] });
});

test("MF-56: an archive whose name has a colon cannot be put on the class path", () => {
  assertFinding(plan("kind: java17\ncommand: java App", ["/a:b.jar"]).diagnostics, { code: "E-COMMAND", says: ["/a:b.jar", "colon"] });
});

test("manifests section 3.2: a heap beyond SCONE_HEAP is E-RUNTIME-VALUE: the pod would be killed when it fills", () => {
  const environment = "environment: {local: [{name: SCONE_HEAP, value: 512M}]}";
  const { diagnostics } = plan("kind: java21\ncommand: java -Xmx1g App", [], environment);
  assertFinding(diagnostics, { code: "E-RUNTIME-VALUE", says: ["-Xmx1g", "512M", "two thirds"] });
  assert.deepEqual(plan("kind: java21\ncommand: java -Xmx300m App -Xmx9g", [], environment).diagnostics, []);
});
