import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { request, serviceOf } from "./services.ts";
import { Workspace } from "./workspace.ts";

/** Everything is built for a user with an empty home: one minute of work, many on a machine with much else to do. */
const RUN_TIMEOUT_MS = 40 * 60_000;
const TEST_TIMEOUT_MS = RUN_TIMEOUT_MS + 5 * 60_000;
const USER = `vouchsafe-${process.pid}`;

/** Lets the user reach the sources that a clone of them would have brought: Node and the packages are linked, not copied. */
function openWay(directory: string): () => void {
  const before: [string, number][] = [];
  for (let at = directory; at !== "/"; at = join(at, "..")) {
    const mode = statSync(at).mode & 0o7777;
    if ((mode & 0o001) === 0) {
      before.push([at, mode]);
      chmodSync(at, mode | 0o001);
    }
  }
  return () => {
    for (const [path, mode] of before) chmodSync(path, mode);
  };
}

describe("an ordinary user with an empty home", {
  skip: process.getuid?.() === 0 ? false : "the tests themselves run as an ordinary user",
}, () => {
  let workspace: Workspace;
  let closeWay: () => void;

  before(() => {
    execFileSync("useradd", ["--no-create-home", "--shell", "/bin/sh", USER]);
    closeWay = openWay(join(import.meta.dirname, "../.."));
    workspace = new Workspace("user", USER);
  });
  after(async () => {
    await workspace?.[Symbol.asyncDispose]();
    closeWay?.();
    spawnSync("pkill", ["-KILL", "-u", USER]); // of a run that had to be ended
    execFileSync("userdel", ["--force", USER]);
  });

  test("CL-26, CL-32: ./run.sh works, names image and code identity, and everything belongs to the user", {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const run = await workspace.run("./run.sh", [], { timeoutMs: RUN_TIMEOUT_MS });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stderr, /^vouchsafe\.local\/apps\/\S+@sha256:[0-9a-f]{64}$/m);
    const [, identity = "none"] = /^code identity where the node agent gives evidence: ([0-9a-f]{64})$/m.exec(run.stderr) ?? [];
    assert.match(readFileSync(join(workspace.root, "target/policies/flask.yaml"), "utf8"), new RegExp(`- "?${identity}"?$`, "m"));
    const { published } = await serviceOf(workspace, "secure-doc-management", "flask");
    const ca = join(workspace.root, "target/public/flask/api_ca_cert.pem");
    assert.equal((await request(published[0]?.address ?? "", "api", "/keys", "--cacert", ca)).body.trim(), '{"keys": []}');
    const uid = Number(execFileSync("id", ["-u", USER], { encoding: "utf8" }));
    assert.equal(statSync(join(workspace.root, "target/helm/Chart.yaml")).uid, uid);
    assert.equal(statSync(workspace.state).uid, uid);
    assert.equal(statSync(workspace.state).mode & 0o077, 0, "the state directory is closed to others");
  });
});
