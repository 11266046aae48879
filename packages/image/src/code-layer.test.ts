import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { digestCopies, readCopies } from "./code-layer.ts";
import { temporaryDirectory } from "./testing/small-image.ts";

function project(context: TestContext): string {
  const directory = temporaryDirectory(context, "project");
  for (const each of ["src/.git", "src/target", "src/lib", "outside"]) mkdirSync(join(directory, each), { recursive: true });
  for (const each of ["src/app.py", "src/.git/config", "src/target/identity.pem", "src/release.sh", "src/lib/a.py"])
    writeFileSync(join(directory, each), each);
  chmodSync(join(directory, "src/app.py"), 0o700);
  return directory;
}
const copy = (directory: string, name: string) => [{ source: join(directory, name), target: `/srv/${name}` }];

test("MF-53: a directory is copied without .git, target and release.sh", async (context) => {
  const directory = project(context);
  const entries = await readCopies(copy(directory, "src"), directory);
  assert.deepEqual(entries.map(({ path }) => path).sort(), ["/srv", "/srv/src", "/srv/src/app.py", "/srv/src/lib", "/srv/src/lib/a.py"]);
});

test("MF-53: links are followed inside, refused outside", async (context) => {
  const directory = project(context);
  symlinkSync("app.py", join(directory, "src/link.py"));
  const entries = await readCopies(copy(directory, "src"), directory);
  const link = entries.find(({ path }) => path === "/srv/src/link.py");
  assert(link?.kind === "file" && Buffer.from(link.bytes).toString() === "src/app.py");
  symlinkSync("/etc/passwd", join(directory, "src/leak"));
  await assert.rejects(readCopies(copy(directory, "src"), directory), {
    code: "E-PATH-OUTSIDE",
    message: /leak is a link to \/etc\/passwd/,
  });
});

test("hazard H8: a link to a parent does not loop", async (context) => {
  const directory = project(context);
  symlinkSync("..", join(directory, "src/lib/up"));
  const entries = await readCopies(copy(directory, "src"), directory);
  assert(entries.length < 10);
});

test("#93: a missing file is named", async (context) => {
  const directory = project(context);
  await assert.rejects(readCopies(copy(directory, "nofile.py"), directory), {
    code: "E-COPY-MISSING",
    message: /nofile\.py does not exist/,
  });
});

test("MF-61: modes beside the executable bit, owners and times do not matter; content and names do", async (context) => {
  const directory = project(context);
  const digest = async () => digestCopies(await readCopies(copy(directory, "src"), directory));
  const first = await digest();
  chmodSync(join(directory, "src/app.py"), 0o755);
  chmodSync(join(directory, "src/lib/a.py"), 0o600);
  assert.equal(await digest(), first);
  chmodSync(join(directory, "src/lib/a.py"), 0o755);
  assert.notEqual(await digest(), first);
  chmodSync(join(directory, "src/lib/a.py"), 0o644);
  writeFileSync(join(directory, "src/lib/a.py"), "other");
  assert.notEqual(await digest(), first);
});
