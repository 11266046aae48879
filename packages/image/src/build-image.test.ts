import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { decodeListing, decryptTree, openManifest, openProtectedDirectory, verifyRegion } from "@vouchsafe/fileshield";
import { buildImage } from "./build-image.ts";
import { isElf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { LISTING_FILE } from "./integrity-layer.ts";
import { renderLauncher } from "./launcher.ts";
import { LocalRepository } from "./local-repository.ts";
import type { BuiltImage } from "./plan.ts";
import { readImageMetadata } from "./read-metadata.ts";
import { CANARY, type SampleBuild, sampleBuild, TEST_CACHE } from "./testing/sample-build.ts";
import { temporaryDirectory } from "./testing/small-image.ts";
import { unpackImage } from "./unpack.ts";

async function build({ plan, settings }: SampleBuild, changes: object = {}): Promise<BuiltImage & { steps: string[] }> {
  const steps: string[] = [];
  const progress = ({ step, state }: { step: string; state: string }) => steps.push(`${step} ${state}`);
  return { ...(await buildImage({ ...plan, ...changes }, { ...settings, progress })), steps };
}
async function unpack(sample: SampleBuild, built: BuiltImage): Promise<string> {
  const root = join(sample.directory, `root-${built.digest.slice(7, 15)}`);
  await unpackImage(built.layoutDir, built.reference, root);
  return root;
}
/** Every file below a directory that holds the text in clear; archives in layers must be unpacked before. */
const grep = (text: string, ...directories: string[]): string =>
  spawnSync("grep", ["--recursive", "--files-with-matches", "--text", "--fixed-strings", text, ...directories], { encoding: "utf8" })
    .stdout;
const inRoot = (root: string, ...command: string[]) =>
  spawnSync("unshare", ["--user", "--map-root-user", "chroot", root, ...command], { encoding: "utf8", env: { PATH: process.env["PATH"] } });

test("MF-59, hazard G9: no plaintext and no key of the code in the image, the cache or the metadata", async (context) => {
  const sample = sampleBuild(context);
  // Not the text of the other tests: those that leave files in clear on purpose share the repository, also with earlier runs.
  const canary = `${CANARY}-${randomUUID()}`;
  writeFileSync(join(sample.directory, "project/app.py"), `import six\nprint("${canary}", six.__name__)\n`);
  const built = await build(sample);
  const root = await unpack(sample, built);
  assert.match(built.codeKey ?? "", /^[0-9a-f]{64}$/);
  assert.match(built.tag ?? "", /^[0-9a-f]{32}$/);
  for (const secret of [canary, "app.py", "menu.txt"])
    assert.equal(grep(secret, join(root, "vouchsafe/code"), join(root, "vouchsafe/code.fspf"), join(root, "srv")), "", secret);
  assert.equal(grep(canary, root, sample.settings.repositoryDir, join(TEST_CACHE, "layers"), join(TEST_CACHE, "roots")), "");
  assert.equal(grep(built.codeKey ?? "", root, sample.settings.repositoryDir), "");
  const code = decryptTree(
    openProtectedDirectory(join(root, "vouchsafe/code.fspf")),
    Uint8Array.fromHex(built.codeKey ?? ""),
    built.tag ?? "",
  );
  assert.deepEqual(
    code.entries.map(({ path }) => path),
    ["/srv", "/srv/app.py", "/srv/static", "/srv/static/menu.txt"],
  );
});

test("an unchanged build does no work and says so; a changed file does exactly the code's work, with a new key", async (context) => {
  const sample = sampleBuild(context);
  const first = await build(sample);
  const second = await build(sample);
  assert(second.unchanged);
  assert.deepEqual(second.steps, ["image cached"]);
  assert.deepEqual([second.digest, second.codeKey, second.tag, second.lock], [first.digest, first.codeKey, first.tag, first.lock]);
  appendFileSync(join(sample.directory, "project/app.py"), "# changed\n");
  const third = await build(sample);
  assert.deepEqual(
    third.steps.filter((step) => step.endsWith("done")),
    ["code done", "metadata done", "image done"],
  );
  assert.notEqual(third.digest, first.digest);
  assert.notEqual(third.codeKey, first.codeKey);
  for (const change of [
    { requirements: { text: "six # changed" } },
    { metadata: { ...sample.plan.metadata, environment: "[] # changed" } },
    { command: ["python3", "other.py"] },
    { mode: "debug" },
  ]) {
    const changed = await build(sample, change);
    assert(!changed.unchanged && changed.steps.includes("metadata done"), JSON.stringify(change));
    assert(!changed.steps.includes("runtime done") && !changed.steps.includes("base done"));
  }
  await build(sample);
  const repository = new LocalRepository(sample.settings.repositoryDir);
  const before = new Set(
    (await repository.read(`${sample.plan.reference.replace(/:1$/, "")}@${first.digest}`))?.manifest.layers.map(({ digest }) => digest),
  );
  const after = (await repository.read(sample.plan.reference))?.manifest.layers.map(({ digest }) => digest) ?? [];
  assert.equal(after.filter((digest) => !before.has(digest)).length, 2, "code and metadata only");
});

test("a blob removed from the repository, or a damaged manifest, is built again", async (context) => {
  const sample = sampleBuild(context);
  const first = await build(sample);
  const repository = new LocalRepository(sample.settings.repositoryDir);
  const layer = (await repository.read(sample.plan.reference))?.manifest.layers.at(-1)?.digest ?? "";
  await repository.blobs.remove(layer);
  const second = await build(sample);
  assert(!second.unchanged);
  assert.equal(second.digest, first.digest, "the same key, because nothing changed");
  writeFileSync(repository.blobs.pathOf(first.digest), "{}");
  const third = await build(sample);
  assert.equal(third.digest, first.digest);
});

test("MF-61, hazard G7: the same inputs and key give the same digest, from an empty cache, with other umask, time zone and locale", async (context) => {
  // A base without Python: compiling the standard library twice would take longer than all other tests.
  const sample = sampleBuild(context, { kind: "curated", base: { kind: "debian", packages: [] }, command: ["/srv/app.py"] });
  const { requirements: _, ...plan } = sample.plan;
  const codeKey = "ab".repeat(32);
  const one = await buildImage(plan, { ...sample.settings, codeKey });
  const emptyCache = join(sample.directory, "cache");
  mkdirSync(emptyCache);
  cpSync(join(TEST_CACHE, "apt"), join(emptyCache, "apt"), { recursive: true }); // downloads only
  const environment = { ...process.env };
  const umask = process.umask(0o077);
  context.after(() => {
    process.umask(umask);
    process.env["TZ"] = environment["TZ"];
    process.env["LC_ALL"] = environment["LC_ALL"];
  });
  process.env["TZ"] = "Asia/Tokyo";
  process.env["LC_ALL"] = "C";
  const two = await buildImage(plan, { ...sample.settings, codeKey, cacheDir: emptyCache, repositoryDir: join(sample.directory, "other") });
  assert.equal(two.digest, one.digest);
  assert.equal(two.tag, one.tag);
});

test("MF-68, AC-14: at the usual paths of the interpreter stands the launcher; programs have mode 0711, nothing is set-user-ID", async (context) => {
  const sample = sampleBuild(context);
  const built = await build(sample);
  const root = await unpack(sample, built);
  const { service } = await readImageMetadata(built.layoutDir, built.reference);
  assert.deepEqual(service.command, ["python3", "app.py"]);
  assert.equal(service.diversions.length, 1);
  for (const { path, original } of service.diversions) {
    assert.deepEqual(new Uint8Array(readFileSync(join(root, path))), renderLauncher());
    assert.equal(inRoot(root, original, "-c", "import six, ssl, sqlite3; print(six.__name__)").stdout, "six\n");
  }
  for (const name of ["python3", "python3.11"].filter((one) => existsSync(join(root, "usr/bin", one)))) {
    // The stand-in for Node is `env`, which takes the runtime's main.js for a program and fails to execute it.
    const { stdout, stderr } = inRoot(root, `/usr/bin/${name}`, "-c", "print('bare')");
    assert.match(stderr, /\/vouchsafe\/runtime\/main\.js/, name);
    assert.doesNotMatch(stdout, /bare/);
  }
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = statSync(path);
    assert.equal(mode & 0o6022, 0, `${path} has mode ${mode.toString(8)}`);
    if ((mode & 0o111) !== 0 && isElf(readFileSync(path))) assert.equal(mode & 0o777, 0o711, path);
  }
  assert.match(readFileSync(join(root, "etc/passwd"), "utf8"), new RegExp(`:${service.user.uid}:${service.user.gid}:`));
});

