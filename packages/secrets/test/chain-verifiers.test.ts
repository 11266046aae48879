/** Chains as other ecosystems verify them: Go, Python, zlint. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isInstalled, run, temporaryDirectory, write } from "./real-tools.ts";
import { certificateOf, chainSecrets, valuesOf } from "./session-fixture.ts";

const VERIFIERS = join(import.meta.dirname, "verifiers");
const ZLINT_VERSION = "v3.7.3";
const CACHE = join(import.meta.dirname, "../../../.cache/go");
/** Rules of the standards. The others are for certificates of the public web (registered domains, 398 days, policies), which ours are not. */
const LINT_SOURCES = "RFC3279,RFC5280,RFC5480,RFC5891,RFC8813,Community";

/** All that are not post-quantum, which these verifiers do not know yet. */
const KEY_TYPES = ["P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"];

function chainDirectory(t: TestContext, keyType: string): string {
  const made = valuesOf(chainSecrets(keyType));
  const server = certificateOf(made, "server");
  const client = certificateOf(made, "client");
  const [middle = "", root = ""] = server.chain;
  const directory = temporaryDirectory(t);
  write(directory, {
    "root.pem": root,
    "middle.pem": middle,
    "server.pem": server.certificate,
    "client.pem": client.certificate,
    "key.pem": server.privateKey ?? "",
    "server-chain.pem": server.certificate + middle,
    "client-chain.pem": client.certificate + middle,
  });
  return directory;
}

for (const keyType of KEY_TYPES) {
  test(`SL-132 Python's ssl and cryptography accept a chain of three with ${keyType} keys in strict mode`, (t) => {
    // The path rules of `cryptography` are those of the public web, which know no Ed25519.
    const path = keyType === "Ed25519" ? [] : ["path"];
    t.diagnostic(run("python3", [join(VERIFIERS, "verify.py"), chainDirectory(t, keyType), ...path]).trim());
  });

  test(`SL-132 Java's path validation accepts a chain of three with ${keyType} keys`, (t) => {
    if (!isInstalled("javac")) return t.diagnostic("no Java compiler is installed: nothing was checked");
    assert.match(run("java", [join(VERIFIERS, "Verify.java"), chainDirectory(t, keyType)]), /verified/);
  });

  test(`SL-132 Go's crypto/x509 accepts a chain of three with ${keyType} keys`, (t) => {
    if (!isInstalled("go")) return t.diagnostic("Go is not installed: nothing was checked");
    assert.match(run("go", ["run", join(VERIFIERS, "verify.go"), chainDirectory(t, keyType)]), /verified/);
  });
}

/** A CA that may speak for shop.example alone, and two certificates of it: one that it may issue, one that it may not. */
function constrainedDirectory(t: TestContext): string {
  const made = valuesOf(`
  - {name: ca_key, kind: private-key}
  - {name: ca, kind: x509-ca, private_key: ca_key, common_name: Root, x509: {name_constraints: {permitted_dns: [shop.example]}}}
  - {name: k, kind: private-key}
  - {name: inside, kind: x509, private_key: k, issuer: ca, endpoint: server, common_name: a b, san: "dns:a.shop.example"}
  - {name: outside, kind: x509, private_key: k, issuer: ca, endpoint: server, common_name: a b, san: "dns:a.other.example"}
`);
  const directory = temporaryDirectory(t);
  const files = ["ca", "inside", "outside"].map((name) => [`${name}.pem`, certificateOf(made, name).certificate]);
  write(directory, { ...Object.fromEntries(files), "key.pem": certificateOf(made, "inside").privateKey ?? "" });
  return directory;
}

test("SL-132 extension x509: Python's ssl obeys the name constraints of a CA", (t) => {
  assert.match(run("python3", [join(VERIFIERS, "constraints.py"), constrainedDirectory(t)]), /verified/);
});

test("SL-132 extension x509: Go's crypto/x509 obeys the name constraints of a CA", (t) => {
  if (!isInstalled("go")) return t.diagnostic("Go is not installed: nothing was checked");
  assert.match(run("go", ["run", join(VERIFIERS, "constraints.go"), constrainedDirectory(t)]), /verified/);
});

/** zlint of the pinned version, built once into the cache; undefined without Go or network. */
function zlint(): string | undefined {
  const binary = join(CACHE, ZLINT_VERSION, "zlint");
  if (existsSync(binary)) return binary;
  const env = { ...process.env, GOBIN: join(CACHE, ZLINT_VERSION), GOFLAGS: "-mod=mod" };
  spawnSync("go", ["install", `github.com/zmap/zlint/v3/cmd/zlint@${ZLINT_VERSION}`], { env, timeout: 120_000 });
  return existsSync(binary) ? binary : undefined;
}

test("SL-131, SL-132 zlint finds no error and no warning in any certificate of a chain", (t) => {
  const binary = zlint();
  if (binary === undefined) return t.diagnostic(`zlint ${ZLINT_VERSION} could not be built (Go and network needed): nothing was checked`);
  for (const keyType of KEY_TYPES) {
    const directory = chainDirectory(t, keyType);
    for (const name of ["root", "middle", "server", "client"]) {
      const report: Readonly<Record<string, { readonly result: string }>> = JSON.parse(
        run(binary, [`-includeSources=${LINT_SOURCES}`, join(directory, `${name}.pem`)]),
      );
      const findings = Object.entries(report).filter(([, { result }]) => ["fatal", "error", "warn"].includes(result));
      assert.deepEqual(findings, [], `${keyType} ${name}`);
      assert(Object.values(report).some(({ result }) => result === "pass"));
    }
  }
});
