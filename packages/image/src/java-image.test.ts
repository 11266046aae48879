import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { decryptTree, openProtectedDirectory } from "@vouchsafe/fileshield";
import { buildImage } from "./build-image.ts";
import { readCopies } from "./code-layer.ts";
import { obtainBaseRoot, resolveDebianBase } from "./debian-base.ts";
import { JAVA_KINDS, type JavaKind, javaBase } from "./java-base.ts";
import { compileJava, findJavaLibraries } from "./java-code.ts";
import { renderTrustStore } from "./java-trust-store.ts";
import { renderLauncher } from "./launcher.ts";
import type { BuildPlan } from "./plan.ts";
import { readImageMetadata } from "./read-metadata.ts";
import { runInSandbox } from "./sandbox.ts";
import { type SampleBuild, sampleBuild, TEST_CACHE } from "./testing/sample-build.ts";
import { temporaryDirectory } from "./testing/small-image.ts";
import { unpackImage } from "./unpack.ts";

const APP = `package main.java;
public class App {
  static final String RECIPE = "CANARY";
  public static void main(String[] words) throws Exception {
    var managers = javax.net.ssl.TrustManagerFactory.getInstance("PKIX");
    managers.init((java.security.KeyStore) null);
    var issuers = ((javax.net.ssl.X509TrustManager) managers.getTrustManagers()[0]).getAcceptedIssuers();
    System.out.println(Runtime.version().feature() + " " + issuers.length + " " + shelf.Books.first() + " " + new Helper().help());
  }
}
`;
const HELPER = `package main.java;
class Helper { String help() throws Exception {
  return new String(getClass().getResourceAsStream("/words.txt").readAllBytes());
} }
`;
const BOOKS = `package shelf;
public class Books { public static String first() { return "Emma"; } }
`;

const baseRoot = async (kind: JavaKind): Promise<string> => {
  const { packages, suite } = javaBase(kind);
  const { base } = await resolveDebianBase(TEST_CACHE, { names: packages, suite });
  return obtainBaseRoot(TEST_CACHE, base);
};

