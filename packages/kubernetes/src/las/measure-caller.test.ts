import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { KubernetesError } from "../kubernetes-error.ts";
import { CONNECTION, FakeMachine, IMAGE_DIGEST } from "../testing/fake-machine.ts";
import { identifyCaller, measureCaller, RefusedCaller } from "./measure-caller.ts";

const OTHER_ID = "cd".repeat(32);
const [SECOND_DIGEST, THIRD_DIGEST] = ["2", "3"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
const LAUNCHER_MAX_BYTES = 64 * 1024;
const measure = (machine: FakeMachine) => measureCaller(CONNECTION, machine.measuring);

test("C-91: the launcher of a container is measured from outside: image, state of its files, program and service", async (t) => {
  const machine = new FakeMachine(t);
  assert.deepEqual(await measure(machine), {
    container: machine.container,
    imageDigest: IMAGE_DIGEST,
    fileSystemTag: "0f".repeat(16),
    program: "/vouchsafe/runtime/bin/node",
    service: "shop/api",
  });
});

const EXACTLY = "y".repeat(LAUNCHER_MAX_BYTES);
const accepted: readonly (readonly [rule: string, change: (machine: FakeMachine) => void])[] = [
  ["a launcher that is found in the search path", (m) => m.say({}, { arguments: ["python3"] })],
  ["a launcher behind a link", (m) => m.link("machine/lower/usr/bin/python3", "../../vouchsafe/bin/launcher")],
  ["a volume where the image has nothing", (m) => m.mount("/data", "/sys/fs/cgroup", "/var/run/secrets/kubernetes.io/x")],
  [
    "a volume over an empty directory of the image",
    (m) => {
      mkdirSync(join(m.directory, "machine/lower/data"));
      m.mount("/data");
    },
  ],
  ["what kubelet made for a mount in the writable layer", (m) => m.write("machine/upper/etc/hosts", "")],
  ["a second process of the same container at the connection", (m) => m.addProcess(13)],
  [
    "a launcher of exactly 64 KiB",
    (m) => {
      for (const path of ["vouchsafe/bin/launcher", "usr/bin/python3"]) m.write(`machine/lower/${path}`, EXACTLY);
    },
  ],
];
for (const [rule, change] of accepted) {
  test(`C-91: ${rule} is no reason to refuse`, async (t) => {
    const machine = new FakeMachine(t);
    change(machine);
    assert.equal((await measure(machine)).service, "shop/api");
  });
}

const unprivileged = /runAsNonRoot/;
const rebuild = /Build the image/;
const refused: readonly (readonly [rule: string, change: (machine: FakeMachine) => void, message: RegExp, remedy?: RegExp])[] = [
  ["I2: a shell in the container", (m) => m.say({ pid: 13 }), /^the caller is not the first process of its container$/, /launcher only/],
  ["I1: a container of root", (m) => m.say({}, { userId: 0 }), /^the container runs as root$/, unprivileged],
  ["I1: capabilities", (m) => m.say({}, { capabilities: ["A", "B"] }), /^the container has the capabilities A, B$/, unprivileged],
  ["I1: a way to more rights", (m) => m.say({}, { noNewPrivileges: false }), /^the container may gain privileges$/, unprivileged],
  [
    "I1: a root of another kind",
    (m) => m.write("proc/12/mountinfo", "1 0 0:1 / / rw - ext4 /dev/sda rw\n"),
    /^the container's root is no overlay of image layers$/,
    /snapshotter/,
  ],
  ["I1: a volume over the runtime", (m) => m.mount("/vouchsafe"), /^a volume mounted at \/vouchsafe hides files/, /where the image has/],
  [
    "I1: a volume that brings a runtime to an image that has none",
    (m) => {
      m.move("machine/lower/vouchsafe", "view/vouchsafe");
      m.write("view/usr/bin/python3", "the launcher");
      m.link("proc/12/root", join(m.directory, "view"));
      m.mount("/vouchsafe");
    },
    /^a volume mounted at \/vouchsafe hides files/,
  ],
  ["I1: a volume below the runtime", (m) => m.mount("/vouchsafe/new"), /^a volume mounted at \/vouchsafe\/new hides files/],
  ["I1: a volume over code", (m) => m.mount("/data", "/app"), /^a volume mounted at \/app hides files/],
  [
    "I1: a volume beside the usual ones",
    (m) => {
      m.write("machine/lower/devices/x", "");
      m.mount("/devices");
    },
    /^a volume mounted at \/devices/,
  ],
  [
    "I1: a file that root changed",
    (m) => m.write("machine/upper/usr/bin/python3", "other"),
    /^\/usr\/bin\/python3 of the container differs from the image$/,
    /Delete the pod/,
  ],
  [
    "I3: another command",
    (m) => m.say({}, { arguments: ["/bin/sh"] }),
    /^the container was started with "\/bin\/sh", which is not the/,
    /Remove `command`/,
  ],
  ["I3: another command of the search path", (m) => m.say({}, { arguments: ["sh"] }), /started with "sh"/],
  ["I3: a command that is not there", (m) => m.say({}, { arguments: ["/bin/none"] }), /started with "\/bin\/none"/],
  ["I3: a command that no directory has", (m) => m.say({}, { arguments: ["none"] }), /started with "none"/],
  [
    "I3: no search path",
    (m) => m.say({}, { arguments: ["python3"], environment: new Map([["SCONE_CONFIG_ID", "a/b"]]) }),
    /with "python3"/,
  ],
  ["I3: no command", (m) => m.say({}, { arguments: [] }), /started with ""/],
  ["I3: an image without launcher", (m) => m.remove("machine/lower/vouchsafe/bin"), /^the image has no launcher$/, rebuild],
  ["I3: a launcher that is too large", (m) => m.write("machine/lower/vouchsafe/bin/launcher", `${EXACTLY}y`), /which is not the launcher/],
  ["I3: a command that is too large", (m) => m.write("machine/lower/usr/bin/python3", `${EXACTLY}y`), /which is not the launcher/],
  [
    "I5: pipes in place of launcher and command",
    (m) => {
      for (const path of ["vouchsafe/bin/launcher", "usr/bin/python3"]) {
        m.remove(`machine/lower/${path}`);
        execFileSync("mkfifo", [join(m.directory, "machine/lower", path)]);
      }
    },
    /which is not the launcher/,
  ],
  ["I3: another program in its place", (m) => m.link("proc/12/exe", "/bin/sh"), /^the caller runs \/bin\/sh, not the image's runtime$/],
  ["no description", (m) => m.remove("machine/lower/vouchsafe/mesh"), /^the image has no \/vouchsafe\/mesh\/service.json$/, rebuild],
  [
    "a description that is too large",
    (m) => m.write("machine/lower/vouchsafe/mesh/service.json", `{"format":1}${" ".repeat(4 * 1024 * 1024)}`),
    /^the image has no \/vouchsafe\/mesh\/service.json$/,
  ],
  ["a description that is none", (m) => m.write("machine/lower/vouchsafe/mesh/service.json", "{}"), /service.json cannot be read$/],
  ["an image without digest", (m) => m.say({ imageDigests: [] }), /knows no manifest digest/, /by its digest/],
  [
    "several digests and none that is named",
    (m) => m.say({ imageDigests: [IMAGE_DIGEST, SECOND_DIGEST] }),
    /several digests and the pod names none/,
    /@sha256/,
  ],
  [
    "another digest than those of the image",
    (m) => {
      m.say({ imageDigests: [IMAGE_DIGEST, SECOND_DIGEST] });
      m.named = THIRD_DIGEST;
    },
    /several digests and the pod names none/,
  ],
  ["no service", (m) => m.say({}, { environment: new Map() }), /^the container has no SCONE_CONFIG_ID$/, /chart/],
  ["a password and no service", (m) => m.say({}, { environment: new Map([["SCONE_CONFIG_ID", "@1"]]) }), /has no SCONE_CONFIG_ID$/],
  [
    "I4: a process that is another by now",
    (m) => (m.onInspect = () => m.addProcess(12, { startTime: "4712" })),
    /ended while it was measured$/,
  ],
  ["I4: a process that has ended", (m) => (m.onInspect = () => m.remove("proc/12/stat")), /ended while it was measured$/],
];
for (const [rule, change, message, remedy = /(?:)/] of refused) {
  test(`C-91, hazard ${rule} is refused, and the pod can be told`, async (t) => {
    const machine = new FakeMachine(t);
    change(machine);
    await assert.rejects(measure(machine), (error) => {
      assert(error instanceof RefusedCaller);
      assert.equal(error.code, "E-AGENT-CALLER");
      assert.match(error.message, message);
      assert.match(error.remedy ?? "", remedy);
      assert.equal(error.container, machine.container);
      return true;
    });
  });
}

test("C-91: of several digests the one counts that the pod names; an image without protected files has no state", async (t) => {
  const machine = new FakeMachine(t);
  machine.say({ imageDigests: [IMAGE_DIGEST, SECOND_DIGEST] });
  machine.named = SECOND_DIGEST;
  machine.write("machine/lower/vouchsafe/mesh/service.json", '{"format":1}');
  const { imageDigest, fileSystemTag } = await measure(machine);
  assert.deepEqual([imageDigest, fileSystemTag], [SECOND_DIGEST, ""]);
});

const nobody: readonly (readonly [rule: string, change: (machine: FakeMachine) => void, message: RegExp])[] = [
  ["a process of another machine", (m) => m.link("proc/12/fd/3", "socket:[78]"), /^the caller is not on this machine$/],
  ["a process outside a container", (m) => m.addProcess(12, { id: "" }), /^the caller is not one container of this machine$/],
  ["two containers at one connection", (m) => m.addProcess(13, { id: OTHER_ID }), /^the caller is not one container of this machine$/],
];
for (const [rule, change, message] of nobody) {
  test(`C-91: ${rule} is refused, and there is no pod to tell`, async (t) => {
    const machine = new FakeMachine(t);
    change(machine);
    for (const ask of [measureCaller, identifyCaller]) {
      await assert.rejects(ask(CONNECTION, machine.measuring), (error) => {
        assert(error instanceof KubernetesError && !(error instanceof RefusedCaller));
        assert.match(error.message, message);
        return true;
      });
    }
  });
}

test("a file of the machine that cannot be read is no finding about the caller", async (t) => {
  const machine = new FakeMachine(t);
  machine.remove("proc/12/exe");
  await assert.rejects(measure(machine), { code: "ENOENT" });
});

test("hazard I5: no file of a container stays open", async (t) => {
  const machine = new FakeMachine(t);
  const openFiles = () => readdirSync("/proc/self/fd").length;
  await measure(machine);
  const before = openFiles();
  for (let count = 0; count < 20; count++) await measure(machine);
  assert(openFiles() < before + 20, `${before} files before, ${openFiles()} now`);
});
