import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";
import { storeServiceImage } from "../src/testing/store-service-image.ts";

const SERVICE =
  "apiVersion: scone/5.8\nkind: genservice\nenvironment: {}\nbuild:\n  name: app\n  kind: python\n  to: reg.example.org/team/app:1\n  command: python3 app.py\n";
const MESH = `apiVersion: scone/5.8
kind: mesh
cas: [{cas_url: cas.example.org, cas_encryption_key: 5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41}]
policy: {namespace: team-1}
env: []
services: [{name: app, image: reg.example.org/team/app:1}]
`;
const TRACED = "connect,sendto,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,link";

/** System calls of a command line that reach a network, and the paths that it opened for writing, made, renamed or removed. */
function traceOf(
  place: CliWorkplace,
  argv: readonly string[],
): { status: number | null; err: string; network: string[]; written: string[] } {
  const log = place.path("trace");
  const program = join(import.meta.dirname, "../bin/sconectl");
  const run = spawnSync("strace", ["-f", "-qq", "-s", "4096", "-e", `trace=${TRACED}`, "-o", log, program, ...argv], {
    cwd: place.directory,
    env: place.environment,
    encoding: "utf8",
  });
  const calls = readFileSync(log, "utf8").split("\n");
  const isWrite = (call: string) => !/\bopenat\(/.test(call) || /O_(?:WRONLY|RDWR|CREAT)/.test(call);
  const written = calls
    .filter((call) => isWrite(call) && !/\b(?:connect|sendto)\(/.test(call) && !call.includes(" = -1 "))
    .flatMap((call) => [...call.matchAll(/"((?:[^"\\]|\\.)+)"/g)].map(([, path = ""]) => path));
  return { status: run.status, err: run.stderr, network: calls.filter((call) => /AF_INET/.test(call)), written };
}

describe("hazard H6: a dry run", () => {
  const place = new CliWorkplace({ "service.yaml": SERVICE, "mesh.yaml": MESH });
  before(async () => {
    await storeServiceImage(place, SERVICE);
  });
  after(() => place[Symbol.dispose]());

  for (const argv of [
    ["apply", "-f", "service.yaml", "--dry-run"],
    ["apply", "-f", "mesh.yaml", "--dry-run", "--no-pull", "--evidence", "node", "--release", "fair"],
  ]) {
    test(`sconectl ${argv.join(" ")} contacts nobody and writes only below target and in the client's own directory`, () => {
      const { status, err, network, written } = traceOf(place, argv);
      assert.equal(status, 0, err);
      assert.deepEqual(network, []);
      const own = [place.path("target"), place.path(".cas"), place.environment["NODE_COMPILE_CACHE"] ?? "", "/dev/", "/proc/"];
      const outside = written.filter((path) => path.startsWith("/") && !own.some((directory) => path.startsWith(directory)));
      assert.deepEqual([...new Set(outside)], []);
      assert(written.length > 0, "strace sees what is written");
    });
  }
});
