import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, inNetworkOf, processesOf, serviceOf } from "./services.ts";
import type { Workspace } from "./workspace.ts";

/** A running patient service, and how to speak to it. */
export interface PatientService {
  readonly workspace: Workspace;
  readonly release: string;
  /** `IP:PORT` of the published port. */
  readonly address: string;
  /** One request with curl, verified against the application's own CA. */
  readonly api: (path: string, ...options: string[]) => Promise<Answer>;
}

export const patientFields = (fname: string): Record<string, string> => ({
  fname,
  lname: "Haddad",
  address: "7 Mill Lane",
  city: "Ghent",
  state: "OVL",
  ssn: "900-55-0001",
  email: "noor@example.org",
  dob: "1984-11-30",
  contactphone: "+3295550100",
  drugallergies: "penicillin",
  preexistingconditions: "asthma",
  dateadmitted: "2026-02-01",
  insurancedetails: "Mutual 44",
});
const clientFields = {
  fname: "Ivo",
  lname: "Maes",
  address: "Dock",
  city: "Ostend",
  iban: "BE71096123456769",
  ssn: "1",
  email: "ivo@example.org",
};

/** Options of curl that send a form. */
export const form = (fields: Readonly<Record<string, string>>): string[] =>
  Object.entries(fields).flatMap(([field, value]) => ["--data-urlencode", `${field}=${value}`]);

/** Options of curl that show the head of the answer before its body. */
const HEAD = ["-i"];

