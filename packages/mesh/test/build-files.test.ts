import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { planService, readBuildFiles, readNamedFile, readServiceManifest } from "../src/index.ts";
import { assertFinding, type Expected } from "../src/testing/assert-finding.ts";
import { serviceWithBuild } from "../src/testing/mesh-fixture.ts";

/** A project in a directory of its own, with a secret beside it that no manifest may reach. */
function project(context: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), "vouchsafe-project-"));
  context.after(() => rmSync(parent, { recursive: true, force: true }));
  const directory = join(parent, "project");
  mkdirSync(join(directory, "src"), { recursive: true });
  writeFileSync(join(parent, "secret.txt"), "outside");
  writeFileSync(join(directory, "app.py"), "");
  writeFileSync(join(directory, "src", "a.py"), "");
  writeFileSync(join(directory, "requirments.txt"), "flask"); // no final newline, as existing projects have it
  symlinkSync("../secret.txt", join(directory, "link"));
  symlinkSync("app.py", join(directory, "inside"));
  return directory;
}
const filesOf = (fields: string, directory: string) => {
  const { manifest, diagnostics } = readServiceManifest(serviceWithBuild(fields), "service.yaml");
  assert(manifest !== undefined, JSON.stringify(diagnostics));
  return { manifest, ...{ files: readBuildFiles(manifest.build, directory) } };
};

const REFUSED: readonly (readonly [rule: string, fields: string, expected: Expected])[] = [
  [
    "MF-11, bad input 93: a missing file",
    "copy: [nofile.py]",
    { code: "E-COPY-MISSING", says: ["nofile.py", "current directory"], at: "9:10" },
  ],
  ["bad input 94, hazard H8: a path outside", "copy: [../secret.txt]", { code: "E-PATH-OUTSIDE", says: ["../secret.txt"] }],
  ["hazard H8: an absolute path outside", "copy: [/etc/passwd]", { code: "E-PATH-OUTSIDE", says: ["/etc/passwd"] }],
  ["hazard H8: a link that leads outside", "copy: [link]", { code: "E-PATH-OUTSIDE", says: ["link"] }],
  ["bad input 95: a pattern", 'copy: ["*.py"]', { code: "E-COPY-MISSING", says: ["no patterns"] }],
  ["bad input 96: missing requirements", "requirements: req.txt", { code: "E-FILE-MISSING", says: ["req.txt"] }],
  ["requirements that are a directory", "requirements: src", { code: "E-FILE-TYPE", says: ["src"] }],
];
for (const [rule, fields, expected] of REFUSED) {
  test(`${rule} is ${expected.code}`, (context) => {
    const { files } = filesOf(fields, project(context));
    assertFinding(files.diagnostics, expected);
    assert.equal(files.manifest, undefined);
  });
}

test("input 176: requirements without final newline are read; files keep their path below the working directory", (context) => {
  const directory = project(context);
  const { manifest, files } = filesOf("copy: [app.py, src, inside]\nrequirements: requirments.txt\npwd: /srv", directory);
  assert.deepEqual(files.diagnostics, []);
  assert(files.manifest !== undefined);
  assert.deepEqual(
    files.manifest.copy.map(({ target }) => target),
    ["/srv/app.py", "/srv/src", "/srv/inside"],
  );
  const { manifest: plan } = planService(manifest, files.manifest, { mode: "production" });
  assert.equal(plan?.requirements?.text, "flask");
  assert.equal(plan?.encrypt, true);
});

test("bad inputs 152 and 166: a file that the mesh names is missing", (context) => {
  const { manifest } = readServiceManifest(serviceWithBuild("pwd: /none.yaml"), "mesh.yaml");
  const at = manifest?.build.pwd?.at;
  assert(at !== undefined);
  assertFinding(readNamedFile({ text: "none.yaml", at }, project(context)).diagnostics, { code: "E-FILE-MISSING", says: ["none.yaml"] });
});

test("MF-51, MF-58: the fields that shape protection become rules of the build plan, without a trailing slash", () => {
  const fields = "dirs: [/opt/model/]\nfs_dirs: [/var/lib/app]\nplains: [/srv/public]\nhost_paths: [/etc/ssl/certs]";
  const { manifest, diagnostics } = readServiceManifest(serviceWithBuild(fields), "service.yaml");
  assert(manifest !== undefined);
  assertFinding(diagnostics, { code: "W-HOST-PATH", says: ["/etc/ssl/certs", "not protected"] });
  const { manifest: plan } = planService(manifest, { copy: [] }, { mode: "production" });
  assert.deepEqual(plan?.protection, [
    { path: "/opt/model", protection: "encrypted", field: "build.dirs" },
    { path: "/var/lib/app", protection: "authenticated", field: "build.fs_dirs" },
    { path: "/srv/public", protection: "not-protected", field: "build.plains" },
    { path: "/etc/ssl/certs", protection: "not-protected", field: "build.host_paths" },
  ]);
});

const UNPROTECTED: readonly (readonly [rule: string, fields: string, expected: Expected])[] = [
  ["MF-52: the program's working directory", "pwd: /srv/app\nhost_paths: [/srv/app/]", { code: "E-HOST-PATH", says: ["/srv/app"] }],
  ["MF-52: the directory of the program", "command: /opt/x/run me\nhost_paths: [/opt/x]", { code: "E-HOST-PATH", says: ["/opt/x"] }],
  ["MF-51: a relative path", "dirs: [data]", { code: "E-VALUE", says: ["data", "absolute"] }],
  ["MF-51: a path that climbs", "plains: [/srv/../etc]", { code: "E-VALUE", says: ["/srv/../etc"] }],
];
for (const [rule, fields, expected] of UNPROTECTED) {
  test(`${rule} is ${expected.code}`, () => {
    const without = fields.startsWith("command") ? ["command"] : [];
    assertFinding(readServiceManifest(serviceWithBuild(fields, without), "service.yaml").diagnostics, expected);
  });
}
