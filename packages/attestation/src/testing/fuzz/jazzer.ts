import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Jazzer.js, ready to run. */
export interface Jazzer {
  /** Program and parameters before those of Jazzer.js itself. */
  readonly command: readonly [string, ...string[]];
  readonly version: string;
}

const VERSION = "4.0.0";
/** Where the C library is found that Jazzer's binary part needs and Debian 12 does not have. */
const SUITE = "trixie";
const directory = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-jazzer");

/**
 * Installs Jazzer.js from its registry below the cache directory on first use, without install scripts. Its binary part needs glibc 2.38: on an older
 * system the libraries of Debian's next release are unpacked beside it, and Node is started with them. Throws where neither works.
 */
export function prepareJazzer(): Jazzer {
  mkdirSync(directory, { recursive: true });
  if (!existsSync(join(directory, "node_modules/@jazzer.js/core"))) {
    writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true, dependencies: { "@jazzer.js/core": VERSION } }));
    execFileSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], { cwd: directory, stdio: "inherit" });
  }
  const cli = join(directory, "node_modules/@jazzer.js/core/dist/cli.js");
  const plain = [process.execPath] as const;
  const fault = loadFault(plain);
  if (fault === undefined) return { command: [...plain, cli], version: VERSION };
  if (!fault.includes("GLIBC")) throw new Error(`Jazzer.js does not load: ${fault}`);
  const libraries = newerLibraries();
  const withNewer = [join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries, process.execPath] as const;
  const again = loadFault(withNewer);
  if (again !== undefined) throw new Error(`Jazzer.js does not load with Debian ${SUITE}'s C library either: ${again}`);
  return { command: [...withNewer, cli], version: VERSION };
}

/** The line that says why the binary part does not load; undefined when it does. */
function loadFault([program, ...parameters]: readonly [string, ...string[]]): string | undefined {
  const { status, stderr } = spawnSync(program, [...parameters, "-e", 'require("@jazzer.js/fuzzer")'], {
    cwd: directory,
    encoding: "utf8",
  });
  return status === 0 ? undefined : (/^Error: .*$/m.exec(stderr)?.[0] ?? stderr.slice(0, 500));
}

/** Downloaded through apt with lists of its own: the system's packages stay as they are. */
function newerLibraries(): string {
  const root = join(directory, "debian");
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  if (existsSync(join(libraries, "libstdc++.so.6"))) return libraries;
  for (const folder of ["lists/partial", "archives/partial"]) mkdirSync(join(root, folder), { recursive: true });
  const sources = join(root, "sources.list");
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(sources, `deb [signed-by=${keyring}] ${debianMirror()} ${SUITE} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": join(root, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": root,
  };
  const apt = (...parameters: string[]) =>
    execFileSync("apt-get", [...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]), "-qq", ...parameters], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
  apt("update");
  apt("download", "libc6", "libstdc++6", "libgcc-s1");
  for (const name of globSync("*.deb", { cwd: root })) execFileSync("dpkg", ["-x", join(root, name), root]);
  return libraries;
}

/** The archive that this machine takes its packages from. */
function debianMirror(): string {
  const places = execFileSync("apt-get", ["indextargets", "--format", "$(REPO_URI)"], { encoding: "utf8" }).split("\n");
  const archive = places.find((place) => /\/debian\/?$/.test(place));
  if (archive === undefined) throw new Error("apt knows no Debian archive: see /etc/apt/sources.list");
  return archive;
}
