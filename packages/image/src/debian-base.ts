import { existsSync, globSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { type DebianPackage, downloadPackages, type PackageRequest, readControl, unpackPackages } from "./debian-packages.ts";
import { divert, findProgram, protectExecutables } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import { JAVA_TOOLS, JAVA_TRUST_STORE, PREPARE_JAVA } from "./java-base.ts";
import { renderTrustStore } from "./java-trust-store.ts";
import { type Layer, type LayerEntry, readLayerEntries } from "./layer.ts";
import { cacheKey, obtainLayer, writeWhole } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import { lastLines } from "./run-command.ts";
import { runInSandbox } from "./sandbox.ts";

/** User and group under which programs of our images run. */
export const PROGRAM_USER = { uid: 65_532, gid: 65_532 } as const;

/** What every assembled base has beside what the program needs: a shell for `kubectl exec`, certificates, time zones. */
const EVERY_BASE = ["base-files", "ca-certificates", "coreutils", "dash", "libc-bin", "netbase", "tzdata"];
const UNNEEDED =
  /^\/(?:boot|usr\/games|usr\/local\/man|usr\/share\/(?:bash-completion|bug|debconf|doc-base|info|lintian|linda|locale|man|menu|pixmaps|applications))(?:\/|$)|^\/usr\/share\/doc\/.*(?<!\/copyright)$|^\/(?:dev|proc|sys|tmp|run|var\/tmp)\/|\/__pycache__\/.*\.opt-\d\.pyc$/;

/** Fixed files of every base: Debian makes them in maintainer scripts, which do not run here. */
const BASE_FILES: Readonly<Record<string, string>> = {
  "etc/passwd": `root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nnonroot:x:${PROGRAM_USER.uid}:${PROGRAM_USER.gid}:program:/tmp:/usr/sbin/nologin\n`,
  "etc/group": `root:x:0:\ntty:x:5:\nnogroup:x:65534:\nnonroot:x:${PROGRAM_USER.gid}:\n`,
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/hostname": "localhost\n",
  "etc/resolv.conf": "",
};

/** Runs in the new root: what maintainer scripts would do and programs rely on. */
const PREPARE = `
set -e
if [ -d /usr/share/ca-certificates ]; then
  cd /etc/ssl/certs
  find_certificates() { for f in /usr/share/ca-certificates/*/*.crt; do echo "$f"; done; }
  : > ca-certificates.crt
  find_certificates | while read -r f; do
    name=$(basename "$f" .crt); ln -sf "$f" "$name.pem"
    cat "$f" >> ca-certificates.crt
  done
  openssl rehash .
fi
if [ -e /usr/bin/python3 ]; then
  for d in /usr/lib/python3*; do
    # Status 1: some files do not compile (templates, other versions' syntax), which is no failure.
    python3 -B -m compileall -q -f --invalidation-mode unchecked-hash "$d" > /dev/null || [ $? = 1 ]
  done
fi
${PREPARE_JAVA}`;

const BaseRecord = z.strictObject({
  packages: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: z.string(), file: z.string() })),
});

export interface DebianBase {
  readonly packages: readonly DebianPackage[];
  /** Identifies the content: equal keys, equal files. */
  readonly key: string;
}

/** Which packages, in which versions, a base consists of: decided once, then kept until the cache is cleared, so that builds can be repeated. */
export async function resolveDebianBase(
  cacheDir: string,
  { names, suite }: PackageRequest,
  signal?: AbortSignal,
): Promise<{ base: DebianBase; cached: boolean }> {
  const wanted = [...new Set([...EVERY_BASE, ...names])].sort();
  const recordFile = join(cacheDir, "bases", `${cacheKey(suite === undefined ? wanted : [suite, wanted])}.json`);
  const baseOf = (packages: readonly DebianPackage[]): DebianBase => ({
    packages,
    key: cacheKey([
      "debian",
      packages.map(({ name, version, sha256 }) => [name, version, sha256]),
      ...[PREPARE, BASE_FILES, UNNEEDED.source, JAVA_TOOLS.source],
    ]),
  });
  if (existsSync(recordFile)) {
    const record = BaseRecord.safeParse(JSON.parse(await readFile(recordFile, "utf8")));
    if (record.success) return { base: baseOf(record.data.packages), cached: true };
  }
  const packages = await downloadPackages(cacheDir, { names: wanted, suite }, signal);
  await mkdir(join(cacheDir, "bases"), { recursive: true });
  await writeWhole(recordFile, JSON.stringify({ packages } satisfies z.infer<typeof BaseRecord>));
  return { base: baseOf(packages), cached: false };
}

