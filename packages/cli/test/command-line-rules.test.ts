import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";
import { storeServiceImage } from "../src/testing/store-service-image.ts";

const ENCRYPTION_KEY = "5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41";
const SERVICE =
  "apiVersion: scone/5.8\nkind: genservice\nenvironment: {}\nbuild:\n  name: app\n  kind: python\n  to: vouchsafe.local/app:1\n  command: python3 app.py\n";
const MESH = `apiVersion: scone/5.8\nkind: mesh\ncas: [{cas_url: cas, mode: NoUpload, cas_encryption_key: ${ENCRYPTION_KEY}}]\npolicy: {namespace: team-1}\nenv: []\nservices: [{name: app, image: vouchsafe.local/app:1}]\n`;

describe("cli.md, rule by rule", { concurrency: 3 }, () => {
  const place = new CliWorkplace({ "Manifest.yaml": SERVICE, "mesh.yaml": MESH });
  const apply = (...argv: string[]) => place.run("sconectl", ["apply", ...argv]);
  before(async () => {
    await storeServiceImage(place, SERVICE);
  });
  after(() => place[Symbol.dispose]());

  test("CL-1, CL-9: one program under three names, each of which it shows", async () => {
    for (const name of ["vouchsafe", "sconectl", "scone"]) {
      const { code, out, err } = await place.run(name, ["--help"]);
      assert.deepEqual([code, out], [0, ""]);
      assert.match(err, new RegExp(`\\b${name} `), name);
      assert.match((await place.run(name, ["--version"])).out, /^vouchsafe \d+\.\d+\.\d+\n$/);
    }
  });

  test("CL-2, CL-5: sconectl is found on the path, and needs neither a container engine nor a Rust toolchain", async () => {
    const bin = join(import.meta.dirname, "..", "bin");
    const tools = place.path("tools");
    mkdirSync(tools);
    for (const tool of ["sh", "dirname", "readlink", "basename"]) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
    const PATH = `${bin}:${tools}`;
    const found = spawnSync("sh", ["-c", "command -v sconectl docker podman cargo rustup; true"], { env: { PATH }, encoding: "utf8" });
    assert.equal(found.stdout, `${join(bin, "sconectl")}\n`);
    const { code, out, err } = await place.run("sconectl", ["apply", "-p"], { environment: { PATH } });
    assert.equal(code, 0, err);
    assert.match(out, /^app:/m);
  });

  test("CL-3, CL-40: as sconectl every failure has status 1", async () => {
    assert.equal((await place.run("sconectl", ["aply"])).code, 1);
    assert.equal((await place.run("vouchsafe", ["aply"])).code, 2);
  });

  test("CL-4: kubectl-provision is an executable of its own", async () => {
    const { code, out } = await place.run("kubectl-provision", ["--help"]);
    assert.equal(code, 0);
    assert.match(out, /kubectl provision/);
  });

  test("CL-6, CL-7, CL-11: --help and --quiet as first argument; no command is an error after the help", async () => {
    assert.equal((await place.run("sconectl", ["--help"])).code, 0);
    for (const argv of [[], ["--quiet"]]) {
      const { code, err } = await place.run("sconectl", argv);
      assert.equal(code, 1);
      assert.match(err, /usage:[\s\S]*error\[E-COMMAND-UNKNOWN\].*a command must be given/);
    }
    assert.equal((await place.run("sconectl", ["--quiet", "apply", "-p"])).code, 0);
  });

  test("CL-8, CL-38: --cas-config stands anywhere, is made if absent, and wins over SCONECTL_CAS_CONFIG", async () => {
    const [given, other] = [place.path("given"), place.path("other")];
    const environment = { SCONECTL_CAS_CONFIG: other };
    const { code, err } = await place.run(
      "sconectl",
      ["apply", "-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d", "--cas-config", given],
      { environment },
    );
    assert.equal(code, 0, err);
    assert(existsSync(given) && !existsSync(other));
    assert.equal(statSync(`${given}/config.json`).mode & 0o777, 0o600);
    assert.equal(statSync(given).mode & 0o777, 0o700);
    const relative = await place.run("sconectl", ["apply", "-p"], { environment: { SCONECTL_CAS_CONFIG: "relative" } });
    assert.equal(relative.code, 1);
    assert.match(relative.err, /E-CAS-CONFIG-PATH/);
    const nested = await place.run("sconectl", [
      "--cas-config",
      place.path("no", "parent"),
      "apply",
      "-f",
      "mesh.yaml",
      "--no-pull",
      "--evidence",
      "node",
      "-d",
    ]);
    assert.equal(nested.code, 1, "one level is made, not two");
  });

  test("CL-8: of several commands at a first use one makes the client's keys, and all use them", async () => {
    const environment = { SCONECTL_CAS_CONFIG: place.path("first-use") };
    const runs = await Promise.all(Array.from({ length: 6 }, () => place.run("vouchsafe", ["self", "show-key-hash"], { environment })));
    assert.deepEqual(
      runs.map(({ code, err }) => [code, err]).filter(([code]) => code !== 0),
      [],
    );
    assert.equal(new Set(runs.map(({ out }) => out)).size, 1);
    assert.deepEqual(readdirSync(place.path("first-use")), ["config.json"]);
  });

  test("CL-10, CL-36: colours are plain sequences, on demand only", async () => {
    const shown = async (environment: Record<string, string>, ...argv: string[]) =>
      (await place.run("sconectl", [...argv, "apply", "-f", "none"], { environment })).err;
    const sequence = "\u001b[";
    assert(!(await shown({})).includes(sequence), "standard error is no terminal");
    assert((await shown({ FORCE_COLOR: "1" })).includes(`${sequence}31m`));
    assert(!(await shown({ FORCE_COLOR: "1" }, "--no-color")).includes(sequence));
  });

  test("CL-14, CL-18, CL-20: the kind chooses the options, and no option that takes a value may be repeated", async () => {
    assert.match((await apply("-f", "mesh.yaml", "--no-push")).err, /E-OPTION-KIND/);
    assert.match((await apply("-f", "mesh.yaml", "-t", "a", "-t", "b")).err, /E-OPTION-REPEATED/);
  });

  test("CL-15: without -f Manifest.yaml is taken", async () => {
    assert.equal((await apply("-p")).out, "app:\n  required: []\n  defaults: {}\n  imports: []\n");
  });

  test("CL-21: --set-version wins over SCONECTL_VERSION, which wins over VERSION", async () => {
    const version = async (environment: Record<string, string>, ...argv: string[]) => {
      const { code, err } = await place.run(
        "sconectl",
        ["apply", "-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d", "-t", "versions", ...argv],
        { environment },
      );
      assert.equal(code, 0, err);
      return JSON.parse(readFileSync(place.path("versions", "mesh.json"), "utf8")).platformVersion;
    };
    mkdirSync(place.path("versions"), { recursive: true });
    writeFileSync(place.path("versions", "identity.pem"), readFileSync(place.path("target", "identity.pem")), { mode: 0o600 });
    assert.equal(await version({ VERSION: "1.0" }), "1.0");
    assert.equal(await version({ VERSION: "1.0", SCONECTL_VERSION: "2.0" }), "2.0");
    assert.equal(await version({ VERSION: "1.0", SCONECTL_VERSION: "2.0" }, "--set-version", "3.0"), "3.0");
  });

  test("CL-22, CL-33: results on standard output, steps on standard error and only as asked for", async () => {
    const quiet = await apply("-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d", "-q");
    const loud = await apply("-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d", "-vvvvvvvv");
    assert.deepEqual([quiet.code, loud.code], [0, 0], `${quiet.err}${loud.err}`);
    assert.equal(quiet.out, loud.out);
    assert.match(quiet.out, /^helm install /);
    assert(loud.err.length > quiet.err.length);
    assert(!`${loud.out}${loud.err}`.includes("PRIVATE KEY"));
  });

  test("CL-23, CL-25: modes and names of releases", async () => {
    assert.match((await apply("-f", "mesh.yaml", "--mode=DEBUG")).err, /E-OPTION-VALUE[\s\S]*production or debug/);
    for (const release of ["9a", "a-", "A", "a_b", "a".repeat(54)]) {
      const { err } = await apply("-f", "mesh.yaml", "--release", release);
      assert.match(err, /E-RELEASE-NAME/, release);
    }
  });

  test("CL-30, CL-31: paths are those of the current directory, and stay inside it", async () => {
    mkdirSync(place.path("v1"), { recursive: true });
    place.write("here.py", "");
    place.write("v1/service.yaml", `${SERVICE}  copy: [here.py]\n`);
    const { code, err } = await apply("-f", "v1/service.yaml", "-d");
    assert.equal(code, 0, err);
    place.write("v1/outside.yaml", `${SERVICE}  copy: [../here.py]\n`);
    assert.match((await apply("-f", "v1/outside.yaml", "-d")).err, /E-PATH-OUTSIDE/);
  });

  test("CL-34: without a terminal there is no spinner", async () => {
    const { err } = await apply("-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d");
    assert.doesNotMatch(err, /[\r\u2800-\u28ff]/);
  });

  test("CL-37: an unexpected failure has a short text; the stack only with -vv, which every command takes", async () => {
    const environment = { HOME: "/dev/null" };
    const [short, long] = [
      await place.run("sconectl", ["self", "show"], { environment }),
      await place.run("sconectl", ["self", "show", "-vv"], { environment }),
    ];
    assert.deepEqual([short.code, long.code], [1, 1]);
    assert.match(short.err, /^error\[E-INTERNAL\]: [^\n]*\/dev\/null[^\n]*\nhelp: [^\n]*-vv shows the stack\n$/);
    assert.match(long.err, /\n +at .*\.ts:\d+/);
  });

  test("CL-34: on a terminal a spinner with the elapsed time turns while a step runs, unless --quiet or -v is given", (t) => {
    if (spawnSync("script", ["--version"]).status !== 0) return t.skip("script of util-linux makes the terminal of this test");
    const shown = (words: string) => {
      const command = `${join(import.meta.dirname, "../bin/sconectl")} ${words} --evidence node -d`;
      const argv = ["--quiet", "--return", "--command", command, "/dev/null"];
      return spawnSync("script", argv, { cwd: place.directory, env: { ...place.environment, SCONECTL_REPO: "" }, encoding: "utf8" }).stdout;
    };
    place.write("far.yaml", MESH.replace("vouchsafe.local/app:1", "reg.invalid/team/app:1"));
    assert.match(shown("apply -f far.yaml"), /\r\u001b\[K[\u2800-\u28ff] Image reg\.invalid\/team\/app:1 \(\d+\.\d s\)/);
    for (const words of ["--quiet apply -f far.yaml", "apply -f far.yaml -v", "apply -f far.yaml -q"])
      assert.doesNotMatch(shown(words), /[\u2800-\u28ff]/, words);
    return undefined;
  });

  test("CL-35, CL-37: a message has file, line, column, code, path, and the line with a caret", async () => {
    place.write("wrong.yaml", SERVICE.replace("kind: python", "kind: pyton"));
    const { err, code } = await apply("-f", "wrong.yaml");
    assert.equal(code, 1);
    assert.match(err, /^wrong\.yaml:6:9: error\[E-BUILD-KIND\]: build\.kind: .*pyton.*; expected .*python/m);
    assert.match(err, /^ .*kind: pyton\n *(?:\| )? *\^/m);
    assert.doesNotMatch(err, /at .*\.ts:\d+/);
  });

  test("CL-32: what is written belongs to the calling user", async () => {
    await apply("-f", "mesh.yaml", "--no-pull", "--evidence", "node", "-d");
    assert.equal(statSync(place.path("target", "mesh.json")).uid, process.getuid?.());
  });

  test("CL-47, CL-53: kubectl provision without a cluster fails within its time, with nothing on standard output", async () => {
    for (const action of ["--is-provisioned", "--print-public-keys"]) {
      const { code, out, err } = await place.run("kubectl-provision", ["cas", "cas", action], {
        environment: { KUBECONFIG: place.path("none.conf") },
      });
      assert.equal(code, 1);
      assert(action === "--is-provisioned" ? /^(NO\n)?$/.test(out) : out === "", out);
      assert.notEqual(err, "");
    }
  });
});
