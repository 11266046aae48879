import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseOwnerConfig } from "@vouchsafe/cas";
import { parseOptions } from "../../parse-options.ts";
import type { Shell } from "../../shell.ts";
import { casImage, readCasManifest } from "./cas-manifest.ts";
import { PROVISION_OPTIONS } from "./kubernetes-spec.ts";
import { readOwnerConfig } from "./owner-config.ts";

function shellWith(t: TestContext, files: Readonly<Record<string, string>> = {}, environment: Record<string, string> = {}): Shell {
  const directory = mkdtempSync(join(tmpdir(), "provision-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return {
    program: "vouchsafe",
    out: () => undefined,
    outBytes: () => undefined,
    isOutTerminal: false,
    note: () => undefined,
    environment,
    directory,
    casConfig: join(directory, "cas"),
    readInput: async () => new Uint8Array(),
    colour: false,
    isTerminal: false,
    signal: new AbortController().signal,
  };
}
const options = (...argv: readonly string[]) => parseOptions(PROVISION_OPTIONS, argv, { maxOperands: 9 });
const cas = { name: "cas", namespace: "ns" };
const HEAD = "apiVersion: services.scone.cloud/v1beta1\nkind: CAS\n";

/** Table of cli.md section 9: short, long, whether it has an argument. */
const TABLE = `n namespace=, v verbose, - debug, d dcap-api=, o owner-config=, - target=, - no-backup, - webhook=, - manifests-dir=,
  - image-registry=, f filename=, - is-provisioned, - print-public-keys, - verify, - set-version=, - image-overwrite=, - local-backup,
  - cas-database-recovery=, - set-tolerations=, - set-toleration=, - upgrade=, - force, - wait, - preprovision-only, - postprovision-only,
  - postprovision-owner-identity=, - cas-address=, - cas-client-port=, - no-docker, - no-image-signature-check, - verify-image-signatures=,
  - vault-client, - cas=, - help, - version`;
for (const line of TABLE.split(",").map((each) => each.trim())) {
  const [, short = "", long = "", argument] = /^(\S) ([a-z-]+)(=?)$/.exec(line) ?? assert.fail(line);
  test(`section 9: --${long} is an option of kubectl provision${argument === "=" ? " with an argument" : ""}`, () => {
    const found = PROVISION_OPTIONS.find((option) => option.long === long) ?? assert.fail(`--${long} is missing`);
    assert.equal(found.short ?? "-", short);
    assert.equal(found.value !== undefined, argument === "=");
  });
}

test("section 9: --no-docker, --verbose and --debug are accepted and change nothing of the resource", async (t) => {
  const shell = shellWith(t, {}, { SCONECTL_REPO: "r.example/v", VERSION: "1.2.3" });
  const plain = await readCasManifest(cas, options("cas"), shell);
  assert.deepEqual(await readCasManifest(cas, options("cas", "--no-docker", "-v", "--debug", "--no-image-signature-check"), shell), plain);
});

test("CL-42: without a manifest the resource is what the options say", async (t) => {
  const shell = shellWith(t, {}, { SCONECTL_REPO: "r.example/v", VERSION: "1.2.3" });
  const plain = await readCasManifest(cas, options("cas"), shell);
  const image = "r.example/v/cas:1.2.3";
  const spec = { imagePullSecrets: [{ name: "sconeapps" }], image };
  assert.deepEqual(plain, {
    spec: { ...spec, databaseSnapshots: { enabled: true }, "backup-controller": { enabled: true } },
    isExplicit: false,
    image: undefined,
  });
  assert.deepEqual((await readCasManifest(cas, options("cas", "--no-backup"), shell)).spec, spec);
  assert.equal(casImage(options("cas", "--image-registry", "other", "--set-version", "9"), shell), "other/cas:9");
  assert.equal(casImage(options("cas"), shellWith(t, {}, { IMAGE_REPO: "mine", SCONECTL_REPO: "r" })), "mine/cas:latest");
  const overwritten = await readCasManifest(cas, options("cas", "--image-overwrite", "x@sha256:1"), shell);
  assert.deepEqual([overwritten.isExplicit, overwritten.image], [false, "x@sha256:1"]);
});

test("CL-42: -f and --manifests-dir name a manifest, which counts for a CAS that exists too", async (t) => {
  const manifest = `${HEAD}metadata: {name: cas, namespace: ns}\nspec: {persistence: {enabled: true}, image: mine}\n`;
  const shell = shellWith(t, { "cas.yaml": manifest });
  const expected = { spec: { persistence: { enabled: true }, image: "mine" }, isExplicit: true, image: undefined };
  assert.deepEqual(await readCasManifest(cas, options("cas", "-f", "cas.yaml"), shell), expected);
  assert.deepEqual(await readCasManifest(cas, options("cas", "--manifests-dir", "."), shell), expected);
  const overwritten = await readCasManifest(cas, options("cas", "-f", "cas.yaml", "--image-overwrite", "other"), shell);
  assert.deepEqual(overwritten.spec, { persistence: { enabled: true }, image: "other" });
});

test("--verify-image-signatures needs a key, and an image to verify", async (t) => {
  const manifest = `${HEAD}spec: {persistence: {enabled: true}}\n`;
  const shell = shellWith(t, { "cas.yaml": manifest, "cosign.pub": "no key" }, { SCONECTL_REPO: "r.example/v" });
  const read = (...argv: readonly string[]) => readCasManifest(cas, options("cas", "--verify-image-signatures", ...argv), shell);
  await assert.rejects(read("none.pub"), { code: "E-FILE-MISSING" });
  await assert.rejects(read("cosign.pub"), { code: "E-IMAGE-SIGNATURE", message: /no public key in PEM form/ });
  await assert.rejects(read("cosign.pub", "-f", "cas.yaml"), { code: "E-OPTION-VALUE", message: /no image is named/ });
});

const wrongManifests = [
  { what: "another kind", text: "apiVersion: v1\nkind: Pod\n", says: /no manifest of a CAS: apiVersion/ },
  { what: "two documents", text: `${HEAD}---\n${HEAD}`, says: /it has 2 documents/ },
  { what: "nothing", text: "", says: /it has no documents/ },
  { what: "broken YAML", text: "a: [", says: /no manifest of a CAS/ },
  { what: "another name", text: `${HEAD}metadata: {name: other}\n`, says: /has the name other, and cas was asked for/ },
  { what: "another namespace", text: `${HEAD}metadata: {namespace: other}\n`, says: /has the namespace other/ },
];
for (const { what, text, says } of wrongManifests) {
  test(`CL-42: a manifest with ${what} is refused before anything is touched`, async (t) => {
    const shell = shellWith(t, { "m.yaml": text });
    await assert.rejects(readCasManifest(cas, options("cas", "-f", "m.yaml"), shell), { code: "E-OPTION-VALUE", message: says });
  });
}

test("CL-42: a manifest that is not there, and one from an address without TLS", async (t) => {
  const shell = shellWith(t);
  await assert.rejects(readCasManifest(cas, options("cas", "-f", "none.yaml"), shell), { code: "E-FILE-MISSING" });
  await assert.rejects(readCasManifest(cas, options("cas", "-f", "http://h/cas.yaml"), shell), { code: "E-OPTION-VALUE" });
});

test("C-10, CL-42: the CAS reads the owner configuration that the options make", async (t) => {
  const shell = shellWith(t, { "owner.toml": "[audit_log]\nmode = 'unsigned'\n" });
  const plain = await readOwnerConfig(options("cas"), shell);
  assert.equal(plain.isExplicit, false);
  assert.equal(parseOwnerConfig(plain.text, "f").auditLog.mode, "disabled");
  const forwarded = await readOwnerConfig(options("cas", "--webhook", "https://audit.example/in"), shell);
  assert.deepEqual(parseOwnerConfig(forwarded.text, "f").auditLog, {
    ...{ mode: "signed", sink: "network", url: "https://audit.example/in", serverCa: undefined },
  });
  assert.equal(forwarded.isExplicit, true);
  assert.equal((await readOwnerConfig(options("cas", "-o", "owner.toml"), shell)).text, "[audit_log]\nmode = 'unsigned'\n");
});

const wrongConfigs = [
  { argv: ["--webhook", "http://plain"], code: "E-OPTION-VALUE" },
  { argv: ["--dcap-api", "short"], code: "E-OPTION-VALUE" },
  { argv: ["-o", "owner.toml", "--webhook", "https://h"], code: "E-OPTION-VALUE" },
  { argv: ["-o", "none.toml"], code: "E-FILE-MISSING" },
];
for (const { argv, code } of wrongConfigs) {
  test(`CL-42: ${argv.join(" ")} is ${code}`, async (t) => {
    await assert.rejects(readOwnerConfig(options("cas", ...argv), shellWith(t, { "owner.toml": "" })), { code });
  });
}