/** The rules of the service that no other test of the application states: each is a test named after it. */
export function testPatientContract(service: () => PatientService): void {
  const api = (path: string, ...options: string[]) => service().api(path, ...options);
  const create = (id: string, fields: Readonly<Record<string, string>> = patientFields("Noor"), kind = "patient") =>
    api(`/${kind}/${id}`, "-X", "POST", ...form(fields));
  const body = ({ body: text }: Answer) => JSON.parse(text);

  test("PS-1, PS-23, PS-25: a record has every field as sent, a score and the id; what else is sent is ignored", async () => {
    const fields = { ...patientFields("Zoë"), drugallergies: "" };
    const created = await api(
      "/patient/c-1",
      "-X",
      "POST",
      ...form(fields),
      "-d",
      "score=7",
      "-d",
      "id=x",
      "-d",
      "unknown=1",
      "-d",
      "fname=second",
    );
    assert.equal(created.status, 200, created.body);
    const { score, ...record } = body(created);
    assert.deepEqual(record, { ...fields, id: "c-1" });
    assert(typeof score === "number" && score >= 0 && score < 1);
    assert.deepEqual(body(await api("/patient/c-1")), { ...record, score });
  });

  test("PS-4: an id is one percent-decoded segment; a slash in it misses the route", async () => {
    assert.equal((await create("%C3%A9l%C3%A8ve%20%2B1")).status, 200);
    assert.equal(body(await api("/patient/%C3%A9l%C3%A8ve%20%2B1")).id, "élève +1");
    for (const path of ["/patient/a/b", "/patient/a%2Fb", "/patient/"]) assert.equal((await api(path)).status, 404, path);
    assert.equal((await create("l".repeat(2000))).status, 200);
  });

  test("PS-5, PS-33: a trailing slash is the router's 404, an HTML page", async () => {
    const answer = await api("/patient/c-1/", ...HEAD);
    assert.equal(answer.status, 404);
    assert.match(answer.body, /^content-type: text\/html; charset=utf-8/im);
  });

  test("PS-6: HEAD works where GET does, OPTIONS names the methods", async () => {
    const head = await api("/patient/c-1", "--head");
    assert.equal(head.status, 200);
    assert.match(head.body, /^content-type: application\/json/im);
    assert.doesNotMatch(head.body, /Haddad/);
    const options = await api("/patient/c-1", "-X", "OPTIONS", ...HEAD);
    assert.equal(options.status, 200);
    assert.match(options.body, /^allow: .*POST/im);
    assert.match(options.body, /^content-type: text\/html/im);
  });

  test("PS-7, PS-24, PS-27: both kinds share one key space, and the duplicate check comes first", async () => {
    assert.equal((await create("c-7")).status, 200);
    const other = await create("c-7", clientFields, "client");
    assert.deepEqual([other.status, body(other)], [403, { error: "already exists" }]);
    assert.equal(body(await api("/client/c-7")).lname, "Haddad");
    assert.equal((await api("/patient/c-7", "-X", "POST", "-d", "fname=x")).status, 403);
  });

  test("PS-8, PS-34: there is no update and no delete", async () => {
    for (const [method, path] of [
      ["PUT", "/patient/c-7"],
      ["PATCH", "/client/c-7"],
      ["DELETE", "/patient/c-7"],
      ["POST", "/keys"],
      ["POST", "/score/c-7"],
    ] as const) {
      const answer = await api(path, "-X", method, ...HEAD);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.match(answer.body, /^allow: /im);
      assert.match(answer.body, /The method is not allowed for the requested URL\./);
    }
  });

  test("PS-9: several requests at a time, while one client sends nothing", async () => {
    const { workspace, address } = service();
    const idle = workspace.start("openssl", ["s_client", "-quiet", "-connect", address]);
    await sleep(300);
    const answers = await Promise.all(Array.from({ length: 8 }, () => api("/patient/c-1")));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    idle.kill("SIGKILL");
  });

  test("PS-10 to PS-12: one certificate for the name api, from the application's CA; no client certificate is asked for", async () => {
    const { workspace, address } = service();
    const ca = join(workspace.root, "target/public/flask/api_ca_cert.pem");
    const { stdout } = await workspace.run("sh", [
      "-c",
      `openssl s_client -showcerts -connect ${address} -CAfile "${ca}" -verify_hostname api </dev/null 2>&1`,
    ]);
    assert.equal(stdout.match(/BEGIN CERTIFICATE/g)?.length, 1, stdout);
    assert.match(stdout, /Verify return code: 0 \(ok\)/);
    assert.match(stdout, /No client certificate CA names sent/);
  });

  test("PS-14: TLS 1.2 is accepted, TLS 1.1 is refused with protocol_version", async () => {
    const { workspace, address } = service();
    assert.equal((await api("/patient/c-1", "--tls-max", "1.2")).status, 200);
    // At security level 0 openssl itself would speak TLS 1.1: it is the service that refuses.
    const { stdout } = await workspace.run("sh", [
      "-c",
      `openssl s_client -tls1_1 -cipher DEFAULT@SECLEVEL=0 -connect ${address} </dev/null 2>&1`,
    ]);
    assert.match(stdout, /alert protocol version/);
  });

  test("PS-15: every answer closes the connection", async () => {
    assert.match((await api("/patient/c-1", ...HEAD)).body, /^connection: close/im);
  });

  test("PS-22, PS-26: a JSON body is a form without fields", async () => {
    const answer = await api(
      "/patient/c-22",
      "-X",
      "POST",
      "-H",
      "Content-Type: application/json",
      "-d",
      JSON.stringify(patientFields("Ada")),
    );
    assert.equal(answer.status, 400);
    assert.deepEqual(body(answer), { message: "The browser (or proxy) sent a request that this server could not understand." });
  });

  test("PS-28, PS-29: unknown ids have errors of their own", async () => {
    assert.deepEqual(body(await api("/patient/none")), { error: "unknown patient_id" });
    assert.deepEqual(body(await api("/client/none")), { error: "unknown client_id" });
    assert.deepEqual(body(await api("/score/none")), { error: "unknown patient" });
  });

  test("PS-40: a body of 700 kB is accepted", async () => {
    const file = join(service().workspace.home, "insurance.txt");
    writeFileSync(file, "i".repeat(700_000));
    const { insurancedetails: _, ...fields } = patientFields("Big");
    const answer = await api("/patient/c-40", "-X", "POST", ...form(fields), "--data-urlencode", `insurancedetails@${file}`);
    assert.equal(answer.status, 200, answer.body.slice(0, 300));
    assert.equal(body(await api("/patient/c-40")).insurancedetails.length, 700_000);
  });

  test("PS-17 to PS-21, PS-31, PS-32: the store answers the service's certificate over verified mutual TLS; a record is one JSON text without id", async () => {
    await withClientCertificate(service(), async (redis) => {
      const stored = JSON.parse(await redis("get", "c-1"));
      assert.equal(stored.fname, "Zoë");
      assert(!("id" in stored) && typeof stored.score === "number");
      await redis("set", "foreign", "no JSON");
      assert.equal((await api("/patient/foreign")).status, 500);
      const listing = await api("/keys");
      assert.deepEqual([listing.status, body(listing)], [500, { message: "Internal Server Error" }]);
      await redis("del", "foreign");
      assert.equal((await api("/keys")).status, 200);
    });
  });

  test("PS-45, PS-46: the launcher's lines come first, then the program's as they happen", async () => {
    const { workspace, release } = service();
    const { stdout } = await workspace.vouchsafe("logs", "--release", release, "flask");
    const at = (words: RegExp) => stdout.search(words);
    assert(at(/evidence .*node|node.*evidence/i) >= 0, stdout);
    assert(at(/[0-9a-f]{64}/) >= 0);
    assert(at(/flask\/python3/) >= 0 && at(/production/) >= 0);
    assert(at(/flask\/python3/) < at(/Connecting to the store/) && at(/Connecting to the store/) < at(/Starting to serve/));
  });

  test("PS-50: the program has the environment of its policy and nothing else", () => {
    const { workspace, release } = service();
    const [program = 0] = processesOf(workspace, release, "/app/api.py");
    const names = readFileSync(`/proc/${program}/environ`, "latin1")
      .split("\0")
      .flatMap((entry) => (entry === "" ? [] : [entry.slice(0, entry.indexOf("="))]));
    const policy = ["CLUSTER_DNS_IP", "K8sNAMESPACE", "REDIS_HOST", "REDIS_PORT", "api_host"];
    assert.deepEqual(names.sort(), policy, "MF-34: every declared variable, and no other");
  });

  test("PS-49, PS-51: the files of service and store are in their own views only", () => {
    const { workspace, release } = service();
    const [store = 0] = processesOf(workspace, release, "redis-server");
    assert.deepEqual(readdirSync(`/proc/${store}/root/tls`).sort(), ["ca.crt", "redis.crt", "redis.key"]);
    const [program = 0] = processesOf(workspace, release, "/app/api.py");
    assert.deepEqual(readdirSync(`/proc/${program}/root/tls`).sort(), [
      "client.crt",
      "client.key",
      "flask.crt",
      "flask.key",
      "redis-ca.crt",
    ]);
  });

  test("PS-30: a write that the store refuses is a 500 of its own; reads go on", async () => {
    await withClientCertificate(service(), async (redis) => {
      await redis("config", "set", "min-replicas-to-write", "1");
      const refused = await create("c-30");
      await redis("config", "set", "min-replicas-to-write", "0");
      assert.deepEqual([refused.status, body(refused)], [500, { error: "internal server error" }]);
      assert.equal((await api("/patient/c-1")).status, 200);
      assert.equal((await api("/patient/c-30")).status, 404, "nothing was written");
      assert.equal((await create("c-30")).status, 200);
    });
  });

  test("PS-16, PS-42: the store's host and port come from two variables with defaults; a store that is not there ends the program with a traceback and status 1", async () => {
    for (const [variables, target] of [
      [[], "redis:6379"],
      [["REDIS_HOST=127.0.0.1", "REDIS_PORT=1"], "127.0.0.1:1"],
    ] as const) {
      const { status, stdout, stderr } = await asProgram(service(), variables, "/app/api.py");
      assert.match(stdout, new RegExp(`^Connecting to the store at ${target}\n`));
      assert.match(stderr, /Traceback \(most recent call last\)/);
      assert.doesNotMatch(stdout, /Starting to serve/);
      assert.equal(status, 1);
    }
  });

  test("PS-52, PS-53: /memory, where it is offered, reveals nothing: the program cannot open its own memory", async () => {
    const ask = "import api; answer = api.app.test_client().get('/memory'); print(answer.status_code)";
    const { stdout, stderr } = await asProgram(service(), ["DEMO_MEMORY=1", "PYTHONPATH=/app"], "-c", ask);
    assert.match(`${stdout}${stderr}`, /PermissionError|cannot read/);
    assert.match(stdout, /^(?:END\n)?(?:200|500)\n$/);
    for (const secret of ["PRIVATE KEY", "900-55-0001", "REDIS_HOST"]) assert.equal(`${stdout}${stderr}`.includes(secret), false, secret);
  });

  test("PS-43: until the program serves its port is closed; no answer says that it is not ready", async () => {
    const { workspace, release } = service();
    const [program = 0] = processesOf(workspace, release, "/app/api.py");
    process.kill(program, "SIGKILL");
    const seen = new Set<number>();
    for (let answer = await api("/patient/c-1"); ; answer = await api("/patient/c-1")) {
      seen.add(answer.status);
      const [present = program] = processesOf(workspace, release, "/app/api.py");
      if (answer.status === 200 && present !== program) break;
      await sleep(100);
    }
    assert.deepEqual(
      [...seen].filter((status) => status !== 0 && status !== 200),
      [],
    );
  });

  test("PS-39, PS-31: while the store cannot be reached a request ends with 500; the service works again when it can", async () => {
    const { workspace, release } = service();
    const [program = 0] = processesOf(workspace, release, "/app/api.py");
    const [store = 0] = processesOf(workspace, release, "redis-server");
    const { address } = await serviceOf(workspace, release, "redis");
    const route = async (action: "add" | "del") => {
      const { status, output } = await inNetworkOf(program, "ip", "route", action, "unreachable", `${address}/32`);
      assert.equal(status, 0, output);
    };
    await route("add"); // whether or not it is started again meanwhile
    try {
      process.kill(store, "SIGKILL");
      for (const answer of [await api("/keys"), await api("/patient/c-1")]) {
        assert.deepEqual([answer.status, body(answer)], [500, { message: "Internal Server Error" }]);
      }
      assert.deepEqual(processesOf(workspace, release, "/app/api.py"), [program], "the service stays up");
    } finally {
      await route("del");
    }
    let back = await api("/keys");
    while (back.status !== 200) {
      assert.equal(back.status, 500);
      await sleep(500);
      back = await api("/keys");
    }
    assert.deepEqual(body(back), { keys: [] }, "the store keeps nothing on disk");
    assert.equal((await create("c-39")).status, 200);
  });
}

