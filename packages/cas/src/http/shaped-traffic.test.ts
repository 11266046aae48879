import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { testDirectory } from "../testing/cas-command.ts";

const CHILD = join(import.meta.dirname, "../testing/shaped-traffic.ts");
/** A network of its own, and a file of host names of its own. */
const PREPARE = 'cp /etc/hosts "$1/hosts" && mount --bind "$1/hosts" /etc/hosts && exec "$2" "$3" "$1/hosts"';

test("hazard J4, C-24: over links that lose, delay, double and reorder packets, are narrow, cut, or lead elsewhere, repeating ends in one state and grants nothing twice", async (t) => {
  if (!existsSync("/dev/net/tun")) return t.skip("this machine has no /dev/net/tun");
  const words = ["--user", "--map-root-user", "--net", "--mount", "sh", "-c", PREPARE, "sh", testDirectory(t), process.execPath, CHILD];
  // A run of its own: as part of this one, its report would be in the protocol of the test runner.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const child = spawn("unshare", words, { env: environment });
  t.after(() => child.kill("SIGKILL"));
  const [output, mistakes] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.match(output, /^ℹ pass 8\nℹ fail 0$/m, output + mistakes);
});
