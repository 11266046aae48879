import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFileLock } from "./file-lock.ts";
import { ImageError } from "./image-error.ts";
import { lastLines, runCommand } from "./run-command.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-256 (hex) of the package file, which apt verified against the signed lists. */
  readonly sha256: string;
  readonly file: string;
}

/** Dependencies that only maintainer scripts need; we run none. */
const SCRIPT_HELPERS =
  /^(?:adduser|debconf|debianutils|dpkg|gcc-\d+-base|init-system-helpers|libaudit.*|libcap-ng0|libpam.*|libsemanage.*|libsepol\d+|lsb-base|mawk|passwd|perl(?:-.*)?|libperl.*|lib.*-perl|libgdbm.*|sysvinit-utils|tar|ucf|usrmerge|util-linux.*)$/;
/** Counts as installed, since only nginx's maintainer scripts use it: with what it brings along it would be a third of that image. */
const NEVER_INSTALLED = `Package: iproute2
Status: install ok installed
Architecture: amd64
Multi-Arch: foreign
Version: 1:9999
Maintainer: none <none@invalid>
Description: not needed

`;
/** Longer than any download should take: the other build's packages are then there for us as well. */
const LOCK_WAIT_MS = 15 * 60 * 1000;
const LISTS_FRESH_MS = 24 * 60 * 60 * 1000;
const PACKAGE_NAME = /^[a-z0-9][a-z0-9+.-]+$/;
const SUITE_NAME = /^[a-z]+$/;

/** The Debian archive's keys, as the package debian-archive-keyring installs them. */
const DEBIAN_KEYRINGS = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/** A private apt root: the machine's keys and proxies, but own state, so that no root rights are needed and nothing of the machine's state counts. */
interface AptRoot {
  readonly directory: string;
  readonly archives: string;
  readonly configuration: string;
  /** Settings that must win over the machine's configuration files, which apt reads after ours. */
  readonly options: readonly string[];
}

