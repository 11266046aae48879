import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");
interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}
const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  readFileSync(join(ROOT, "package-lock.json"), "utf8"),
);
const installed = Object.entries(lock.packages).filter(([path, { link }]) => path.includes("node_modules/") && link !== true);

test("hazard L1: a package that brings a script for its installation is installed, and the script does not run", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-npm-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const canary = join(directory, "ran");
  const bad = join(directory, "bad");
  mkdirSync(bad);
  const script = `node -e "require('fs').writeFileSync('${canary}', '')"`;
  writeFileSync(
    join(bad, "package.json"),
    JSON.stringify({ name: "bad", version: "1.0.0", scripts: { postinstall: script, preinstall: script } }),
  );
  // Whoever runs the tests through npm passes its settings, ours among them, on in variables.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const npm = (cwd: string, ...words: string[]) =>
    execFileSync("npm", [...words, "--offline", "--no-audit", "--no-fund"], {
      cwd,
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  npm(directory, "pack", "./bad");
  const install = (name: string, withOurs: boolean) => {
    const project = join(directory, name);
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), "{}");
    if (withOurs) copyFileSync(join(ROOT, ".npmrc"), join(project, ".npmrc"));
    npm(project, "install", "../bad-1.0.0.tgz");
    assert.ok(existsSync(join(project, "node_modules", "bad", "package.json")));
    return existsSync(canary);
  };
  assert.equal(install("ours", true), false);
  assert.equal(install("theirs", false), true, "without our settings it would have run");
});

test("hazard L1: every package is locked to one content, and comes from a registry", () => {
  assert.ok(installed.length > 200);
  for (const [path, { version, integrity, resolved }] of installed) {
    // A package inside another's archive is covered by that one's digest.
    const isBundled = "inBundle" in (lock.packages[path] ?? {});
    assert.match(integrity ?? (isBundled ? "sha512-" : ""), /^sha512-/, path);
    assert.match(version ?? "", /^\d+\.\d+\.\d+/, path);
    assert.doesNotMatch(resolved ?? "", /^(?:git|file|http:)|github/, path);
  }
});

test("hazard L1: versions are exact, and a package that wants to run a script at installation is noticed here", () => {
  for (const file of ["package.json", ...globSync("packages/*/package.json", { cwd: ROOT })]) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(ROOT, file), "utf8"));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      if (!name.startsWith("@vouchsafe/")) assert.match(String(version), /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, `${file}: ${name}`);
    }
  }
  const withScript = installed.flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript === true ? [path.replace(/^.*node_modules\//, "")] : [],
  );
  assert.deepEqual([...new Set(withScript)].toSorted(), ["@swc/core", "esbuild", "node", "protobufjs"]);
  const setup = readFileSync(join(ROOT, "scripts/setup.sh"), "utf8");
  assert.deepEqual(
    setup.match(/npm rebuild.*--ignore-scripts=false/g)?.map((line) => line.split(" ")[2]),
    ["node"],
    "the only one that may",
  );
});
