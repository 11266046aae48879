import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseImageDescription } from "./image-description.ts";
import { parseMountPoints } from "./mount-points.ts";
import { repairHosts, repairResolvConf } from "./name-service.ts";
import { programArgv, programEnvironment } from "./program-start.ts";
import { RuntimeError } from "./runtime-error.ts";
import { readSettings } from "./settings.ts";
import { fillTemplate } from "./template-file.ts";
import { planView } from "./view-plan.ts";

test("MF-49: search domains with an empty label go, the container's own are appended", () => {
  const injected = "nameserver 10.96.0.10\nsearch .svc.cluster.local svc.cluster.local\noptions ndots:5\n";
  const container = "nameserver 10.96.0.10\nnameserver 10.0.0.2\nsearch shop.svc.cluster.local svc.cluster.local\n";
  assert.equal(
    repairResolvConf(injected, container),
    "nameserver 10.96.0.10\nnameserver 10.0.0.2\nsearch svc.cluster.local shop.svc.cluster.local\noptions ndots:5\n",
  );
});

test("MF-50: the line of the container's own name is appended to injected hosts, once", () => {
  const container = "127.0.0.1 localhost\n10.1.2.3\tclinic-flask\n";
  const repaired = repairHosts("127.0.0.1 localhost", container, "clinic-flask");
  assert.equal(repaired, "127.0.0.1 localhost\n10.1.2.3\tclinic-flask\n");
  assert.equal(repairHosts(repaired, container, "clinic-flask"), repaired);
  assert.equal(repairHosts("127.0.0.1 localhost\n", container, "other"), "127.0.0.1 localhost\n");
});

test("MF-45: a template's placeholders are filled in one pass, all other bytes stay", () => {
  const values = { pin: Buffer.from("$$SCONE::key$$").toString("base64"), "key:hex": Buffer.from("00ff").toString("base64") };
  const template = Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from("a=$$SCONE::pin$$ b=$$SCONE::key:hex$$ $$literal$$")]);
  const expected = Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from("a=$$SCONE::key$$ b=00ff $$literal$$")]);
  assert.deepEqual(Buffer.from(fillTemplate("/x", template, values)), expected);
});

test("SL-124: escape(json) escapes quotes, line ends and text of other scripts without loss", () => {
  const filled = fillTemplate("/x", Buffer.from('"$$SCONE::a|escape(json)$$"'), { a: Buffer.from('ä"\n').toString("base64") });
  assert.equal(JSON.parse(Buffer.from(filled).toString()), 'ä"\n');
});

test("SL-120: a placeholder that the policy does not provide stops the start and names itself", () => {
  assert.throws(() => fillTemplate("/etc/app.conf", Buffer.from("$$SCONE::nowhere$$"), {}), {
    code: "R-VIEW",
    message: /\/etc\/app\.conf.*nowhere/,
  });
});

test("SL-58, SL-69: of the container's variables the program gets those that the policy asks for, and no other", () => {
  const configuration = { environment: { MODE: "policy", LD_PRELOAD: "" }, hostVariables: ["REGION", "ABSENT"] };
  const image = { environment: {} };
  const host = { MODE: "host", LD_PRELOAD: "/evil.so", REGION: "eu", PYTHONPATH: "/evil" };
  const environment = programEnvironment(configuration, image, host);
  assert.equal(environment["MODE"], "policy");
  assert.equal(environment["REGION"], "eu");
  assert.equal(environment["ABSENT"], "");
  assert.equal(environment["LD_PRELOAD"], "");
  assert.equal("PYTHONPATH" in environment, false);
});

test("SL-58, SL-66: the container's arguments stand only where the policy has a marker", () => {
  assert.deepEqual(programArgv({ arguments: ["python3", "app.py", ""], hostArguments: [{ at: 2, hostArgument: 1 }] }, ["python3", "x"]), [
    "python3",
    "app.py",
    "x",
  ]);
  assert.deepEqual(programArgv({ arguments: ["python3", "app.py"], hostArguments: [] }, ["python3", "other.py"]), ["python3", "app.py"]);
  assert.throws(() => programArgv({ arguments: [""], hostArguments: [{ at: 0, hostArgument: 3 }] }, ["a"]), { code: "R-PROGRAM" });
});

