import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

/*
 * A container without root rights, as Pod Security "restricted" wants it: this machine's own root stands for the image. The process makes a user
 * namespace, puts a root in memory together, and becomes a program without any capability.
 */
const scratch = mkdtempSync(join(tmpdir(), "ordinary-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const source = (name: string) => JSON.stringify(fileURLToPath(new URL(`../src/${name}`, import.meta.url)));
const OWN = process.getuid?.() ?? 0;
const UID = OWN === 0 ? 65_534 : OWN;
const LOOK = `cat /etc/vouchsafe-test/deep/secret; echo; stat -c '%a %u' /etc/vouchsafe-test/deep/secret; id -u; pwd
grep -E '^(NoNewPrivs|CapEff|CapPrm|CapAmb)' /proc/self/status; echo "$MODE $EVIL"; umask; ulimit -c
touch /tmp/mine && echo scratch is writable; ls /proc/self/fd | wc -l; cat /etc/hosts; exit 9`;

interface Start {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Starts a program as the launcher does once the service is attested. `configuration`: what differs from a service with two files. `prepare`: a script
 * that mounts `volumes` where nobody else sees them; that takes root.
 */
async function start(configuration: object, volumes: readonly string[] = [], prepare = ":"): Promise<Start> {
  const file = join(scratch, "start.mjs");
  const complete = {
    session: "s",
    service: "s",
    secretApi: [],
    sessionHash: "00",
    attested: true,
    arguments: ["sh", "-c", LOOK],
    hostArguments: [],
    environment: { MODE: "policy", PATH: "/nowhere:/usr/bin:/bin" },
    hostVariables: [],
    workingDirectory: "/usr",
    volumes: [],
    files: [
      { path: "/etc/vouchsafe-test/deep/secret", content: Buffer.from("c4n4ry").toBase64(), permission: 0o400 },
      { path: "/etc/hosts", content: Buffer.from("127.0.0.1 injected\n").toBase64(), permission: 0o444 },
    ],
    templateValues: {},
    warnings: [],
    ...configuration,
  };
  const image = { platformVersion: "0", mode: "debug", user: { uid: 1, gid: 1 }, environment: {}, searchPath: [], diversions: [] };
  writeFileSync(
    file,
    `import { handOver } from ${source("hand-over.ts")};
import { planProgram } from ${source("plan-program.ts")};
import { startProgram } from ${source("start-program.ts")};
import { ownContainerFiles } from ${source("container-files.ts")};
import { judgeMounts, KERNEL, SCRATCH } from ${source("judge-mounts.ts")};
import { isInside } from ${source("inside.ts")};
// Not before: the user may not be allowed to read the modules.
if (process.getuid() === 0) { process.setgroups([]); process.setgid(${UID}); process.setuid(${UID}); }
const waiting = startProgram();
waiting.child.once("exit", (code) => { process.exitCode ??= code; });
const user = { uid: process.getuid(), gid: process.getgid() };
try {
  await waiting.isReady;
  const files = ownContainerFiles();
  // What this machine has mounted anyhow stands for what the image asks for.
  const volumes = ${JSON.stringify(volumes)};
  const isUsual = (path) => path === "/" || [...KERNEL, ...SCRATCH, ...volumes].some((parent) => isInside(path, parent));
  const hostPaths = files.mounts.map(({ target }) => target).filter((path) => !isUsual(path));
  const places = { isDirectory: (path) => files.status(path)?.kind === "directory", mayHideImage: () => false };
  const mounts = judgeMounts(files.mounts.filter(({ target }) => target !== "/var/tmp" || volumes.includes(target)), hostPaths, places);
  for (const warning of mounts.warnings) if (volumes.some((path) => warning.includes(path + " "))) console.log("warning: " + warning);
  await handOver(waiting, planProgram({ configuration: ${JSON.stringify(complete)}, image: ${JSON.stringify(image)}, hostArguments: [], hostEnvironment: { EVIL: "yes" }, user, files, mounts }));
} catch (error) {
  waiting.child.kill("SIGKILL");
  console.log(error.code + " " + error.message + ": " + error.cause?.message);
  process.exitCode = 1;
}`,
  );
  const mounting = ["-m", "sh", "-c", `${prepare} && exec "$0" "$@"`, process.execPath, file];
  const [program, words] = volumes.length === 0 ? [process.execPath, [file]] : ["unshare", mounting];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"], cwd: "/" });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { output: await text(child.stdout), code: await ended };
}

test("hazards I3, I7: without root rights the program gets its files in a root of its own, and no capability", async () => {
  const { code, output } = await start({});
  const uid = String(UID);
  const [secret, status, id, directory, ...rest] = output.split("\n");
  assert.deepEqual([secret, status, id, directory], ["c4n4ry", `400 ${uid}`, uid, "/usr"], output);
  assert(rest.includes("CapEff:\t0000000000000000") && rest.includes("CapPrm:\t0000000000000000"), output);
  assert(rest.includes("NoNewPrivs:\t1") && rest.includes("CapAmb:\t0000000000000000"), output);
  assert(rest.includes("policy ") && rest.includes("scratch is writable") && rest.includes("4"), output);
  assert.match(output, /^127\.0\.0\.1 injected$/m);
  assert.equal(code, 9);
  assert.equal(existsSync("/etc/vouchsafe-test"), false);
});

test("hazard I7: without root rights a volume over scratch space, and an emptyDir, are memory to the program; a volume with content stops the start", async (t) => {
  if (OWN !== 0) return t.diagnostic("not run: mounting volumes needs root");
  // Not below /tmp, which is memory in any case: what stands for the image, for volumes of a pod, and for where they are mounted.
  const base = mkdtempSync("/opt/vouchsafe-test-");
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const [open, place, kept] = ["open", "place", "kept"].map((name) => join(base, name)) as [string, string, string];
  const disk = { temporary: join(base, "temporary"), empty: join(base, "volumes/kubernetes.io~empty-dir/e"), kept: join(base, "host") };
  for (const directory of [open, place, kept, ...Object.values(disk)]) mkdirSync(directory, { recursive: true });
  for (const directory of [base, open, ...Object.values(disk)]) chmodSync(directory, 0o1777);
  const scratchMounts = `mount --bind ${disk.temporary} /var/tmp && mount --bind ${disk.empty} ${place}`;
  const look = `for place in /var/tmp ${place} ${open} /dev/shm /tmp; do echo clear > $place/c4n4ry-file && echo wrote $place; done
ls -d /vouchsafe /run/secret; cat /run/secret/x; exit 0`;
  const files = [{ path: "/run/secret/x", content: Buffer.from("c4n4ry").toBase64(), permission: 0o400 }];
  const { code, output } = await start({ arguments: ["sh", "-c", `{ ${look}; } 2>&1`], files }, ["/var/tmp", place], scratchMounts);
  assert.equal(code, 0, output);
  for (const path of ["/var/tmp", place]) assert(output.includes(`warning: the volume mounted at ${path} (`), output);
  for (const path of ["/var/tmp", place, "/dev/shm", "/tmp"]) assert(output.includes(`wrote ${path}\n`), output);
  assert.match(output, /cannot create .*open\/c4n4ry-file: Read-only file system/);
  assert.match(output, /\/run\/secret\nc4n4ry$/m);
  const left = [open, ...Object.values(disk), "/dev/shm", "/tmp", "/var/tmp"].filter((path) => existsSync(join(path, "c4n4ry-file")));
  assert.deepEqual(left, []);
  const refused = await start({}, [kept], `mount --bind ${disk.kept} ${kept}`);
  assert.match(refused.output, new RegExp(`^R-VIEW the container has a volume at ${kept} \\(\\w+\\), which the program must not see`));
  assert.equal(refused.code, 1);
  return undefined;
});

test("without root rights too, what cannot be laid out is told and nothing starts", async () => {
  const file = { path: "/proc/nowhere", content: "", permission: 0o400 };
  const refused = await start({ files: [file] });
  assert.match(
    refused.output,
    /^R-VIEW file \/proc\/nowhere cannot be injected: the program shares \/proc with its container: undefined$/m,
  );
  const directoryFile = await start({ files: [{ path: "/usr", content: "", permission: 0o400 }] });
  assert.match(directoryFile.output, /^R-VIEW file \/usr cannot be injected: write \/usr: E[A-Z]+$/m);
  const missing = await start({ arguments: ["no-such-program"] });
  assert.match(missing.output, /^R-PROGRAM the image has no program "no-such-program"/m);
  const directory = await start({ workingDirectory: "/no/such/directory" });
  assert.match(
    directory.output,
    /^R-PROGRAM the working directory \/no\/such\/directory cannot be entered: chdir \/no\/such\/directory: ENOENT$/m,
  );
});