test("MF-58: what is not encrypted is integrity-protected, and a changed library is found", async (context) => {
  const sample = sampleBuild(context);
  const built = await build(sample);
  const root = await unpack(sample, built);
  const { regions } = openManifest(
    readFileSync(join(root, "vouchsafe/code.fspf")),
    Uint8Array.fromHex(built.codeKey ?? ""),
    Uint8Array.fromHex(built.tag ?? ""),
  );
  const whole = regions.find(({ path }) => path === "/") ?? assert.fail("no region /");
  const verify = () => verifyRegion(root, whole, regions, readFileSync(join(root, LISTING_FILE)));
  verify();
  const [library = ""] = readdirSync(join(root, "usr/local/lib")).flatMap((name) => [
    join(root, "usr/local/lib", name, "dist-packages/six.py"),
  ]);
  appendFileSync(library, "# changed");
  assert.throws(verify, { code: "FSPF_FILE", message: /six\.py was changed/ });
});

test("MF-60: exact versions with hashes are recorded, the machine's index is not", async (context) => {
  const sample = sampleBuild(context);
  const built = await build(sample);
  assert.match(built.lock ?? "", /^# requirements sha256:[0-9a-f]{64}\nsix==[0-9.]+ --hash=sha256:[0-9a-f]{64}\n$/);
  const again = await build(sample, {
    requirements: { text: "six", lock: built.lock },
    reference: sample.plan.reference.replace(/:1$/, ":locked"),
  });
  assert.equal(again.lock, built.lock);
  assert(again.steps.includes("requirements cached"), "nor is it another layer");
  const other = await build(sample, {
    requirements: { text: "six", lock: built.lock?.replace(/sha256:[0-9a-f]{64}\n$/, `sha256:${"0".repeat(64)}\n`) },
  }).catch((error: unknown) => error);
  assert(other instanceof ImageError && other.code === "E-REQUIREMENTS", "hazard G8: a hash mismatch is refused");
  const root = await unpack(sample, built);
  assert.equal(
    grep(
      "http",
      ...readdirSync(join(root, "usr/local/lib")).map((name) =>
        join(root, "usr/local/lib", name, "dist-packages/six-1.17.0.dist-info/RECORD"),
      ),
    ),
    "",
  );
  assert(!existsSync(join(root, "etc/pip.conf")) && !existsSync(join(root, "root/.config")));
});

test("MF-54: run steps change the image; what they write beside the code is encrypted with it", async (context) => {
  const sample = sampleBuild(context, {
    run: [
      "echo made > made.txt && echo more >> static/menu.txt",
      "mkdir -p /opt/data && cp /srv/made.txt /opt/data/ && rm /usr/share/python3/debian_defaults",
    ],
  });
  const built = await build(sample);
  const root = await unpack(sample, built);
  assert.equal(readFileSync(join(root, "opt/data/made.txt"), "utf8"), "made\n");
  assert(!existsSync(join(root, "usr/share/python3/debian_defaults")));
  assert.deepEqual(readdirSync(join(root, "srv")), []);
  const { entries } = decryptTree(
    openProtectedDirectory(join(root, "vouchsafe/code.fspf")),
    Uint8Array.fromHex(built.codeKey ?? ""),
    built.tag ?? "",
  );
  const contents = new Map(entries.flatMap((entry) => (entry.kind === "file" ? [[entry.path, Buffer.from(entry.bytes).toString()]] : [])));
  assert.equal(contents.get("/srv/made.txt"), "made\n");
  assert.match(contents.get("/srv/static/menu.txt") ?? "", /second file\nmore\n$/);
  await assert.rejects(build(sample, { run: ["true", "echo reason >&2; exit 3"] }), {
    code: "E-RUN",
    message: /step 2 .*exit status 3:\nreason/,
    field: "build.run[1]",
  });
});

test("encrypt: false puts the files in clear and needs no key", async (context) => {
  const sample = sampleBuild(context, { encrypt: false });
  const built = await build(sample);
  assert.equal(built.codeKey, undefined);
  assert.equal(built.tag, undefined);
  assert.match(readFileSync(join(await unpack(sample, built), "srv/app.py"), "utf8"), new RegExp(CANARY));
});

test("MF-51: dirs are encrypted also where run made them, plains stay in clear, the longest prefix decides", async (context) => {
  const sample = sampleBuild(context, {
    run: ["mkdir -p /opt/model/open && echo weights > /opt/model/w.bin && echo readme > /opt/model/open/readme"],
    protection: [
      { path: "/opt/model", protection: "encrypted", field: "build.dirs" },
      { path: "/opt/model/open", protection: "authenticated", field: "build.fs_dirs" },
      { path: "/srv/static", protection: "not-protected", field: "build.plains" },
      { path: "/etc/ssl/certs", protection: "not-protected", field: "build.host_paths" },
    ],
  });
  const built = await build(sample);
  const root = await unpack(sample, built);
  const described = JSON.parse(readFileSync(join(root, "vouchsafe/mesh/service.json"), "utf8"));
  assert.deepEqual(described.hostPaths, ["/etc/ssl/certs"], "what the launcher shows of the container's mounts");
  const { entries } = decryptTree(
    openProtectedDirectory(join(root, "vouchsafe/code.fspf")),
    Uint8Array.fromHex(built.codeKey ?? ""),
    built.tag ?? "",
  );
  const encrypted = entries.flatMap(({ kind, path }) => (kind === "file" ? [path] : []));
  assert.deepEqual(encrypted, ["/opt/model/w.bin", "/srv/app.py"]);
  assert(!existsSync(join(root, "opt/model/w.bin")) && !existsSync(join(root, "srv/app.py")));
  assert.equal(readFileSync(join(root, "opt/model/open/readme"), "utf8"), "readme\n");
  assert.match(readFileSync(join(root, "srv/static/menu.txt"), "utf8"), /second file/);
  const key = [Uint8Array.fromHex(built.codeKey ?? ""), Uint8Array.fromHex(built.tag ?? "")] as const;
  const { regions } = openManifest(readFileSync(join(root, "vouchsafe/code.fspf")), ...key);
  const protection = new Map(regions.map((region) => [region.path, region.protection]));
  assert.equal(protection.get("/opt/model"), "encrypted");
  assert.equal(protection.get("/srv/static"), "not-protected");
  const open = regions.find(({ path }) => path === "/opt/model/open") ?? assert.fail("no region of its own");
  verifyRegion(root, open, regions, readFileSync(join(root, "vouchsafe/regions/1.list")));
});

test("MF-58: with encrypt: false the user's files are on the list of protected files, and dirs are encrypted all the same", async (context) => {
  const sample = sampleBuild(context, {
    encrypt: false,
    run: ["echo late >> static/menu.txt"],
    protection: [{ path: "/srv/static", protection: "encrypted", field: "build.dirs" }],
  });
  const built = await build(sample);
  const root = await unpack(sample, built);
  assert(existsSync(join(root, "srv/app.py")) && !existsSync(join(root, "srv/static/menu.txt")));
  const listed = decodeListing(readFileSync(join(root, LISTING_FILE))).map(({ path }) => path);
  assert(listed.includes("/srv/app.py") && !listed.includes("/srv/static/menu.txt"));
});

const refused: readonly [rule: string, changes: (context: TestContext) => object, code: string, says: RegExp][] = [
  [
    "#98 a requirement that cannot be resolved",
    () => ({ requirements: { text: "vouchsafe-no-such-package==99\n" } }),
    "E-REQUIREMENTS",
    /vouchsafe-no-such-package/,
  ],
  ["#106 a program that is not in the image", () => ({ command: ["pyhton3", "app.py"] }), "E-BINARY", /pyhton3.*searched in/],
  ["a base image", () => ({ base: { kind: "image", reference: "x:1" } }), "E-BUILD-KIND", /x:1/],
  [
    "a package that does not exist",
    () => ({ base: { kind: "debian", packages: ["vouchsafe-no-such-package"] } }),
    "E-IMAGE-BASE",
    /vouchsafe-no-such-package/,
  ],
  [
    "MF-51: encryption of public files",
    () => ({ protection: [{ path: "/usr/lib", protection: "encrypted", field: "build.dirs" }] }),
    "E-BUILD-FIELD",
    /\/usr\/lib.*public/,
  ],
];
for (const [rule, changes, code, says] of refused) {
  test(`${rule} is ${code}, and no image is left`, async (context) => {
    const sample = sampleBuild(context);
    await assert.rejects(build(sample, changes(context)), { name: "ImageError", code, message: says });
    assert.equal(await new LocalRepository(sample.settings.repositoryDir).find(sample.plan.reference), undefined);
  });
}

test("other tools read the layout: skopeo inspects and copies it", async (context) => {
  const sample = sampleBuild(context);
  const built = await build(sample);
  const target = new LocalRepository(join(temporaryDirectory(context), "images"));
  assert.equal(await new LocalRepository(built.layoutDir).exportTo(built.reference, target), built.digest);
  const source = `oci:${target.directory}:${built.reference}`;
  const inspected = JSON.parse(execFileSync("skopeo", ["inspect", source], { encoding: "utf8" }));
  assert.equal(inspected.Digest, built.digest);
  assert.match(inspected.Labels["io.vouchsafe.mesh"], /^[0-9a-f]{64}$/);
  execFileSync("skopeo", ["copy", source, `dir:${join(target.directory, "copy")}`]);
});
