import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";

const SERVICE =
  "apiVersion: scone/5.8\nkind: genservice\nenvironment: {}\nbuild:\n  name: app\n  kind: python\n  to: vouchsafe.local/app:1\n  command: python3 app.py\n";
const MESH =
  "apiVersion: scone/5.8\nkind: mesh\ncas: [{cas_url: cas, mode: NoUpload, cas_encryption_key: 5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41}]\npolicy: {namespace: team-1}\nenv: []\nservices: [{name: app, image: vouchsafe.local/app:1}]\n";

/** cli.md section 16: what is typed, the code, words of the text. */
type Line = readonly [
  number: string,
  argv: readonly string[],
  code: string,
  says: readonly string[],
  environment?: Record<string, string | undefined>,
];
const LINES: readonly Line[] = [
  ["1", [], "E-COMMAND-UNKNOWN", ["a command must be given", "usage:"]],
  ["2", ["aply", "-f", "x"], "E-COMMAND-UNKNOWN", ["apply"]],
  ["3", ["apply", "-f", "nofile.yaml"], "E-FILE-MISSING", ["nofile.yaml"]],
  ["4", ["apply", "-f", "dir/"], "E-FILE-TYPE", ["dir/"]],
  ["5", ["apply"], "E-FILE-MISSING", ["Manifest.yaml", "Meshfile.yaml"]],
  ["6", ["apply", "-f", "service.yaml", "-f", "mesh.yaml"], "E-OPTION-REPEATED", ["--filename"]],
  ["7", ["apply", "-f"], "E-OPTION-VALUE", ["FILE"]],
  ["8", ["apply", "-f", "service.yaml", "--release", "r"], "E-OPTION-KIND", ["--release"]],
  ["9", ["apply", "-f", "mesh.yaml", "--no-push"], "E-OPTION-KIND", ["--no-pull"]],
  ["10", ["apply", "-f", "service.yaml", "-h"], "E-OPTION-VALUE", ["directory", "--help"]],
  ["11", ["apply", "-f", "service.yaml", "-h", "nodir"], "E-TEMPLATE-DIR", ["nodir"]],
  ["12", ["apply", "-f", "mesh.yaml", "--mode=Debug"], "E-OPTION-VALUE", ["production or debug"]],
  ["13", ["apply", "-f", "mesh.yaml", "-o", "json"], "E-OPTION-VALUE", ["helm_chart or yaml"]],
  ["14", ["apply", "-f", "mesh.yaml", "--release", "My_App"], "E-RELEASE-NAME", ["My_App"]],
  ["15", ["apply", "-f", "mesh.yaml", "--release-version", "0"], "E-OPTION-VALUE", ["1 or more"]],
  ["16", ["apply", "-f", "mesh.yaml", "--maa", "http://x"], "E-MAA-URL", ["https://"]],
  ["17", ["apply", "-f", "mesh.yaml", "--signing-url", "h:1"], "E-OPTION-MODE", ["SignOnline"]],
  ["18", ["apply", "-f", "mesh.yaml", "extra"], "E-ARGUMENT", ["extra"]],
  ["19", ["apply", "-f", "mesh.yaml", "--verbos"], "E-OPTION-UNKNOWN", ["--verbose"]],
  ["19", ["apply", "-f", "mesh.yaml", "--colour"], "E-OPTION-UNKNOWN", ["--no-color"]],
  ["20", ["--cas-config", "rel/dir", "apply", "-f", "service.yaml"], "E-CAS-CONFIG-PATH", ["Absolute"]],
  ["21", ["apply", "-f", "service.yaml", "--cas-config"], "E-OPTION-VALUE", ["--cas-config"]],
  ["22", ["apply", "-f", "service.yaml"], "E-ENV-HOME", ["HOME"], { HOME: undefined }],
  ["MF-101 137b", ["apply", "-f", "online.yaml"], "E-SIGNING-URL", ["--signing-url"]],
  ["MF-106 137c", ["apply", "-f", "online.yaml", "--signing-url", "h:1"], "E-MODE-UNSUPPORTED", ["EncryptedManifest"]],
  ["MF-101 120", ["apply", "-f", "nokey.yaml"], "E-CAS-ENCKEY", ["show-identification"]],
  ["MF 148", ["apply", "-f", "mesh.yaml", "--no-pull"], "E-IMAGE-PULL", ["vouchsafe.local/app:1"]],
];

