import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { obtainHelm } from "../../kubernetes/src/testing/helm.ts";
import { CliWorkplace } from "../src/testing/run-cli.ts";
import { storeServiceImage } from "../src/testing/store-service-image.ts";

const SERVICE = `apiVersion: scone/5.8
kind: genservice
environment: {global: [{name: GREETING, value: hello}, {name: PLACE}], local: [{name: ANSWER, value: "42"}]}
build:
  name: app
  kind: python
  to: reg.invalid/team/app:1
  command: python3 app.py
`;
const MESH = `apiVersion: scone/5.8
kind: mesh
cas: [{cas_url: cas.nowhere.invalid, mode: NoUpload, cas_encryption_key: 5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41}]
policy: {namespace: team-1}
env: [{service: global, env: [{name: PLACE, value: here}]}]
services: [{name: app, image: reg.invalid/team/app:1}]
`;
const VERSION_LINE = /^vouchsafe \d+\.\d+\.\d+\n$/;

/** A run must do what its row says and end with the status 0. */
async function succeeds(place: CliWorkplace, argv: readonly string[], environment: Record<string, string> = {}, input?: string) {
  const result = await place.run("sconectl", argv, { environment, ...(input === undefined ? {} : { input }) });
  assert.equal(result.code, 0, `${argv.join(" ")}: ${result.err}`);
  return result;
}

