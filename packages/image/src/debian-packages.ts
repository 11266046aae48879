import { createHash } from "node:crypto";
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
  /^(?:adduser|debconf|debianutils|dpkg|gcc-\d+-base|init-system-helpers|libaudit.*|libcap-ng0|libpam.*|libsemanage.*|libsepol\d+|lsb-base|mawk|passwd|perl(?:-.*)?|libperl.*|lib.*-perl|libgdbm.*|sysvinit-utils|tar|ucf|usrmerge)$/;
/** Longer than any download should take: the other build's packages are then there for us as well. */
const LOCK_WAIT_MS = 15 * 60 * 1000;
const LISTS_FRESH_MS = 24 * 60 * 60 * 1000;
const PACKAGE_NAME = /^[a-z0-9][a-z0-9+.-]+$/;

const apt = (args: readonly string[], configuration: string, workingDirectory: string, signal: AbortSignal | undefined) =>
  runCommand("apt-get", ["-q", ...args], "E-IMAGE-BASE", {
    environment: { ...process.env, APT_CONFIG: configuration, LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
    workingDirectory,
    signal,
  });

/** A private apt root: the machine's sources, keys and proxies, but own state, so that no root rights are needed and nothing of the machine's state counts. */
async function openAptRoot(directory: string, signal: AbortSignal | undefined): Promise<string> {
  const archives = join(directory, "archives");
  for (const each of [join(directory, "state", "lists", "partial"), join(archives, "partial")]) await mkdir(each, { recursive: true });
  await writeFile(join(directory, "status"), "");
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
  const stamp = join(directory, "updated");
  const updated = await stat(stamp).catch(() => undefined);
  if (updated === undefined || Date.now() - updated.mtimeMs > LISTS_FRESH_MS) {
    const { status, stderr } = await apt(["update", "--error-on=any"], configuration, directory, signal);
    if (status === 0) await writeFile(stamp, "");
    else if (updated === undefined) {
      throw new ImageError("E-IMAGE-BASE", `apt cannot fetch the package lists:\n${lastLines(stderr)}`, {
        remedy: "Check /etc/apt/sources.list.d and the network (apt-get update must work on this machine).",
      });
    } // otherwise the lists of an earlier day serve
  }
  return configuration;
}

/**
 * Downloads packages with what they need at run time (no recommendations, nothing that only maintainer scripts use). apt verifies every file
 * against the signed lists. Files stay in `directory` for the next build. Throws E-IMAGE-BASE.
 */
export async function downloadPackages(directory: string, names: readonly string[], signal?: AbortSignal): Promise<DebianPackage[]> {
  await mkdir(directory, { recursive: true });
  return withFileLock(join(directory, ".lock"), LOCK_WAIT_MS, () => download(directory, names, signal));
}

async function download(directory: string, names: readonly string[], signal: AbortSignal | undefined): Promise<DebianPackage[]> {
  for (const name of names)
    if (!PACKAGE_NAME.test(name)) throw new ImageError("E-IMAGE-BASE", `${JSON.stringify(name)} is no package name`);
  const configuration = await openAptRoot(directory, signal);
  const plan = await apt(["--simulate", "install", ...names], configuration, directory, signal);
  if (plan.status !== 0) {
    throw new ImageError("E-IMAGE-BASE", `apt cannot resolve ${names.join(", ")}:\n${lastLines(plan.stderr)}`, {
      remedy: "Check that the machine's apt sources are those of Debian 12 or newer, or of Ubuntu 22.04 or newer.",
    });
  }
  const wanted = [...plan.stdout.matchAll(/^Inst (\S+) \((\S+) [^)]*\[(\S+)\]\)/gm)]
    .map(([, name = "", version = "", architecture = ""]) => ({ name, version, architecture }))
    .filter(({ name }) => !SCRIPT_HELPERS.test(name) || names.includes(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
  const archives = join(directory, "archives");
  const fileOf = ({ name, version, architecture }: (typeof wanted)[number]) =>
    join(archives, `${name}_${version.replaceAll(":", "%3a")}_${architecture}.deb`);
  const present = new Set(await readdir(archives));
  const absent = wanted.filter((one) => !present.has(fileOf(one).slice(archives.length + 1)));
  if (absent.length > 0) {
    // `apt-get download` writes into the working directory under the final name only after the digest was checked.
    const specs = absent.map(({ name, version, architecture }) =>
      architecture === "all" ? `${name}=${version}` : `${name}:${architecture}=${version}`,
    );
    const { status, stderr } = await apt(["download", ...specs], configuration, archives, signal);
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