const apt = ({ configuration, options }: AptRoot, args: readonly string[], workingDirectory: string, signal: AbortSignal | undefined) =>
  runCommand("apt-get", ["-q", ...options.flatMap((option) => ["-o", option]), ...args], "E-IMAGE-BASE", {
    environment: { ...process.env, APT_CONFIG: configuration, LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
    workingDirectory,
    signal,
  });

/** Makes or reuses the root in `directory`. `sources`: lines in place of the machine's package sources. */
async function openAptRoot(directory: string, sources: readonly string[] | undefined, signal: AbortSignal | undefined): Promise<AptRoot> {
  const archives = join(directory, "archives");
  for (const each of [join(directory, "state", "lists", "partial"), join(archives, "partial")]) await mkdir(each, { recursive: true });
  await writeFile(join(directory, "status"), NEVER_INSTALLED);
  const configuration = join(directory, "apt.conf");
  const settings = [
    `Dir::State ${JSON.stringify(join(directory, "state"))};`,
    `Dir::State::status ${JSON.stringify(join(directory, "status"))};`,
    `Dir::Cache ${JSON.stringify(directory)};`,
    'APT::Sandbox::User "";',
    'APT::Install-Recommends "false";',
    'Acquire::Languages "none";',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
    'Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";',
    'Acquire::Retries "3";',
    'Debug::NoLocking "true";', // our own lock waits instead of failing
    "#clear DPkg::Post-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
  ];
  await writeFile(configuration, `${settings.join("\n")}\n`);
  const sourceList = join(directory, "sources.list");
  if (sources !== undefined) await writeFile(sourceList, sources.map((line) => `${line}\n`).join(""));
  const options =
    sources === undefined
      ? []
      : [
          `Dir::Etc::sourcelist=${sourceList}`,
          "Dir::Etc::sourceparts=-",
          // Pins and the default release of the machine speak of its own suite.
          ...["Dir::Etc::preferences=-", "Dir::Etc::preferencesparts=-", "APT::Default-Release="],
        ];
  const root: AptRoot = { directory, archives, configuration, options };
  const stamp = join(directory, "updated");
  const updated = await stat(stamp).catch(() => undefined);
  if (updated === undefined || Date.now() - updated.mtimeMs > LISTS_FRESH_MS) {
    const { status, stderr } = await apt(root, ["update", "--error-on=any"], directory, signal);
    if (status === 0) await writeFile(stamp, "");
    else if (updated === undefined) {
      throw new ImageError("E-IMAGE-BASE", `apt cannot fetch the package lists:\n${lastLines(stderr)}`, {
        remedy:
          sources === undefined
            ? "Check /etc/apt/sources.list.d and the network (apt-get update must work on this machine)."
            : "The archive in /etc/apt/sources.list.d must also have the release that is named here, and the package debian-archive-keyring its keys.",
      });
    } // otherwise the lists of an earlier day serve
  }
  return root;
}

/**
 * Package sources of another Debian release: the archives that this machine's own sources name, with the machine's Debian keys. Undefined on a machine
 * that takes no packages from Debian.
 */
async function sourcesOfSuite(home: AptRoot, suite: string, signal: AbortSignal | undefined): Promise<string[] | undefined> {
  const format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
  const { stdout } = await apt(home, ["indextargets", "--format", format, "Created-By: Packages"], home.directory, signal);
  const archives = stdout.split("\n").map((line) => line.split("|"));
  const archiveOf = (label: string) => archives.find(([origin, each]) => origin === "Debian" && each === label)?.[2];
  const [main, security] = [archiveOf("Debian"), archiveOf("Debian-Security")];
  if (main === undefined) return undefined;
  const keyring = DEBIAN_KEYRINGS.find((file) => existsSync(file));
  const line = (archive: string, name: string) => `deb ${keyring === undefined ? "" : `[signed-by=${keyring}] `}${archive} ${name} main`;
  return [line(main, suite), line(main, `${suite}-updates`), ...(security === undefined ? [] : [line(security, `${suite}-security`)])];
}

/** Packages by name, and where they come from. */
export interface PackageRequest {
  readonly names: readonly string[];
  /**
   * Code name of a Debian release, e.g. `trixie`, for what the machine's own release does not have. A machine that takes no packages from Debian
   * (Ubuntu) uses its own sources in any case.
   */
  readonly suite?: string | undefined;
}

/**
 * Downloads packages with what they need at run time (no recommendations, nothing that only maintainer scripts use). apt verifies every file
 * against the signed lists. Files stay in `cacheDir` for the next build. Throws E-IMAGE-BASE.
 */
export async function downloadPackages(cacheDir: string, { names, suite }: PackageRequest, signal?: AbortSignal): Promise<DebianPackage[]> {
  for (const name of names)
    if (!PACKAGE_NAME.test(name)) throw new ImageError("E-IMAGE-BASE", `${JSON.stringify(name)} is no package name`);
  if (suite !== undefined && !SUITE_NAME.test(suite)) throw new ImageError("E-IMAGE-BASE", `${JSON.stringify(suite)} is no Debian release`);
  const directory = join(cacheDir, "apt");
  await mkdir(directory, { recursive: true });
  return withFileLock(join(directory, ".lock"), LOCK_WAIT_MS, async () => {
    const home = await openAptRoot(directory, undefined, signal);
    const sources = suite === undefined ? undefined : await sourcesOfSuite(home, suite, signal);
    const root = sources === undefined ? home : await openAptRoot(join(directory, `suite-${suite}`), sources, signal);
    return download(root, names, signal);
  });
}

async function download(root: AptRoot, names: readonly string[], signal: AbortSignal | undefined): Promise<DebianPackage[]> {
  const plan = await apt(root, ["--simulate", "install", ...names], root.directory, signal);
  if (plan.status !== 0) {
    throw new ImageError("E-IMAGE-BASE", `apt cannot resolve ${names.join(", ")}:\n${lastLines(plan.stderr)}`, {
      remedy: "Check that the machine's apt sources are those of Debian 12 or newer, or of Ubuntu 22.04 or newer.",
    });
  }
  const wanted = [...plan.stdout.matchAll(/^Inst (\S+) \((\S+) [^)]*\[(\S+)\]\)/gm)]
    .map(([, name = "", version = "", architecture = ""]) => ({ name, version, architecture }))
    .filter(({ name }) => !SCRIPT_HELPERS.test(name) || names.includes(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
  const { archives } = root;
  const fileOf = ({ name, version, architecture }: (typeof wanted)[number]) =>
    join(archives, `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`);
  const present = new Set(await readdir(archives));
  const absent = wanted.filter((one) => !present.has(fileOf(one).slice(archives.length + 1)));
  if (absent.length > 0) {
    // `apt-get download` writes into the working directory under the final name only after the digest was checked.
    const specs = absent.map(({ name, version, architecture }) =>
      architecture === "all" ? `${name}=${version}` : `${name}:${architecture}=${version}`,
    );
    const { status, stderr } = await apt(root, ["download", ...specs], archives, signal);
    if (status !== 0)
      throw new ImageError("E-IMAGE-BASE", `apt cannot download packages:\n${lastLines(stderr)}`, {
        remedy: "Try again; the cache keeps what has arrived.",
      });
  }
  return Promise.all(
    wanted.map(async (one) => {
      const file = fileOf(one);
      const sha256 = createHash("sha256")
        .update(await readFile(file))
        .digest("hex");
      return { name: one.name, version: one.version, sha256, file };
    }),
  );
}

/** Unpacks packages into an empty root with merged /usr; no maintainer script runs. */
export async function unpackPackages(packages: readonly DebianPackage[], root: string, signal?: AbortSignal): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const { file, name } of packages) {
    // dpkg-deb's own extraction would replace the links of a merged /usr by directories; tar is told to keep them.
    const script =
      'dpkg-deb --fsys-tarfile "$1" | tar --extract --directory "$2" --keep-directory-symlink --no-same-owner --preserve-permissions';
    const { status, stderr } = await runCommand("bash", ["-o", "pipefail", "-c", script, "bash", file, root], "E-IMAGE-BASE", {
      environment: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" },
      signal,
    });
    if (status !== 0) {
      await rm(file, { force: true });
      throw new ImageError("E-IMAGE-BASE", `package ${name} cannot be unpacked:\n${lastLines(stderr)}`, {
        remedy: "Try again; the damaged file was removed from the cache.",
      });
    }
  }
}

/** The control fields of a package, as scanners for vulnerabilities read them below /var/lib/dpkg/status.d. */
export async function readControl(file: string, signal?: AbortSignal): Promise<string> {
  const { status, stdout, stderr } = await runCommand("dpkg-deb", ["--field", file], "E-IMAGE-BASE", {
    environment: { PATH: process.env["PATH"], LC_ALL: "C.UTF-8" },
    signal,
  });
  if (status !== 0) throw new ImageError("E-IMAGE-BASE", `package file ${file} is damaged: ${lastLines(stderr)}`);
  return stdout;
}