/** Runs the image's Python in the program's own view, as its user, with these variables: what the service's container would do. */
function asProgram({ workspace, release }: PatientService, variables: readonly string[], ...words: string[]) {
  const [program = 0] = processesOf(workspace, release, "/app/api.py");
  const status = readFileSync(`/proc/${program}/status`, "utf8");
  const idOf = (field: "Uid" | "Gid") => new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? "";
  const [python = ""] = readFileSync(`/proc/${program}/cmdline`, "utf8").split("\0");
  const path = (name: string) =>
    ["/usr/local/bin", "/usr/bin"].map((directory) => join(directory, name)).find((each) => existsSync(`/proc/${program}/root${each}`)) ??
    name;
  const enter = ["--target", String(program), "--mount", "--net", "--pid", "--setuid", idOf("Uid"), "--setgid", idOf("Gid"), "--"];
  return workspace.run("env", ["-i", ...variables, "/usr/bin/nsenter", ...enter, python.startsWith("/") ? python : path(python), ...words]);
}

/** Runs `redis-cli` with the service's own certificate, which only root of this machine can get at, and only from the program's view. */
async function withClientCertificate(
  { workspace, release }: PatientService,
  action: (redis: (...command: string[]) => Promise<string>) => Promise<void>,
): Promise<void> {
  const [program = 0] = processesOf(workspace, release, "/app/api.py");
  const files = join(workspace.home, "service-files");
  cpSync(`/proc/${program}/root/tls`, files, { recursive: true });
  try {
    const tls = ["--tls", "--cert", join(files, "client.crt"), "--key", join(files, "client.key"), "--cacert", join(files, "redis-ca.crt")];
    await action(async (...command) => {
      // PS-18: the certificate names the host that the service connects to.
      const [store = 0] = processesOf(workspace, release, "redis-server");
      const { status, output } = await inNetworkOf(store, "redis-cli", "-h", "127.0.0.1", "--sni", `${release}-redis`, ...tls, ...command);
      assert.equal(status, 0, output);
      return output;
    });
  } finally {
    rmSync(files, { recursive: true, force: true });
  }
}
