import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { form, patientFields, testPatientContract } from "./patient-contract.ts";
import { inNetworkOf, processesOf, type RunningService, request, serviceOf } from "./services.ts";
import { filesContaining, Workspace } from "./workspace.ts";

const RELEASE = "clinic";
const patient = (name: string) => form(patientFields(name));

describe("the example application, from ./run.sh to ./vouchsafe down", () => {
  let workspace: Workspace;
  let flask: RunningService;
  let output: string;
  const api = (path: string, ...options: string[]) => {
    const ca = join(workspace.root, "target/public/flask/api_ca_cert.pem");
    return request(flask.published[0]?.address ?? "", "api", path, "--cacert", ca, ...options);
  };

  before(async () => {
    workspace = new Workspace("patients");
    const run = await workspace.run("./run.sh", ["-r", RELEASE]);
    assert.equal(run.status, 0, run.stderr);
    output = run.stdout;
    flask = await serviceOf(workspace, RELEASE, "flask");
  });
  after(async () => {
    await workspace?.[Symbol.asyncDispose]();
  });

  test("run.sh ends with the lines to try, to see logs and to stop", () => {
    assert.match(output, /curl --cacert target\/public\/flask\/api_ca_cert\.pem --resolve api:\d+:127\.0\.0\.1/);
    assert.match(output, /logs --release clinic/);
    assert.match(output, /down --release clinic/);
  });

  test("AC-1 the walk-through, steps 1 to 10", async () => {
    const created = await api("/patient/ward-12", "-X", "POST", ...patient("Noor"));
    assert.equal(created.status, 200, created.body);
    const record = JSON.parse(created.body);
    assert.equal(record.id, "ward-12");
    assert.ok(record.score >= 0 && record.score < 1);
    assert.equal((await api("/patient/ward-12", "-X", "POST", "-d", "fname=x")).status, 403);
    assert.equal(JSON.parse((await api("/patient/ward-12")).body).score, record.score);
    assert.deepEqual(JSON.parse((await api("/score/ward-12")).body), { id: "ward-12", score: record.score });
    assert.equal((await api("/patient/nobody")).status, 404);
    assert.equal((await api("/score/nobody")).status, 404);
    assert.equal((await api("/patient/ward-13", "-X", "POST", "-d", "fname=Only")).status, 400);
    assert.equal((await api("/patient/ward-13")).status, 404);
    assert.equal((await api("/patient/ward-14", "-X", "POST", "-H", "Content-Type: application/json", "-d", '{"fname":"A"}')).status, 400);
    const form = ["fname=Ivo", "lname=Maes", "address=Dock", "city=Ostend", "iban=BE71096123456769", "ssn=1", "email=ivo@example.org"];
    assert.equal((await api("/client/acct-3", ...form.flatMap((field) => ["-F", field]))).status, 200);
    const { keys } = JSON.parse((await api("/keys")).body);
    assert.equal(keys.length, 2);
    assert.ok(keys.every((entry: object) => !("id" in entry)));
    assert.equal((await api("/patient/ward-12", "-X", "DELETE")).status, 405);
    assert.equal((await api("/patients")).status, 404);
    assert.equal((await api("/patient/ward-12/")).status, 404);
  });

  test("AC-2 without the application's CA, curl refuses to verify", async () => {
    assert.equal((await request(flask.published[0]?.address ?? "", "api", "/keys")).curl, 60);
  });

  test("PS-13, AC-3 plain HTTP gets no response", async () => {
    const { status } = await workspace.run("curl", ["-sS", `http://${flask.published[0]?.address}/keys`]);
    assert.ok(status === 52 || status === 56, `curl ended with ${status}`);
  });

  test("PS-14 TLS 1.1 is refused", async () => {
    assert.notEqual((await api("/keys", "--tls-max", "1.1")).curl, 0);
  });

  test("PS-38, AC-13 of 50 parallel POSTs of one id exactly one succeeds", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => api("/patient/ward-50", "-X", "POST", ...patient("Ada"))));
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    assert.deepEqual({ ok: count(200), refused: count(403) }, { ok: 1, refused: 49 });
  });

  testPatientContract(() => ({ workspace, release: RELEASE, address: flask.published[0]?.address ?? "", api }));

  test("PS-54 /memory is not there", async () => {
    assert.equal((await api("/memory")).status, 404);
  });

  test("AC-4, AC-5 Redis refuses plain text, a missing client certificate and one of a foreign CA", async () => {
    const [redis = 0] = processesOf(workspace, RELEASE, "redis-server");
    assert.notEqual(redis, 0);
    const plain = await inNetworkOf(redis, "redis-cli", "-h", "127.0.0.1", "-p", "6379", "ping");
    assert.doesNotMatch(plain.output, /PONG/);
    const withoutCertificate = await inNetworkOf(redis, "redis-cli", "--tls", "--insecure", "-h", "127.0.0.1", "-p", "6379", "ping");
    assert.doesNotMatch(withoutCertificate.output, /PONG/);
    const [key, certificate] = [join(workspace.home, "foreign.key"), join(workspace.home, "foreign.pem")];
    const made = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      "/CN=redis-client",
      "-days",
      "2",
    ];
    assert.equal((await workspace.run("openssl", [...made, "-keyout", key, "-out", certificate])).status, 0);
    const foreign = ["--tls", "--insecure", "--cert", certificate, "--key", key, "-h", "127.0.0.1", "-p", "6379", "ping"];
    assert.doesNotMatch((await inNetworkOf(redis, "redis-cli", ...foreign)).output, /PONG/);
  });

  test("AC-6, AC-7, G9 no injected file, no private key and no line of the program is visible outside the program", async () => {
    const line = readFileSync(join(workspace.root, "examples/patient-records/api.py"), "utf8")
      .split("\n")
      .filter((text) => text.trim().length > 30)
      .slice(5, 7)
      .map((text) => text.trim());
    assert.equal(line.length, 2);
    const secrets = [...line, "-----BEGIN PRIVATE KEY-----\nM", "900-55-0001"];
    // The keys of this machine's agent and of the image builder belong to the user, not to the application.
    const own = ["agent-key.pem", "platform-images.pem", "target/identity.pem"];
    const found = [workspace.state, join(workspace.root, "target")].flatMap((directory) => filesContaining(directory, secrets));
    assert.deepEqual(
      found.filter(({ file }) => !own.some((name) => file.endsWith(name))),
      [],
    );
    // What `kubectl exec` would see: the container's own mount namespace, where its first process lives.
    const [launcher = 0] = processesOf(workspace, RELEASE, "/vouchsafe/runtime/main.js");
    assert.notEqual(launcher, 0);
    const seen = await workspace.run("ls", [`/proc/${launcher}/root/tls`]);
    assert.notEqual(seen.status, 0, `/tls is visible: ${seen.stdout}`);
    assert.equal((await workspace.run("ls", [`/proc/${launcher}/root/app`])).stdout, "");
  });

  test("I3 a process of the program's own user finds nothing in /proc", async () => {
    const [program = 0] = processesOf(workspace, RELEASE, "/app/api.py");
    assert.notEqual(program, 0);
    const owner = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${program}/status`, "utf8"))?.[1] ?? "";
    assert.notEqual(owner, "0");
    // The files of a process that may not be dumped belong to root, not to its user.
    assert.notEqual(String(statSync(`/proc/${program}/environ`).uid), owner, "the process can be dumped by its own user");
    for (const file of ["environ", "mem", "maps"]) {
      const outcome = await workspace.run("setpriv", ["--reuid", owner, "--clear-groups", "--", "cat", `/proc/${program}/${file}`]);
      assert.notEqual(outcome.status, 0, file);
      assert.equal(outcome.stdout, "", file);
    }
    for (const directory of ["root", "fd", "cwd"]) {
      const outcome = await workspace.run("setpriv", ["--reuid", owner, "--clear-groups", "--", "ls", `/proc/${program}/${directory}/`]);
      assert.notEqual(outcome.status, 0, directory);
    }
  });

  test("PS-48 records and secrets are in no log", async () => {
    const { stdout, stderr } = await workspace.vouchsafe("logs", "--release", RELEASE);
    assert.match(stdout, /Connect|Starting|Running/);
    for (const text of ["900-55-0001", "Noor", "PRIVATE KEY"]) assert.ok(!`${stdout}${stderr}`.includes(text), `${text} is in the log`);
  });

  test("running it twice works, builds nothing and keeps the records' service", async () => {
    const again = await workspace.run("./run.sh", ["-r", RELEASE]);
    assert.equal(again.status, 0, again.stderr);
    assert.match(again.stderr, /unchanged/i);
    flask = await serviceOf(workspace, RELEASE, "flask");
    assert.equal((await api("/keys")).status, 200);
  });

  test("down leaves no process, no mount and no interface behind", async () => {
    const pids = [...processesOf(workspace, RELEASE, "/app/api.py"), ...processesOf(workspace, RELEASE, "redis-server")];
    assert.ok(pids.length >= 2);
    assert.equal((await workspace.vouchsafe("down", "--release", RELEASE)).status, 0);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(workspace.state));
    assert.doesNotMatch((await workspace.run("ip", ["-o", "link"])).stdout, /mesh0|veth\d{1,3}@/);
    assert.equal((await api("/keys")).curl, 7);
  });

  test("SL-86 with VOUCHSAFE_EVIDENCE=simulated:tdx the same command runs on the software platform, and everything that follows says so", async () => {
    const run = await workspace.run("./run.sh", ["-r", RELEASE], { env: { VOUCHSAFE_EVIDENCE: "simulated:tdx" } });
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /warning.*simulated.*proves nothing/);
    flask = await serviceOf(workspace, RELEASE, "flask");
    assert.equal((await api("/patient/ward-31", "-X", "POST", ...patient("Ida"))).status, 200);
    assert.equal((await api("/patient/ward-31")).status, 200);
    const described = JSON.parse((await workspace.vouchsafe("ps", "--json", "--release", RELEASE)).stdout);
    assert.equal(described.evidence, "simulated:tdx");
    assert.match((await workspace.vouchsafe("logs", "--release", RELEASE)).stdout, /evidence simulated \(DEVELOPMENT ONLY/);
    assert.match(
      readFileSync(join(workspace.state, "cas/cas.log"), "utf8"),
      /DEVELOPMENT ONLY: .*\/flask\/\S+ is admitted on simulated evidence \(tdx\)/,
    );
    const ca = join(workspace.root, "target/public/flask/api_ca_cert.pem");
    assert.match((await workspace.run("openssl", ["x509", "-noout", "-text", "-in", ca])).stdout, /DEVELOPMENT ONLY/);
    assert.match(readFileSync(join(workspace.root, "target/policies/flask.yaml"), "utf8"), /simulated/);
    assert.equal((await workspace.vouchsafe("down", "--release", RELEASE)).status, 0);
  });

  test("hazard G10, field/2026-07-measured-is-run: one changed byte in a stored layer stops the start, and the message says so", async () => {
    const record = JSON.parse(readFileSync(join(workspace.root, "target/mesh.json"), "utf8"));
    const { image } = record.services.find(({ name }: { name: string }) => name === "flask");
    const blob = (digest: string) => join(image.layoutDir, "blobs/sha256", digest.replace("sha256:", ""));
    const { layers } = JSON.parse(readFileSync(blob(image.digest), "utf8"));
    const file = blob(layers.at(-1).digest);
    const bytes = readFileSync(file);
    const changed = Buffer.from(bytes);
    const middle = changed.length >> 1;
    changed.writeUInt8((changed[middle] ?? 0) ^ 1, middle);
    writeFileSync(file, changed);
    const refused = await workspace.vouchsafe("up", "--release", RELEASE);
    writeFileSync(file, bytes);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /layer|digest/);
    assert.equal((await workspace.vouchsafe("ps", "--json", "--release", RELEASE)).status === 0 && (await api("/keys")).curl === 0, false);
  });

  test("C-36 an application of another CAS key is not started with this CAS", async () => {
    const file = join(workspace.root, "target/mesh.json");
    const text = readFileSync(file, "utf8");
    const record = JSON.parse(text);
    writeFileSync(file, JSON.stringify({ ...record, cas: { ...record.cas, key: "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9" } }));
    const refused = await workspace.vouchsafe("up", "--release", RELEASE);
    writeFileSync(file, text);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /key/i);
  });
});