test("the view: mounts are taken over, directories above them are rebuilt, all others get a layer in memory", () => {
  const tree: Record<string, readonly string[]> = {
    "/": ["bin", "dev", "etc", "proc", "usr", "vouchsafe"],
    "/etc": ["hosts", "passwd", "ssl"],
  };
  const kinds: Record<string, "link" | "file"> = { "/bin": "link", "/etc/hosts": "file", "/etc/passwd": "file" };
  const steps = planView({
    mountPoints: new Set(["/", "/dev", "/dev/shm", "/proc", "/etc/hosts"]),
    list: (path) => tree[path] ?? [],
    status: (path) => ({ kind: kinds[path] ?? "directory", uid: 0, gid: 0, mode: 0o755 }),
  });
  assert.deepEqual(
    steps.map((step) => `${step.kind} ${step.path}`),
    [
      "link /bin",
      "mount /dev",
      "directory /etc",
      "mount /etc/hosts",
      "file /etc/passwd",
      "overlay /etc/ssl",
      "mount /proc",
      "overlay /usr",
    ],
  );
});

test("mount points are read with their escapes resolved", () => {
  const text = "1 0 0:1 / / rw - overlay o rw\n4 1 0:4 / /a\\040b rw - tmpfs t rw\n";
  assert.deepEqual(parseMountPoints(text), ["/", "/a b"]);
});

test("settings: what is missing or malformed is named with a remedy", () => {
  const complete = { SCONE_CONFIG_ID: "ns/flask/python3", SCONE_CAS_ADDR: "cas.scone-system" };
  assert.deepEqual(readSettings(complete).cas, { host: "cas.scone-system", port: 18765 });
  const { servicePort, drainMs } = readSettings({ ...complete, VOUCHSAFE_SERVICE_PORT: "4996", VOUCHSAFE_DRAIN_SECONDS: "3" });
  assert.deepEqual({ servicePort, drainMs }, { servicePort: 4996, drainMs: 3_000 });
  for (const [name, value] of [
    ["SCONE_CONFIG_ID", "flask"],
    ["SCONE_CONFIG_ID", ""],
    ["SCONE_CAS_ADDR", "http://x"],
    ["SCONE_CAS_ADDR", ""],
    ["VOUCHSAFE_WAIT_SECONDS", "soon"],
    ["VOUCHSAFE_DRAIN_SECONDS", "-1"],
    ["VOUCHSAFE_DRAIN_SECONDS", "soon"],
    ["VOUCHSAFE_SERVICE_PORT", "0"],
    ["VOUCHSAFE_SERVICE_PORT", "65536"],
    ["VOUCHSAFE_SERVICE_PORT", "http"],
  ] as const) {
    assert.throws(() => readSettings({ ...complete, [name]: value }), { code: "R-SETTINGS" }, `${name}=${value}`);
  }
});

test("C-90: the node's agent is at port 18766 of SCONE_LAS_ADDR, unless another is named; without it none is asked", () => {
  const complete = { SCONE_CONFIG_ID: "ns/flask/python3", SCONE_CAS_ADDR: "cas" };
  assert.deepEqual(readSettings({ ...complete, SCONE_LAS_ADDR: "las" }).agent, { host: "las", port: 18766 });
  assert.deepEqual(readSettings({ ...complete, SCONE_LAS_ADDR: "10.0.0.7:1" }).agent, { host: "10.0.0.7", port: 1 });
  assert.equal(readSettings(complete).agent, undefined);
});

test("C-98: a file system that the host names is ignored: key and tag come from the policy alone", () => {
  const complete = { SCONE_CONFIG_ID: "ns/flask/python3", SCONE_CAS_ADDR: "cas" };
  const host = { SCONE_FSPF: "/evil.fspf", SCONE_FSPF_KEY: "00".repeat(32), SCONE_FSPF_TAG: "00".repeat(16) };
  assert.deepEqual(readSettings({ ...complete, ...host }), readSettings(complete));
  assert.deepEqual(programEnvironment({ environment: {}, hostVariables: [] }, { environment: {} }, host), {});
});

test("an image description is read or refused with R-IMAGE, whatever the text", () => {
  const nearly = fc
    .json()
    .map(
      (json) =>
        `{"format":1,"platformVersion":"1","mode":"production","user":${json},"environment":{},"searchPath":[],"diversions":${json}}`,
    );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), nearly), (text) => {
      try {
        parseImageDescription(text);
      } catch (error) {
        assert.ok(error instanceof RuntimeError && error.code === "R-IMAGE", String(error));
      }
    }),
  );
});
