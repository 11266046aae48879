import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseImageDescription } from "./image-description.ts";
import { judgeMounts } from "./judge-mounts.ts";
import { type Mount, parseMountTable } from "./mount-table.ts";
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

const mount = (target: string, type: string, more: Partial<Mount> = {}): Mount => ({
  target,
  type,
  root: "/",
  options: new Set(["rw"]),
  ...more,
});
const POD = "/var/lib/kubelet/pods/0f1e/volumes";

test("the view: mounts that are shown are taken over, directories above any mount are rebuilt, all others get a layer in memory", () => {
  const tree: Record<string, readonly string[]> = {
    "/": ["bin", "dev", "etc", "proc", "tmp", "usr", "vouchsafe"],
    "/etc": ["hosts", "passwd", "ssl"],
  };
  const kinds: Record<string, "link" | "file"> = { "/bin": "link", "/etc/hosts": "file", "/etc/passwd": "file" };
  const files = {
    mounts: ["/", "/dev", "/dev/shm", "/proc", "/etc/hosts", "/tmp"].map((target) => mount(target, "tmpfs")),
    list: (path: string) => tree[path] ?? [],
    status: (path: string) => ({ kind: kinds[path] ?? ("directory" as const), uid: 0, gid: 0, mode: 0o755 }),
  };
  const steps = planView(files, { shown: new Set(["/dev", "/proc", "/etc/hosts"]), memory: ["/dev/shm", "/tmp"], warnings: [] });
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
      "scratch /tmp",
      "overlay /usr",
    ],
  );
});

const judged = (mounts: readonly Mount[], hostPaths: readonly string[] = []) =>
  judgeMounts(mounts, hostPaths, {
    isDirectory: (path) => !path.includes("."),
    mayHideImage: (path) => path === "/usr/share",
  });

