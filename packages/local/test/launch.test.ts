import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { codeIdentity, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { CasClient } from "@vouchsafe/protocol";
import { startDetached, waitWhileAlive } from "../src/detached-process.ts";
import { type EngineStatus, readEngineStatus } from "../src/engine-status.ts";
import { startEmbeddedCas, stopApplication, stopEmbeddedCas } from "../src/index.ts";
import { applicationPaths } from "../src/state-paths.ts";
import { makeIdentity, makeRecord, makeRuntimeImage } from "./test-mesh.ts";

/*
 * The real launcher, runtime, node agent and CAS; only the programs are small. One application, a service for each question.
 */
const CANARY = "c4n4ry-7f3a9d-s3cr3t";
const LOOK = `
echo "args $# $1 $2"; env | sort | sed 's/^/env /'; id -u; pwd; umask; ulimit -c; cat /tls/deep/secret; ls -ln /tls/deep
grep -E '^(NoNewPrivs|CapEff|CapPrm|CapBnd|SigIgn|Groups)' /proc/self/status; ls /run/vouchsafe 2>&1
for place in /tmp /var/tmp /run /dev/shm; do echo clear >$place/file && echo "wrote $place"; done
exec 5</dev/null; ls /proc/self/fd | tr '\\n' ' '; echo
(sleep 0.1 &) ; trap 'echo program got TERM; exit 3' TERM
echo looked; sleep 1000 & wait`;
const scratch = mkdtempSync(join(tmpdir(), "launch-"));
const stateDir = join(scratch, "state");
const paths = applicationPaths(stateDir, "launch");
let status: EngineStatus;
let logs: (service: string) => string;

before(async () => {
  const image = await makeRuntimeImage(scratch, "vouchsafe.local/launch:1", [
    "/usr/bin/env",
    "/usr/bin/sort",
    "/bin/sed",
    "/usr/bin/id",
    "/bin/cat",
    "/bin/ls",
    "/bin/grep",
    "/usr/bin/tr",
    "/bin/sleep",
  ]);
  const cas = await startEmbeddedCas(stateDir);
  const code = codeIdentity("node", NODE_AGENT_MEASUREMENT, { imageDigest: image.digest, fileSystemTag: "" });
  const client = new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: makeIdentity(scratch) });
  await client.uploadSession(JSON.stringify(policy(code)));
  client.close();
  const names = ["status", "signal", "look", "refused", "missing"];
  const record = makeRecord(
    names.map((name) => ({
      name,
      image,
      serviceId: `launch-test/${name}`,
      restartPolicy: "Never" as const,
      containerEnvironment: {
        SCONE_CONFIG_ID: `launch-test/${name}`,
        SCONE_CAS_ADDR: "cas.scone-system",
        // hazard I2: none of these may have any effect
        NODE_OPTIONS: "--require /evil.js",
        LD_PRELOAD: "/evil.so",
        PYTHONPATH: "/evil",
        SCONE_EVIL: "yes",
        PATH: "/evil",
      },
    })),
  );
  mkdirSync(paths.directory, { recursive: true });
  const order = { host: cas.service.host, servicePort: cas.service.port, clientPort: cas.client.port };
  writeFileSync(
    paths.order,
    JSON.stringify({
      release: "launch",
      targetDir: scratch,
      stateDir,
      record,
      cas: order,
      environment: { VOUCHSAFE_CAS_KEY: cas.casKeyHash },
    }),
  );
  const engine = startDetached(fileURLToPath(import.meta.resolve("../src/engine-main.ts")), [paths.order], paths.engineLog);
  assert(engine !== undefined);
  logs = (service) => (existsSync(join(paths.logs, `${service}.log`)) ? readFileSync(join(paths.logs, `${service}.log`), "utf8") : "");
  const settled = (found: EngineStatus) =>
    found.phase === "failed" ||
    (logs("look").includes("looked") &&
      names.every((name) => found.instances.find((one) => one.name === name)?.state === (name === "look" ? "ready" : "ended")));
  const found = await waitWhileAlive(
    engine,
    () => {
      const now = readEngineStatus(paths.status);
      return now !== undefined && settled(now) ? now : undefined;
    },
    { timeoutMs: 60_000 },
  );
  assert(
    found !== undefined,
    `${JSON.stringify(readEngineStatus(paths.status), null, 1)}\n${names.map(logs).join("\n")}\n${readFileSync(paths.engineLog, "utf8")}`,
  );
  assert.notEqual(found.phase, "failed", JSON.stringify(found.failure));
  status = found;
});
after(async () => {
  await stopApplication("launch", stateDir);
  await stopEmbeddedCas(stateDir);
  rmSync(scratch, { recursive: true, force: true });
});

