import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

/** Starts a program as the launcher does once the service is attested. `order`: what differs from a service with one file. */
async function start(configuration: object): Promise<Start> {
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
// Not before: the user may not be allowed to read the modules.
if (process.getuid() === 0) { process.setgroups([]); process.setgid(${UID}); process.setuid(${UID}); }
const waiting = startProgram();
waiting.child.once("exit", (code) => { process.exitCode ??= code; });
const user = { uid: process.getuid(), gid: process.getgid() };
try {
  await waiting.isReady;
  await handOver(waiting, planProgram({ configuration: ${JSON.stringify(complete)}, image: ${JSON.stringify(image)}, hostArguments: [], hostEnvironment: { EVIL: "yes" }, user, files: ownContainerFiles() }));
} catch (error) {
  console.log(error.code + " " + error.message + ": " + error.cause?.message);
  process.exitCode = 1;
}`,
  );
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"], cwd: "/" });
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

test("without root rights too, what cannot be laid out is told and nothing starts", async () => {
  const file = { path: "/proc/nowhere", content: "", permission: 0o400 };
  const refused = await start({ files: [file] });
  assert.match(refused.output, /^R-VIEW file \/proc\/nowhere cannot be injected: write \/proc\/nowhere: E[A-Z]+$/m);
  const missing = await start({ arguments: ["no-such-program"] });
  assert.match(missing.output, /^R-PROGRAM the image has no program "no-such-program"/m);
  const directory = await start({ workingDirectory: "/no/such/directory" });
  assert.match(
    directory.output,
    /^R-PROGRAM the working directory \/no\/such\/directory cannot be entered: chdir \/no\/such\/directory: ENOENT$/m,
  );
});