test("hazard I7: the program sees what every container has, and not the launcher's own directory", () => {
  const usual = [
    ...[
      mount("/", "overlay"),
      mount("/proc", "proc"),
      mount("/proc/kcore", "tmpfs"),
      mount("/sys", "sysfs"),
      mount("/sys/fs/cgroup", "cgroup2"),
    ],
    ...[mount("/dev", "tmpfs"), mount("/dev/pts", "devpts"), mount("/dev/mqueue", "mqueue"), mount("/dev/shm", "tmpfs")],
    ...[mount("/etc/resolv.conf", "ext4"), mount("/run/vouchsafe", "tmpfs"), mount("/run/secrets/kubernetes.io/serviceaccount", "tmpfs")],
  ];
  const { shown, memory, warnings } = judged(usual);
  const expected = ["/proc", "/proc/kcore", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts", "/dev/mqueue", "/etc/resolv.conf"];
  assert.deepEqual([...shown], expected);
  assert.deepEqual(memory, ["/dev/shm", "/run", "/run/vouchsafe", "/tmp", "/var/run", "/var/tmp"]);
  assert.deepEqual(warnings, []);
});

test("hazard I7: tokens of the pod are kept from the program, also where the image has a directory in place of the link /var/run", () => {
  const options = new Set(["ro"]);
  const tokens = ["kubernetes.io", "eks.amazonaws.com"].map((who) => mount(`/var/run/secrets/${who}/serviceaccount`, "tmpfs", { options }));
  const isDirectory = (path: string) => path === "/var/run" || path === "/tmp";
  const { shown, memory, warnings } = judgeMounts(tokens, [], { isDirectory, mayHideImage: () => true });
  assert.deepEqual([[...shown], memory, warnings], [[], ["/tmp", "/var/run"], []]);
});

test("hazard I7: a volume where programs keep temporary files, and an emptyDir anywhere, become memory of the program, and it is said", () => {
  const volumes = [
    mount("/tmp", "ext4", { root: `${POD}/kubernetes.io~empty-dir/scratch` }),
    mount("/var/tmp", "xfs", { root: "/srv/host" }),
    mount("/external", "ext4", { root: `${POD}/kubernetes.io~empty-dir/external` }),
    mount("/in-memory", "tmpfs"),
    mount("/tmp/deep/er", "ext4", { root: `${POD}/kubernetes.io~empty-dir/scratch/er` }),
  ];
  const { shown, memory, warnings } = judged(volumes);
  assert.deepEqual([...shown], []);
  assert.deepEqual(memory, ["/dev/shm", "/external", "/in-memory", "/run", "/tmp", "/tmp/deep/er", "/var/run", "/var/tmp"]);
  assert.deepEqual(
    warnings.map((line) => /^the volume mounted at (\S+ \(\w+\)) is not shown/.exec(line)?.[1]),
    ["/tmp (ext4)", "/var/tmp (xfs)", "/external (ext4)", "/in-memory (tmpfs)", "/tmp/deep/er (ext4)"],
  );
});

for (const { what, volume } of [
  { what: "a directory of the host", volume: mount("/data", "ext4", { root: "/srv/data" }) },
  { what: "a persistent volume", volume: mount("/var/lib/mysql", "nfs4") },
  {
    what: "a loader's list of libraries",
    volume: mount("/etc/ld.so.preload", "ext4", { root: `${POD}/kubernetes.io~configmap/evil/preload` }),
  },
  { what: "code beside the image's", volume: mount("/usr/lib/python3/dist-packages/sitecustomize.py", "ext4") },
  { what: "a ConfigMap", volume: mount("/config", "ext4", { root: `${POD}/kubernetes.io~configmap/c`, options: new Set(["ro"]) }) },
  { what: "a Secret", volume: mount("/vault/secrets", "tmpfs", { options: new Set(["ro"]) }) },
  { what: "a file of an emptyDir", volume: mount("/app/settings.py", "ext4", { root: `${POD}/kubernetes.io~empty-dir/e/s` }) },
  { what: "an emptyDir over files of the image", volume: mount("/usr/share", "tmpfs") },
  { what: "a disk among the devices", volume: mount("/dev/data", "ext4") },
  { what: "a directory of the host as the kernel's", volume: mount("/proc/self", "ext4") },
  { what: "the launcher", volume: mount("/vouchsafe/runtime", "ext4") },
  { what: "a directory at the place of a file", volume: mount("/etc/hosts/x", "ext4") },
]) {
  test(`hazards I1, I7: ${what} that the container has mounted is refused by name, with a remedy`, () => {
    assert.throws(
      () => judged([mount("/", "overlay"), volume]),
      (error) => {
        assert(error instanceof RuntimeError && error.code === "R-VIEW");
        assert(error.message.startsWith(`the container has a volume at ${volume.target} (${volume.type}), `), error.message);
        assert.match(error.remedy ?? "", /Take it out of the pod .*build\.host_paths/);
        return true;
      },
    );
  });
}

test("MF-52: a path that the image left to its host is shown as it is mounted, and nothing above it", () => {
  const certificates = mount("/etc/ssl/certs", "ext4");
  assert.deepEqual([...judged([certificates], ["/etc/ssl/certs"]).shown], ["/etc/ssl/certs"]);
  assert.deepEqual([...judged([mount("/run/spire/sockets", "ext4")], ["/run/spire"]).shown], ["/run/spire/sockets"]);
  for (const path of ["/etc/ssl/certs/one", "/etc/ssl/cert"]) assert.throws(() => judged([certificates], [path]), { code: "R-VIEW" });
});

test("all volumes that are refused are named at once", () => {
  assert.throws(() => judged([mount("/a", "ext4"), mount("/b", "nfs")]), { message: /at \/a \(ext4\), \/b \(nfs\), / });
});

test("the mount table is read with escapes resolved and optional fields left out; the last mount on a target counts", () => {
  const text =
    "1 0 0:1 / / rw,nosuid - overlay o rw\n3 1 8:1 /old /a\\040b rw - ext4 d rw\n4 1 8:1 /x\\134y /a\\040b ro,nodev shared:1 master:2 - ext4 /dev/sda rw\n";
  assert.deepEqual(parseMountTable(text), [
    { target: "/", root: "/", type: "overlay", options: new Set(["rw", "nosuid"]) },
    { target: "/a b", root: "/x\\y", type: "ext4", options: new Set(["ro", "nodev"]) },
  ]);
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