function policy(code: string) {
  const service = (name: string, command: string[], more: object = {}) => ({
    name,
    image_name: "plain",
    command,
    pwd: "/tmp",
    attestation: { mrenclave: [code] },
    environment: { PATH: "/usr/bin:/bin" },
    ...more,
  });
  return {
    version: "0.3",
    name: "launch-test",
    security: { attestation: { evidence: ["node"] } },
    images: [
      { name: "plain" },
      { name: "secret", injection_files: [{ path: "/tls/deep/secret", content: `${CANARY}\n`, permission: "0o400" }] },
    ],
    services: [
      service("status", ["sh", "-c", "exit 42"]),
      service("signal", ["sh", "-c", "kill -KILL $$"]),
      service("look", ["sh", "-c", LOOK, "sh", "one two", "$HOME"], {
        image_name: "secret",
        environment: { PATH: "/usr/bin:/bin", ODD: "a=b 'c' \"d\"" },
      }),
      service("refused", ["sh", "-c", "echo never"], { attestation: { mrenclave: ["00".repeat(32)] } }),
      service("missing", ["no-such-program"]),
    ],
  };
}

/** What the program itself wrote: the launcher's own lines come at any time between the program's. */
const withoutLauncherLines = (log: string) => log.replaceAll(/^vouchsafe: .*\n/gm, "");

const endOf = (name: string) => status.instances.find((instance) => instance.name === name)?.lastExit;

/** Processes of the `look` service on this machine: PID 1 of its container first, then the program. */
function processesOfLook(): { launcher: number; program: number } {
  const found = { launcher: 0, program: 0 };
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (command.includes('sh\0-c\0\necho "args')) {
        found.program = pid;
        found.launcher = Number(/^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      }
    } catch {
      // it ended while we looked
    }
  }
  assert(found.program > 0, "the program is not among the processes");
  return found;
}

test("hazard I6: exit statuses and signals pass through the launcher", () => {
  assert.equal(endOf("status"), 42);
  assert.equal(endOf("signal"), 137);
});

test("hazard I2: the program gets exactly the policy's arguments and variables, whatever the container was started with", () => {
  const text = withoutLauncherLines(logs("look"));
  assert.match(text, /^args 2 one two \$HOME$/m);
  const variables = [...text.matchAll(/^env (\w+)=(.*)$/gm)]
    .map(([, name, value]) => `${name}=${value}`)
    .filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line));
  assert.deepEqual(variables, ["FROM_IMAGE=1", "ODD=a=b 'c' \"d\"", "PATH=/usr/bin:/bin"]);
  assert.match(text, /^65532\n\/tmp\n0022\n0$/m, "user, working directory, mask, no core dumps");
});

test("SL-168, SL-169, hazard I7: an injected file below a directory that the image does not have belongs to the program, with its permission", () => {
  const text = logs("look");
  assert.match(text, new RegExp(`^${CANARY}$`, "m"));
  assert.match(text, /^-r-------- +1 65532 65532 .* secret$/m);
});

test("the program has no capability, no new privileges, no groups, signals at their default, no open file but its own", () => {
  const text = logs("look");
  for (const line of [/^NoNewPrivs:\t1$/m, /^CapEff:\t0{16}$/m, /^CapPrm:\t0{16}$/m, /^Groups:\t *$/m, /^0 1 2 3 5 $/m])
    assert.match(text, line);
  const ignored = /^SigIgn:\t([0-9a-f]{16})$/m.exec(text)?.[1];
  assert.equal(BigInt(`0x${ignored}`) & (1n << 12n), 0n, "SIGPIPE is not ignored");
});