/** The base unpacked on disk, programs at their usual places: where requirements are installed and `run` steps happen. Not to be changed. */
export async function obtainBaseRoot(cacheDir: string, base: DebianBase, signal?: AbortSignal): Promise<string> {
  const roots = join(cacheDir, "roots");
  const root = join(roots, base.key);
  if (existsSync(root)) return root;
  await mkdir(roots, { recursive: true });
  const building = await mkdtemp(join(roots, "building-"));
  try {
    await mkdir(join(building, "usr"), { mode: 0o755 });
    for (const name of ["bin", "lib", "lib64", "sbin"]) {
      await mkdir(join(building, "usr", name));
      await symlink(`usr/${name}`, join(building, name));
    }
    // Package files may have left the cache while the record of the base stayed.
    if (!base.packages.every(({ file }) => existsSync(file))) {
      throw new ImageError("E-IMAGE-BASE", "package files of the base are no longer in the cache", {
        remedy: `Remove ${cacheDir} and build again.`,
      });
    }
    await unpackPackages(base.packages, building, signal);
    for (const [path, text] of Object.entries(BASE_FILES)) {
      await mkdir(join(building, path, ".."), { recursive: true });
      await writeFile(join(building, path), text);
    }
    await mkdir(join(building, "var/lib/dpkg/status.d"), { recursive: true });
    for (const { name, file } of base.packages)
      await writeFile(join(building, "var/lib/dpkg/status.d", name), await readControl(file, signal));
    await mkdir(join(building, "etc/ssl/certs"), { recursive: true });
    const { status, stderr } = await runInSandbox({
      root: building,
      changes: "kept",
      network: false,
      binds: [],
      command: ["/bin/sh", "-c", PREPARE],
      environment: { LC_ALL: "C.UTF-8", PYTHONHASHSEED: "0" },
      workingDirectory: "/",
      code: "E-IMAGE-BASE",
      scratchDir: join(cacheDir, "scratch"),
      signal,
    });
    if (status !== 0) throw new ImageError("E-IMAGE-BASE", `the base cannot be prepared:\n${lastLines(stderr)}`);
    if (existsSync(join(building, "usr/lib/jvm"))) await writeTrustStore(building);
    await rename(building, root).catch(async (error) => {
      if (!existsSync(root)) throw error; // otherwise another build was first
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return root;
}

/** For Java the certificates of ca-certificates in its own format; Debian makes it in a maintainer script. */
async function writeTrustStore(root: string): Promise<void> {
  const certificates = new Map<string, string>();
  for (const file of globSync(join(root, "usr/share/ca-certificates/*/*.crt")))
    certificates.set(`debian:${basename(file, ".crt")}.pem`, await readFile(file, "utf8"));
  const store = join(root, JAVA_TRUST_STORE);
  await mkdir(dirname(store), { recursive: true });
  await writeFile(store, renderTrustStore(certificates));
}

export interface BaseLayer {
  readonly layer: Layer;
  readonly cached: boolean;
  /** Programs that were moved away for the launcher, by their usual path. */
  readonly diverted: readonly string[];
}

/** The layer of a base, with the launcher at the place of the given programs (those that the base has). */
export async function obtainBaseLayer(
  cacheDir: string,
  repository: LocalRepository,
  base: DebianBase,
  programs: readonly string[],
  signal?: AbortSignal,
): Promise<BaseLayer> {
  const key = cacheKey([base.key, "layer", programs]);
  const divertedFile = join(cacheDir, "layers", `${key}.diverted`);
  let diverted: string[] = [];
  const { layer, cached } = await obtainLayer(cacheDir, repository, key, { level: 12 }, async () => {
    const root = await obtainBaseRoot(cacheDir, base, signal);
    const entries = (await readLayerEntries(root)).filter(({ path }) => !UNNEEDED.test(path) && !JAVA_TOOLS.test(path));
    const links = new Map(entries.flatMap((entry): [string, string][] => (entry.kind === "link" ? [[entry.path, entry.target]] : [])));
    const files = new Set(entries.flatMap((entry) => (entry.kind === "file" ? [entry.path] : [])));
    diverted = [...new Set(programs.flatMap((word) => findProgram(word, "/", files, links) ?? []))].sort();
    const complete: LayerEntry[] = divert(await protectExecutables(entries), diverted);
    await mkdir(join(cacheDir, "layers"), { recursive: true });
    await writeWhole(divertedFile, JSON.stringify(diverted));
    return complete;
  });
  if (cached) diverted = z.array(z.string()).parse(JSON.parse(await readFile(divertedFile, "utf8")));
  return { layer, cached, diverted };
}

/** Version directory of the base's Python, e.g. `python3.11`. */
export async function findPythonDirectory(root: string): Promise<string> {
  const found = (await readdir(join(root, "usr/lib"))).filter((name) => /^python3\.\d+$/.test(name)).sort();
  const [name] = found;
  if (name === undefined) throw new ImageError("E-IMAGE-BASE", "the base has no Python");
  return name;
}
