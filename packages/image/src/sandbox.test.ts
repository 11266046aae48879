import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { obtainBaseRoot, resolveDebianBase } from "./debian-base.ts";
import { runInSandbox, type SandboxRequest } from "./sandbox.ts";
import { TEST_CACHE } from "./testing/sample-build.ts";
import { temporaryDirectory } from "./testing/small-image.ts";

async function request(command: string, scratchDir: string, changes: Partial<SandboxRequest> = {}): Promise<SandboxRequest> {
  const { base } = await resolveDebianBase(TEST_CACHE, { names: [] });
  const root = await obtainBaseRoot(TEST_CACHE, base);
  return {
    root,
    changes: "dropped",
    network: false,
    binds: [],
    command: ["/bin/sh", "-c", command],
    environment: { A: "1" },
    workingDirectory: "/tmp",
    code: "E-RUN",
    scratchDir,
    ...changes,
  };
}

test("the sandbox sees its root, own processes and the given variables, and can write to /dev/null", async (context) => {
  const scratch = temporaryDirectory(context, "sandbox");
  const { status, stdout, stderr } = await runInSandbox(
    await request('echo x > /dev/null && pwd && id -u && echo "$A" && ls -d /proc/[0-9]* | wc -l && stat -c %a /dev', scratch),
  );
  assert.equal(status, 0, stderr);
  const [directory, user, variable, processes, mode] = stdout.split("\n");
  assert.deepEqual([directory, user, variable, mode], ["/tmp", "0", "1", "755"]);
  assert(Number(processes) < 10, `${processes} processes`);
});

test("the sandbox sees nothing of the machine but what is bound, and has a network only if it is given", async (context) => {
  const scratch = temporaryDirectory(context, "sandbox");
  mkdirSync(join(scratch, "bound"));
  writeFileSync(join(scratch, "bound/file"), "hello");
  const look = `cat /in/file; [ -e ${scratch} ] && echo machine; tail -n +3 /proc/net/dev | wc -l`;
  const { stdout } = await runInSandbox(await request(look, scratch, { binds: [{ source: join(scratch, "bound"), target: "/in" }] }));
  assert.equal(stdout, "hello1\n", "the bound file, and one interface: loopback");
});

test("what happens in the sandbox does not change a cached root", async (context) => {
  const scratch = temporaryDirectory(context, "sandbox");
  const asked = await request("echo evil > /usr/bin/evil && rm -rf /etc && ls /usr/bin/evil", scratch);
  const { status, stdout } = await runInSandbox(asked);
  assert.deepEqual([status, stdout], [0, "/usr/bin/evil\n"]);
  assert(!existsSync(join(asked.root, "usr/bin/evil")) && existsSync(join(asked.root, "etc/passwd")));
});

test("the status of the command comes through, also one that looks like the sandbox's own", async (context) => {
  const scratch = temporaryDirectory(context, "sandbox");
  for (const status of [1, 7, 123]) assert.equal((await runInSandbox(await request(`exit ${status}`, scratch))).status, status);
});

test("an abort ends everything in the sandbox", async (context) => {
  const scratch = temporaryDirectory(context, "sandbox");
  const asked = await request("sleep 600", scratch, { signal: AbortSignal.timeout(500) });
  await assert.rejects(runInSandbox(asked), { name: "AbortError" });
});