test("hazard I7: what the program writes to scratch space is its own memory, and it does not see what the engine exchanges with the launcher", () => {
  const text = withoutLauncherLines(logs("look"));
  for (const place of ["/tmp", "/run", "/dev/shm"]) assert.match(text, new RegExp(`^wrote ${place}$`, "m"));
  assert.match(text, /^ls: .*\/run\/vouchsafe.*No such file or directory$/m);
  if (process.getuid?.() !== 0) return;
  const { launcher } = processesOfLook();
  for (const place of ["tmp", "var/tmp", "run", "dev/shm"]) assert.equal(existsSync(`/proc/${launcher}/root/${place}/file`), false, place);
});

test("C-44: a refusal ends the launcher before the program, names every cause, the CAS and the service", () => {
  assert.equal(endOf("refused"), 1);
  const text = logs("refused");
  assert.doesNotMatch(text, /^never$/m);
  assert.match(text, /step variants/);
  assert.match(text, /cas\.scone-system/);
  assert.match(text, /launch-test\/refused/);
});

test("a program that the image does not have is named, with the places that were searched", () => {
  assert.equal(endOf("missing"), 1);
  assert.match(logs("missing"), /no program "no-such-program"[\s\S]*\/usr\/bin/);
});

test("hazards I7, I3, field/2026-08-key-in-arguments: outside of the program's view there is no injected file, and no secret in anybody's arguments, environment or on disk", () => {
  const { launcher } = processesOfLook();
  if (process.getuid?.() === 0) {
    assert.equal(existsSync(`/proc/${launcher}/root/tls`), false, "what a shell in the container would see");
    assert.equal(existsSync(`/proc/${launcher}/root/vouchsafe/mesh/service.json`), true);
  }
  const searched = spawnSync("grep", ["-rlaF", CANARY, paths.roots, status.runDir ?? scratch, paths.order, paths.status, paths.engineLog], {
    encoding: "utf8",
  });
  assert.equal(searched.stdout, "");
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    for (const file of ["cmdline", "environ"]) {
      let text = "";
      try {
        text = readFileSync(`/proc/${pid}/${file}`, "latin1");
      } catch {
        // closed to us, or gone
      }
      assert.equal(text.includes(CANARY), false, `/proc/${pid}/${file}`);
    }
  }
});

test("hazard I3: a process of the program's own user finds its memory, environment, files and root closed", (t) => {
  if (process.getuid?.() !== 0)
    return t.diagnostic("only root can become the program's user; as an ordinary user the engine's user owns the namespaces");
  const { program, launcher } = processesOfLook();
  const own = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${program}/status`, "utf8"))?.[1] ?? "";
  assert.notEqual(own, "0");
  const tryAs = (...command: string[]) =>
    spawnSync("setpriv", ["--reuid", own, "--regid", own, "--clear-groups", ...command], { encoding: "utf8" });
  assert.equal(tryAs("cat", `/proc/${program}/status`).status, 0, "the attempt itself works");
  for (const pid of [program, launcher]) {
    for (const file of ["environ", "maps", "auxv", "mem"])
      assert.match(tryAs("cat", `/proc/${pid}/${file}`).stderr, /Permission denied|Operation not permitted/, `${pid} ${file}`);
    for (const directory of ["root", "cwd", "fd", "ns", "map_files"])
      assert.notEqual(tryAs("ls", `/proc/${pid}/${directory}/`).status, 0, `${pid} ${directory}`);
  }
  assert.notEqual(statSync(`/proc/${program}/environ`).uid, Number(own), "the process can be dumped");
});

test("hazard I6: a signal to the container reaches the program; its end is the container's, and the orphans are gone", async () => {
  const { program } = processesOfLook();
  const logFile = join(paths.logs, "look.log");
  const stopping = stopApplication("launch", stateDir);
  let text = "";
  while (existsSync(logFile)) {
    text = readFileSync(logFile, "utf8");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await stopping;
  assert.match(text, /^program got TERM$/m);
  assert.equal(existsSync(`/proc/${program}`), false);
});