describe("cli.md section 16: wrong use", { concurrency: 3 }, () => {
  const place = new CliWorkplace({
    "service.yaml": SERVICE,
    "mesh.yaml": MESH,
    "online.yaml": MESH.replace("NoUpload", "SignOnline"),
    "nokey.yaml": MESH.replace(/, cas_encryption_key: \w+/, ""),
  });
  mkdirSync(place.path("dir"));
  after(() => place[Symbol.dispose]());
  for (const [number, argv, code, says, environment] of LINES) {
    test(`${number}: sconectl ${argv.join(" ")} is ${code}, status 1, nothing on standard output`, async () => {
      const { code: status, out, err } = await place.run("sconectl", argv, environment === undefined ? {} : { environment });
      assert.match(err, new RegExp(`error\\[${code}\\]`));
      for (const word of says) assert.ok(err.includes(word), `${JSON.stringify(word)} is not in ${err}`);
      assert.equal(status, 1);
      assert.equal(out, "");
    });
  }
  test("CL-40: wrong use has the status 2 as vouchsafe, a failure 1", async () => {
    assert.equal((await place.run("vouchsafe", ["apply", "--nonsense"])).code, 1); // no manifest: that comes first
    assert.equal((await place.run("vouchsafe", ["apply", "-f", "mesh.yaml", "--nonsense"])).code, 2);
    assert.equal((await place.run("vouchsafe", ["aply"])).code, 2);
    assert.equal((await place.run("vouchsafe", ["apply", "-f", "nofile.yaml"])).code, 1);
  });
  test("25: a target directory that cannot be made is E-TARGET-WRITE", async () => {
    writeFileSync(place.path("file"), "");
    const { code, err } = await place.run("sconectl", ["apply", "-f", "mesh.yaml", "-t", "file/target"]);
    assert.match(err, /error\[E-TARGET-WRITE\].*file\/target/);
    assert.equal(code, 1);
    chmodSync(place.path("file"), 0o644);
  });
  test("CL-12, CL-13: the general help names command, options and variables, on standard error", async () => {
    const { code, out, err } = await place.run("sconectl", ["--help"]);
    assert.equal(code, 0);
    assert.equal(out, "");
    for (const word of [
      "apply",
      "--cas-config",
      "--help",
      "--quiet",
      "SCONECTL_REPO",
      "VERSION",
      "SCONECTL_NOPULL",
      "KUBECONFIG",
      "DOCKER_HOST",
    ])
      assert.ok(err.includes(word), word);
  });
  test("CL-16: apply -f FILE --help prints the options of that kind to standard output", async () => {
    const service = await place.run("sconectl", ["apply", "-f", "service.yaml", "--help"]);
    const mesh = await place.run("sconectl", ["apply", "-f", "mesh.yaml", "-h"]);
    assert.deepEqual([service.code, mesh.code], [0, 0]);
    assert.match(service.out, /--no-push/);
    assert.doesNotMatch(service.out, /--release /);
    assert.match(mesh.out, /--release NAME/);
    assert.doesNotMatch(mesh.out, /--no-push/);
  });
  test("CL-17, CL-19: options in any order and form, the manifest from standard input", async () => {
    const forms = [["-f", "-", "-p"], ["-p", "--filename=-"], ["-pf-"], ["-vvvvvvvv", "-p", "-f-"]];
    for (const form of forms) {
      const { code, out } = await place.run("sconectl", ["apply", ...form], { input: SERVICE });
      assert.deepEqual([code, out], [0, "app:\n  required: []\n  defaults: {}\n  imports: []\n"], form.join(" "));
    }
  });
  test("every command's help has an example", async () => {
    const { out } = await place.run("vouchsafe", ["help", "verify"]);
    assert.match(out, /examples:\n {2}vouchsafe verify/);
  });
});