describe("cli.md section 3.1: each option for kind genservice", { concurrency: 3 }, () => {
  const place = new CliWorkplace({ "Manifest.yaml": SERVICE, "other.yaml": SERVICE.replace("name: app", "name: other") });
  after(() => place[Symbol.dispose]());
  const apply = (...argv: string[]) => succeeds(place, ["apply", ...argv]);
  const planned = async (...argv: string[]) => JSON.parse((await apply("-d", "--json", ...argv)).out);

  test("-d, --dry-run: the plan is printed, nothing is built or written outside target", async () => {
    for (const option of ["-d", "--dry-run"]) {
      assert.match((await apply(option)).out, /^name: app\nkind: python\nreference: reg\.invalid\/team\/app:1\nmode: production\n/);
    }
    assert.ok(!existsSync(place.path("state")), "nothing in the local store");
    assert.deepEqual(readdirSync(place.path("target")), []);
  });
  test("-f, --filename: the manifest, Manifest.yaml without it", async () => {
    assert.equal((await planned()).name, "app");
    assert.equal((await planned("-f", "other.yaml")).name, "other");
    assert.equal((await planned("--filename=other.yaml")).name, "other");
  });
  test("-h, --helm-template: templates of that directory; templates-genservice is not picked up by itself", async () => {
    for (const name of ["mine", "templates-genservice"]) mkdirSync(place.path(name, "charts"), { recursive: true });
    writeFileSync(place.path("mine", "charts", "values.yaml.template"), "replicas: 1\n");
    writeFileSync(place.path("templates-genservice", "charts", "values.yaml.template"), "{{ nonsense");
    for (const option of [["-h", "mine"], ["--helm-template=mine"], []]) await planned(...option);
    const { code, err } = await place.run("sconectl", ["apply", "-d", "-h", "nodir"]);
    assert.equal(code, 1);
    assert.match(err, /E-TEMPLATE-DIR/);
  });
  test("--help is help, on standard output, also of a manifest that is not valid beyond its kind", async () => {
    const { out } = await succeeds(place, ["apply", "-f", "-", "--help"], {}, "kind: genservice\nbuild: [wrong\n");
    assert.match(out, /-h, --helm-template DIR/);
    assert.doesNotMatch(out, /--release-version/);
    assert.match((await apply("--help")).out, /kind: genservice[\s\S]*kind: mesh/);
  });
  test("--mode: production unless it is debug", async () => {
    assert.deepEqual([(await planned()).mode, (await planned("--mode", "debug")).mode], ["production", "debug"]);
    assert.equal((await planned("--mode=production")).mode, "production");
  });
  test("-p, --print-defaults: the variables of the image, as YAML or JSON", async () => {
    for (const option of ["-p", "--print-defaults"])
      assert.equal((await apply(option)).out, "app:\n  required:\n    - PLACE\n  defaults:\n    GREETING: hello\n  imports: []\n");
    const { out } = await apply("-p", "--json");
    assert.deepEqual(JSON.parse(out), { app: { required: ["PLACE"], defaults: { GREETING: "hello" }, imports: [] } });
  });
  test("-q and -v, repeatable and grouped, change nothing of the result", async () => {
    const { out } = await apply("-d");
    for (const option of ["-qq", "-vvvvvvvv", "--quiet", "--verbose"]) assert.equal((await apply("-d", option)).out, out);
  });
  test("-t, --target-directory: where results are written", async () => {
    for (const [at, option] of ["-t", "--target-directory"].entries()) {
      await apply("-d", option, `elsewhere-${at}`);
      assert.ok(existsSync(place.path(`elsewhere-${at}`)));
    }
  });
  test("-V, --version: the version, also where no manifest is", async () => {
    const empty = new CliWorkplace();
    for (const argv of [["-V"], ["--version"]]) assert.match((await succeeds(empty, ["apply", ...argv])).out, VERSION_LINE);
    assert.match((await apply("-V")).out, VERSION_LINE);
    empty[Symbol.dispose]();
  });
  test("-e NAME=VALUE and --use-env give shell-style variables", async () => {
    const text = SERVICE.replace("name: app", "name: $NAME_OF_IT").replace("app.py", "$SCRIPT");
    const name = async (argv: readonly string[], environment = {}) =>
      JSON.parse((await succeeds(place, ["apply", "-d", "--json", "-f", "-", ...argv], environment, text)).out).name;
    assert.equal(await name(["-e", "NAME_OF_IT=one", "-eSCRIPT=a=b.py"]), "one");
    assert.equal(await name(["--use-env"], { NAME_OF_IT: "two", SCRIPT: "x.py" }), "two");
    assert.equal(await name(["--use-env", "-e", "NAME_OF_IT=three"], { NAME_OF_IT: "two", SCRIPT: "x.py" }), "three");
    const missing = await place.run("sconectl", ["apply", "-d", "-f", "-", "-e", "SCRIPT=x"], { input: text });
    assert.match(missing.err, /E-VAR-SHELL.*NAME_OF_IT/);
  });
  test("--allow-unknown-fields: unknown fields are warnings; --fail-on-warning makes an error of them", async () => {
    const odd = `${SERVICE}  colour: blue\n`;
    const run = (...argv: string[]) => place.run("sconectl", ["apply", "-d", "-f", "-", ...argv], { input: odd });
    const [refused, allowed, failing] = [
      await run(),
      await run("--allow-unknown-fields"),
      await run("--allow-unknown-fields", "--fail-on-warning"),
    ];
    assert.deepEqual([refused.code, allowed.code, failing.code], [1, 0, 1]);
    assert.match(refused.err, /error\[.*colour/);
    assert.match(allowed.err, /warning\[.*colour/);
    assert.match(failing.err, /E-WARNING/);
  });
  test("section 16 line 24, -n, --no-push: what DOCKER_HOST says is no address: a warning, and the default socket", async () => {
    for (const option of ["-n", "--no-push"]) {
      const { err } = await succeeds(place, ["apply", "-d", option], { DOCKER_HOST: "ssh://h" });
      assert.match(err, /warning\[W-DOCKER-HOST\]: DOCKER_HOST is "ssh:\/\/h".*unix:\/\/\/var\/run\/docker\.sock/);
    }
    assert.equal((await succeeds(place, ["apply", "-d", "-n"], { DOCKER_HOST: "tcp://192.0.2.1:2375" })).err, "");
    assert.equal((await place.run("sconectl", ["apply", "-dn", "--fail-on-warning"], { environment: { DOCKER_HOST: "ssh://h" } })).code, 1);
  });
});

describe("cli.md section 3.2: each option for kind mesh", { concurrency: 3 }, () => {
  const place = new CliWorkplace({ "Meshfile.yaml": MESH });
  before(async () => void (await storeServiceImage(place, SERVICE)));
  after(() => place[Symbol.dispose]());
  let runs = 0;
  /** Applies into a target directory of its own; that directory. */
  const apply = async (argv: readonly string[], environment: Record<string, string> = {}, input?: string) => {
    const target = `target-${runs++}`;
    mkdirSync(place.path(target));
    writeFileSync(place.path(target, "identity.pem"), readFileSync(place.path("target", "identity.pem")), { mode: 0o600 });
    const all = ["mesh", "-n", "-t", target, ...argv];
    const evidence = argv.some((word) => word.startsWith("--evidence")) ? {} : { VOUCHSAFE_EVIDENCE: "node" };
    const result = await succeeds(place, all, { ...evidence, ...environment }, input);
    const read = (...path: string[]) => readFileSync(place.path(target, ...path), "utf8");
    return { ...result, target, read, record: () => JSON.parse(read("mesh.json")) };
  };

  test("-d, --dry-run: everything below target, no CAS and no cluster is asked (KUBECONFIG names none)", async () => {
    const nowhere = { KUBECONFIG: place.path("none.conf") };
    const upload = MESH.replace("NoUpload", "Upload");
    for (const option of ["-d", "--dry-run"]) {
      const { read } = await apply(["-f", "-", option], nowhere, upload);
      assert.match(read("helm", "Chart.yaml"), /^name: /m);
    }
  });
  test("-f, --filename: the manifest, Meshfile.yaml without it", async () => {
    place.write("second.yaml", MESH.replace("team-1", "team-2"));
    assert.equal((await apply([])).record().namespace, "team-1");
    assert.equal((await apply(["-fsecond.yaml"])).record().namespace, "team-2");
    assert.equal((await apply(["--filename", "second.yaml"])).record().namespace, "team-2");
  });
  test("-h, --help: help of this kind, alone and in a group", async () => {
    for (const option of ["-h", "--help", "-vh"]) {
      const { out } = await apply([option]);
      assert.match(out, /^Protects an application[\s\S]*usage: sconectl mesh [\s\S]*--release-version N/);
    }
  });
  test("--host-pwd is accepted and ignored", async () => {
    const { out } = await apply(["--host-pwd", "/somewhere"]);
    assert.match(out, /^helm install /);
  });
  test("-m, --maa: services are attested through that service; it overrides policy.maa", async () => {
    const tolerant = MESH.replace("team-1}", "team-1, tolerate: [maa-managed-tcb], maa: 'https://other.weu.attest.azure.net'}");
    for (const option of ["-m", "--maa"]) {
      const { read } = await apply(["-f", "-", option, "https://clinic.weu.attest.azure.net"], {}, tolerant);
      assert.match(read("policies", "app.yaml"), /clinic\.weu\.attest/);
      assert.doesNotMatch(read("policies", "app.yaml"), /other\.weu/);
    }
  });
  test("--mode: debug adds debug-mode to what the policies tolerate", async () => {
    assert.match((await apply(["--mode", "debug"])).read("policies", "app.yaml"), /debug-mode/);
    assert.doesNotMatch((await apply(["--mode=production"])).read("policies", "app.yaml"), /debug-mode/);
  });
  test("-n, --no-pull: the local store, not the registry", async () => {
    assert.match((await apply(["--evidence", "node"])).out, /^helm install/);
    const { code, err } = await place.run("sconectl", ["mesh", "--evidence", "node"], { environment: { SCONE_CLI_RETRIES: "0" } });
    assert.equal(code, 1);
    assert.match(err, /E-IMAGE-PULL[\s\S]*reg\.invalid/);
  });
  test("SCONECTL_NOPULL: platform images come from the local store, with a warning that counts as one", async () => {
    const environment = { SCONECTL_NOPULL: "0", SCONECTL_REPO: "reg.invalid/team", VOUCHSAFE_EVIDENCE: "node" };
    const run = (...argv: string[]) => place.run("sconectl", ["mesh", "-d", ...argv], { environment });
    const [taken, failing] = [await run(), await run("--fail-on-warning")];
    assert.deepEqual([taken.code, failing.code], [0, 1], taken.err);
    assert.match(taken.err, /warning\[W-NOPULL\]: SCONECTL_NOPULL is set: nothing is pulled/);
  });
  test("-o, --output yaml: plain objects beside the chart; without Helm nothing that was there is touched", async () => {
    mkdirSync(place.path("tools"));
    symlinkSync(await obtainHelm(), place.path("tools", "helm"));
    const path = { PATH: `${place.path("tools")}:${place.environment["PATH"]}` };
    for (const [option, release] of [
      [["-o", "yaml"], "release-name"],
      [["--output=yaml", "--release", "fair"], "fair"],
    ] as const) {
      const { target, read } = await apply(option, path);
      const names = readdirSync(place.path(target, "manifests"));
      assert.ok(names.includes(`deployment-${release}-app.yaml`), names.join());
      assert.match(read("manifests", `deployment-${release}-app.yaml`), /^apiVersion: apps\/v1$/m);
      assert.ok(existsSync(place.path(target, "helm", "Chart.yaml")));
    }
    assert.ok(!existsSync(place.path((await apply(["-o", "helm_chart"])).target, "manifests")));
    const { target, read } = await apply([]);
    const before = read("helm", "Chart.yaml");
    const tools = place.path("without-helm");
    mkdirSync(tools);
    for (const tool of ["sh", "dirname", "readlink", "basename"]) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
    const argv = ["mesh", "-n", "-t", target, "-o", "yaml", "--release-version", "9"];
    const { code, err } = await place.run("sconectl", argv, { environment: { PATH: tools, VOUCHSAFE_EVIDENCE: "node" } });
    assert.equal(code, 1);
    assert.match(err, /E-CHART.*helm, which is not there/);
    assert.equal(read("helm", "Chart.yaml"), before);
  });
  test("--otp takes digits, and says that it has no effect", async () => {
    assert.match((await apply(["--otp", "123456"])).err, /warning\[W-OTP\]/);
    const { code, err } = await place.run("sconectl", ["mesh", "-n", "--otp", "word"]);
    assert.equal(code, 1);
    assert.match(err, /E-OPTION-VALUE.*--otp/);
  });
  test("-p, --print-defaults: the variables of all images, as YAML or JSON", async () => {
    for (const option of ["-p", "--print-defaults"])
      assert.equal((await apply([option])).out, "app:\n  required:\n    - PLACE\n  defaults:\n    GREETING: hello\n  imports: []\n");
    assert.deepEqual(JSON.parse((await apply(["-p", "--json"])).out).app.required, ["PLACE"]);
  });
  test("--policy-namespace overrides policy.namespace; empty is the manifest's", async () => {
    assert.equal((await apply(["--policy-namespace", "mine"])).record().namespace, "mine");
    assert.equal((await apply(["--policy-namespace="])).record().namespace, "team-1");
  });
  test("-q, -v, -t, -V", async () => {
    const [quiet, loud] = [await apply(["-qq"]), await apply(["-vvvv"])];
    assert.match(loud.err, /policy team-1\/app: [0-9a-f]{64}/);
    assert.doesNotMatch(quiet.err, /policy team-1\/app: /);
    assert.match((await apply(["-V"])).out, VERSION_LINE);
  });
  test("--evidence wins over VOUCHSAFE_EVIDENCE, which wins over the mesh; kinds of no TEE are a warning", async () => {
    const policyOf = async (...given: Parameters<typeof apply>) => (await apply(...given)).read("policies", "app.yaml");
    const named = MESH.replace("team-1}", "team-1, evidence: [node]}");
    assert.match(await policyOf(["-f", "-"], { VOUCHSAFE_EVIDENCE: "" }, named), /evidence:\n\s+- node\n/);
    assert.match(await policyOf([], { VOUCHSAFE_EVIDENCE: "simulated:tdx" }), /- simulated/);
    assert.match(await policyOf(["--evidence", "node"], { VOUCHSAFE_EVIDENCE: "simulated:tdx" }), /evidence:\n\s+- node\n/);
    assert.match((await apply(["--evidence=node"])).err, /warning\[W-EVIDENCE-WEAK\]/);
    const { err } = await place.run("sconectl", ["mesh", "-n", "--evidence", "crystal-ball"]);
    assert.match(err, /E-EVIDENCE.*crystal-ball/);
  });
  test("--release, --release-version, --set-version show in chart and record", async () => {
    const { out, read, record } = await apply(["--release", "clinic.b", "--release-version", "7", "--set-version", "4.5.6"]);
    assert.match(out, /^helm install clinic\.b /);
    assert.match(read("helm", "Chart.yaml"), /version: "?0\.7\.0"?/);
    assert.equal(record().platformVersion, "4.5.6");
    assert.match((await apply([])).read("helm", "Chart.yaml"), /version: "?0\.1\.0"?/);
  });
  test("--signing-url is for mode SignOnline, which this release refuses by name; CEREMONY_CLIENT_PFX_KEY changes nothing of that", async () => {
    const online = MESH.replace("NoUpload", "SignOnline");
    const environment = { CEREMONY_CLIENT_PFX_KEY: "canary-password" };
    const { code, err, out } = await place.run("sconectl", ["mesh", "-f", "-", "-n", "--signing-url", "h:1"], {
      input: online,
      environment,
    });
    assert.equal(code, 1);
    assert.match(err, /E-MODE-UNSUPPORTED/);
    assert.doesNotMatch(`${err}${out}`, /canary-password/);
  });
  test("-e, --use-env, --allow-unknown-fields, --fail-on-warning as for services", async () => {
    const text = MESH.replace("team-1", "$TEAM");
    assert.equal((await apply(["-f", "-", "-e", "TEAM=red"], {}, text)).record().namespace, "red");
    assert.equal((await apply(["-f", "-", "--use-env"], { TEAM: "blue" }, text)).record().namespace, "blue");
    assert.match((await apply(["-f", "-", "--allow-unknown-fields"], {}, `${MESH}colour: blue\n`)).err, /warning\[.*colour/);
    const { code, err } = await place.run("sconectl", ["mesh", "-n", "--evidence", "node", "--fail-on-warning"]);
    assert.equal(code, 1);
    assert.match(err, /E-WARNING/);
  });
  test("section 16 line 23: a list in KUBECONFIG is refused where the cluster is needed", async () => {
    const { code, err } = await place.run("sconectl", ["mesh", "-f", "-", "-n", "--evidence", "node"], {
      input: MESH.replace("NoUpload", "EncryptedManifest"),
      environment: { KUBECONFIG: "a:b" },
    });
    assert.equal(code, 1);
    assert.match(err, /error\[E-KUBECONFIG-LIST\]/);
    assert.match((await apply(["-d"], { KUBECONFIG: "a:b" })).out, /^helm install/, "a dry run needs none");
  });
});

describe("cli.md section 7, CL-40: ended by a signal", () => {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    test(`${signal} while another run holds the target directory: status ${status}, and nothing is left of this run`, async () => {
      const place = new CliWorkplace({ "Meshfile.yaml": MESH });
      mkdirSync(place.path("target"));
      writeFileSync(place.path("target", ".lock"), String(process.pid));
      const child = spawn(join(import.meta.dirname, "../bin/sconectl"), ["mesh", "-n", "--evidence", "node"], {
        cwd: place.directory,
        env: { ...place.environment, TMPDIR: place.directory },
      });
      let said = "";
      child.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      // The client's keys are there once it has come to the lock.
      for (let attempt = 0; attempt < 600 && !existsSync(place.path(".cas", "config.json")); attempt++) await sleep(50);
      child.kill(signal);
      assert.equal(await ended, status, said);
      assert.deepEqual(readdirSync(place.path("target")), [".lock"]);
      assert.equal(readFileSync(place.path("target", ".lock"), "utf8"), String(process.pid));
      assert.deepEqual(
        readdirSync(place.directory).filter((name) => name.startsWith("vouchsafe-")),
        [],
      );
      place[Symbol.dispose]();
    });
  }
});