async function inSandbox(root: string, directory: string, command: readonly string[]) {
  const result = await runInSandbox({
    root,
    changes: "dropped",
    network: false,
    binds: [{ source: directory, target: "/srv" }],
    command,
    environment: {},
    workingDirectory: "/srv",
    code: "E-RUN",
    scratchDir: join(TEST_CACHE, "scratch"),
  });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

/** A project of sources in packages, a resource and a library, as `copy` names them. */
async function javaProject(context: TestContext, kind: JavaKind, changes: Partial<BuildPlan> = {}): Promise<SampleBuild> {
  const sample = sampleBuild(context);
  const project = join(sample.directory, "project");
  write(project, { "main/java/App.java": APP, "main/java/Helper.java": HELPER, "words.txt": "yours", "lib/notes.zip": "" });
  const root = await baseRoot(kind);
  const library = join(sample.directory, "library");
  const source = { kind: "file", path: "/srv/Books.java", mode: 0o644, bytes: new TextEncoder().encode(BOOKS) } as const;
  const { entries } = await compileJava({ cacheDir: TEST_CACHE, root, plan: { workingDirectory: "/srv", copy: [] }, copies: [source] });
  for (const entry of entries) {
    mkdirSync(join(library, dirname(entry.path)), { recursive: true });
    if (entry.kind === "file") writeFileSync(join(library, entry.path), entry.bytes);
  }
  // The archiver is a module of the virtual machine, as the compiler is.
  await inSandbox(root, join(library, "srv"), ["java", "-m", "jdk.jartool/sun.tools.jar.Main", "-cf", "books.jar", "shelf"]);
  writeFileSync(join(project, "lib/books.jar"), readFileSync(join(library, "srv/books.jar")));
  const copy = ["main", "words.txt", "lib"].map((name) => ({ source: join(project, name), target: `/srv/${name}` }));
  const { requirements: _, ...plan } = sample.plan;
  const java = { kind, base: javaBase(kind), command: ["java", "-cp", "/srv:/srv/lib/books.jar", "main.java.App"] };
  return { ...sample, plan: { ...plan, ...java, copy, ...changes } };
}

test("MF-58: a trust store does not depend on the order of its certificates", () => {
  const [one = "", two = ""] = globSync("/usr/share/ca-certificates/mozilla/*.crt").map((file) => readFileSync(file, "utf8"));
  const pairs: [string, string][] = [
    ["a", one],
    ["b", two],
  ];
  assert.deepEqual(renderTrustStore(new Map(pairs)), renderTrustStore(new Map(pairs.toReversed())));
  assert.throws(() => renderTrustStore(new Map([["c", "no certificate"]])));
});

for (const kind of JAVA_KINDS) {
  test(`MF-56, ${kind}: sources in packages are compiled against copied libraries, and run with the public certificates`, async (context) => {
    const { plan, directory } = await javaProject(context, kind);
    const root = await baseRoot(kind);
    assert.deepEqual(await findJavaLibraries(plan.copy, join(directory, "project")), ["/srv/lib/books.jar"]);
    const { entries } = await compileJava({
      cacheDir: TEST_CACHE,
      root,
      plan,
      copies: await readCopies(plan.copy, join(directory, "project")),
    });
    const program = temporaryDirectory(context, "program");
    for (const entry of entries) {
      if (entry.kind !== "file") continue;
      mkdirSync(join(program, dirname(entry.path)), { recursive: true });
      writeFileSync(join(program, entry.path), entry.bytes);
    }
    const certificates = globSync(join(root, "usr/share/ca-certificates/*/*.crt")).length;
    assert(certificates > 100);
    const said = await inSandbox(root, join(program, "srv"), [...plan.command]);
    assert.equal(said, `${kind.slice(4)} ${certificates} Emma yours\n`);
  });
}

test("MF-56, bad input 113: classes at the top, and what does not compile is E-RUN with file and line as copied", async (context) => {
  const root = await baseRoot("java21");
  const cacheDir = temporaryDirectory(context, "cache");
  const compile = (path: string, text: string, workingDirectory = "/srv") =>
    compileJava({
      cacheDir,
      root,
      plan: { workingDirectory, copy: [{ source: path, target: path }] },
      copies: [{ kind: "file", path, mode: 0o644, bytes: new TextEncoder().encode(text) }],
    });
  const { entries, targets } = await compile("/srv/Top.java", "class Top { class Inner {} }");
  assert.deepEqual(entries.map(({ path }) => path).sort(), ["/srv/Top$Inner.class", "/srv/Top.class"]);
  assert.deepEqual([...targets].sort(), ["/srv/Top$Inner.class", "/srv/Top.class"]);
  await assert.rejects(compile("/srv/main/java/Bad.java", 'class Bad {\n  int x = "text";\n}'), {
    name: "ImageError",
    code: "E-RUN",
    field: "build.copy",
    message: /^the Java sources do not compile:\nmain\/java\/Bad\.java:2: error: incompatible types: String cannot be converted to int\n/,
  });
  await assert.rejects(compile("/A.java", "package etc.a; class A {}", "/"), {
    code: "E-BUILD-FIELD",
    field: "build.pwd",
    message: /\/etc/,
  });
  const { targets: tops } = await compile("/B.java", "package shop.a; class B {}", "/");
  assert.deepEqual(tops, ["/shop"]);
  assert.deepEqual(globSync(join(cacheDir, "java-*")), [], "nothing stays on disk");
});

test("MF-58, MF-59, MF-61, MF-68, AC-14: neither sources nor classes can be read in the image, no tool of Java is in it, the digest repeats", async (context) => {
  const canary = randomUUID();
  const sample = await javaProject(context, "java21");
  const app = join(sample.directory, "project/main/java/App.java");
  writeFileSync(app, APP.replace("CANARY", canary));
  const codeKey = "ab".repeat(32);
  const built = await buildImage(sample.plan, { ...sample.settings, codeKey });
  const again = await buildImage(
    { ...sample.plan, reference: sample.plan.reference.replace(/:1$/, ":2") },
    { ...sample.settings, codeKey },
  );
  assert.equal(again.digest, built.digest);

  const root = join(sample.directory, "root");
  await unpackImage(built.layoutDir, built.reference, root);
  const grep = (text: string, ...places: string[]) => spawnSync("grep", ["-rlaF", text, ...places], { encoding: "utf8" }).stdout;
  for (const text of [canary, "Helper", "books.jar"]) assert.equal(grep(text, join(root, "srv"), join(root, "vouchsafe/code")), "", text);
  assert.equal(grep(canary, root, sample.settings.repositoryDir, join(TEST_CACHE, "layers"), join(TEST_CACHE, "roots")), "");
  const code = decryptTree(openProtectedDirectory(join(root, "vouchsafe/code.fspf")), Uint8Array.fromHex(codeKey), built.tag ?? "");
  const files = code.entries.flatMap(({ kind, path }) => (kind === "file" ? [path] : []));
  assert.deepEqual(files.sort(), [
    ...["/srv/lib/books.jar", "/srv/lib/notes.zip", "/srv/main/java/App.class", "/srv/main/java/Helper.class", "/srv/words.txt"],
  ]);

  const { service } = await readImageMetadata(built.layoutDir, built.reference);
  assert.equal(service.kind, "java21");
  assert.deepEqual(
    service.diversions.map(({ path }) => path),
    ["/usr/lib/jvm/java-21-openjdk-amd64/bin/java"],
  );
  for (const { path } of service.diversions) assert.deepEqual(new Uint8Array(readFileSync(join(root, path))), renderLauncher());
  const tools = globSync(join(root, "usr/lib/jvm/*/{bin/*,lib/jexec}"), { withFileTypes: true }).filter((entry) => entry.isFile());
  assert.deepEqual(
    tools.map(({ name }) => name),
    ["java"],
  );
  for (const name of ["javac", "jshell", "keytool", "jexec", "jcmd"]) assert(!existsSync(join(root, "usr/bin", name)), name);
});
