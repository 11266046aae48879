import assert from "node:assert/strict";
import { mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connectHost, connectionOver } from "./host-connection.ts";
import { SystemCallError } from "./system-call-error.ts";

test("a host that nobody answers at is a system call's error, and leaves no file open", () => {
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  // No machine that tests run on listens there; where there are no vsocks at all, the first call says so.
  assert.throws(
    () => connectHost(0xffff_fff0, 500),
    (error) => error instanceof SystemCallError && /socket|connect/.test(error.message),
  );
  assert.equal(open(), before);
});

test("a connection writes all, reads exactly so many bytes, and says when the stream ends before", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-stream-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "stream");
  {
    using out = connectionOver(openSync(file, "w"));
    out.write(new Uint8Array(70_000).fill(5));
    out.write(Uint8Array.of(1, 2, 3));
  }
  using back = connectionOver(openSync(file, "r"));
  assert.equal(
    back.read(70_000).every((byte) => byte === 5),
    true,
  );
  assert.deepEqual([...back.read(2)], [1, 2]);
  assert.throws(() => back.read(2), /closed the connection after 1 of 2 bytes/);
});
