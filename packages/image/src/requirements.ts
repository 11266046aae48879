import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type DebianBase, obtainBaseRoot, resolveDebianBase } from "./debian-base.ts";
import { protectExecutables } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import { type Layer, readLayerEntries } from "./layer.ts";
import { aliasLayer, cacheKey, obtainLayer, writeWhole } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import { lastLines } from "./run-command.ts";
import { runInSandbox, type SandboxBind } from "./sandbox.ts";

/** The requirements as the user wrote them, one logical line each, checked. */
export interface Requirements {
  readonly lines: readonly string[];
  /** SHA-256 (hex) of the text: says whether a lock belongs to it. */
  readonly digest: string;
}

const LOCK_HEADER = "# requirements sha256:";
const SPECIFIER = /^[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[A-Za-z0-9._,\s-]*\])?\s*(?:$|[<>=!~;(]|@\s*https:\/\/)/;

/**
 * Reads a requirements file (PEP 508 lines). Options that lead the installer elsewhere (another index, other files, paths of this machine) are
 * refused: where packages come from is the machine's configuration, not the project's (hazard G8). Throws E-REQUIREMENTS.
 */
export function parseRequirements(text: string): Requirements {
  const lines: string[] = [];
  const logical = text.replaceAll("\r\n", "\n").replace(/\\\n/g, " ");
  for (const [index, raw] of logical.split("\n").entries()) {
    const line = raw.replace(/(?:^|\s)#.*$/, "").trim();
    if (line === "") continue;
    const fail = (detail: string) =>
      new ImageError("E-REQUIREMENTS", `line ${index + 1} of the requirements, ${JSON.stringify(line)}: ${detail}`, {
        field: "build.requirements",
      });
    if (/^--hash(?:=|\s)/.test(line)) throw fail("a hash must stand behind its requirement");
    if (line.startsWith("-"))
      throw fail("options are not allowed here; the index and further files are set in the configuration of pip on this machine");
    const [specifier = "", ...options] = line.split(/\s(?=--)/);
    if (!SPECIFIER.test(specifier)) throw fail("not a requirement of the form NAME, NAME==VERSION or NAME @ https://…");
    const foreign = options.find((option) => !/^--hash=sha(?:256|384|512):[0-9a-f]{64,128}$/.test(option.trim()));
    if (foreign !== undefined) throw fail(`the option ${foreign.trim()} is not allowed`);
    lines.push(line);
  }
  return { lines, digest: createHash("sha256").update(text).digest("hex") };
}

/** The lock's lines, if it was made from the same requirements. */
export function readLock(lock: string | undefined, requirements: Requirements): readonly string[] | undefined {
  const [header, ...lines] = (lock ?? "").split("\n").filter((line) => line !== "");
  if (header !== `${LOCK_HEADER}${requirements.digest}`) return undefined;
  return lines.every((line) => /^[A-Za-z0-9][A-Za-z0-9._-]*==\S+ --hash=sha256:[0-9a-f]{64}$/.test(line)) ? lines : undefined;
}

const renderLock = (requirements: Requirements, lines: readonly string[]): string =>
  `${LOCK_HEADER}${requirements.digest}\n${lines.map((line) => `${line}\n`).join("")}`;

const PipReport = z.looseObject({
  install: z.array(
    z.looseObject({
      metadata: z.looseObject({ name: z.string(), version: z.string() }),
      download_info: z.looseObject({
        archive_info: z.looseObject({ hash: z.string().optional(), hashes: z.record(z.string(), z.string()).optional() }).optional(),
      }),
    }),
  ),
});

function lockFromReport(report: unknown): string[] {
  const lines = PipReport.parse(report).install.map(({ metadata, download_info: { archive_info: archive } }) => {
    const sha256 = archive?.hashes?.["sha256"] ?? archive?.hash?.replace(/^sha256=/, "");
    if (sha256 === undefined)
      throw new ImageError("E-REQUIREMENTS", `pip reports no SHA-256 for ${metadata.name}`, { field: "build.requirements" });
    return `${metadata.name.toLowerCase().replaceAll(/[-_.]+/g, "-")}==${metadata.version} --hash=sha256:${sha256}`;
  });
  return lines.sort();
}

const PATHS_IN_TEXT = /(?<![\w:/.])\/[^\s'",:;=]+/g;
/** Variables by which users tell pip and its HTTP library where to fetch from and whom to trust. */
const PASSED =
  /^(?:PIP_.*|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|all_proxy|ALL_PROXY)$/;
const NOT_PASSED = new Set([
  "PIP_TARGET",
  "PIP_PREFIX",
  "PIP_ROOT",
  "PIP_USER",
  "PIP_REPORT",
  "PIP_REQUIRE_VIRTUALENV",
  "PIP_CACHE_DIR",
  "PIP_LOG",
  "PIP_CONFIG_FILE",
]);

/** The machine's configuration of pip: variables, files, and the local paths that they name. It is used, and never recorded in the image. */
async function readPipConfiguration(environment: NodeJS.ProcessEnv): Promise<{ variables: Record<string, string>; binds: SandboxBind[] }> {
  const home = environment["HOME"] || homedir();
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && PASSED.test(name) && !NOT_PASSED.has(name)) variables[name] = value;
  const configFiles: SandboxBind[] = [
    { source: "/etc/pip.conf", target: "/etc/pip.conf" },
    { source: "/etc/xdg/pip/pip.conf", target: "/etc/xdg/pip/pip.conf" },
    { source: join(home, ".pip/pip.conf"), target: "/root/.pip/pip.conf" },
    { source: join(environment["XDG_CONFIG_HOME"] || join(home, ".config"), "pip/pip.conf"), target: "/root/.config/pip/pip.conf" },
    { source: join(home, ".netrc"), target: "/root/.netrc" },
  ].filter(({ source }) => existsSync(source));
  const named = environment["PIP_CONFIG_FILE"];
  if (named !== undefined && named !== "/dev/null" && existsSync(named)) {
    configFiles.push({ source: named, target: "/etc/vouchsafe-pip.conf" });
    variables["PIP_CONFIG_FILE"] = "/etc/vouchsafe-pip.conf";
  }
  const texts = [
    ...Object.values(variables),
    ...(await Promise.all(configFiles.map(({ source }) => readFile(source, "utf8").catch(() => "")))),
  ];
  const paths = new Set(
    texts
      .flatMap((text) => text.match(PATHS_IN_TEXT) ?? [])
      .filter((path) => existsSync(path) && !/^\/(?:proc|sys|dev)?(?:\/|$)$/.test(path)),
  );
  const binds = [...configFiles, ...[...paths].sort().map((path) => ({ source: path, target: path }))];
  for (const path of ["/etc/resolv.conf", "/etc/hosts"]) if (existsSync(path)) binds.push({ source: path, target: path });
  return { variables, binds };
}

const INSTALLED = "/vouchsafe-out";
const REQUEST = "/vouchsafe-in";

/** Packages of the installer; never part of an image. */
export const INSTALLER_PACKAGES: readonly string[] = ["python3-pip", "python3-setuptools", "python3-wheel"];

/** Where the installer runs: the base with pip; not part of any image. */
async function obtainInstallerRoot(cacheDir: string, basePackages: readonly string[], signal?: AbortSignal): Promise<string> {
  const { base } = await resolveDebianBase(cacheDir, { names: [...basePackages, ...INSTALLER_PACKAGES] }, signal);
  return obtainBaseRoot(cacheDir, base, signal);
}

export interface RequirementsLayer {
  readonly layer: Layer;
  readonly lock: string;
  readonly cached: boolean;
  /** The same files on disk, for `run` steps. */
  readonly directory: string;
}

export interface RequirementsRequest {
  readonly cacheDir: string;
  readonly repository: LocalRepository;
  readonly base: DebianBase;
  /** Packages by which the base was asked for. */
  readonly basePackages: readonly string[];
  readonly requirements: Requirements;
  readonly lock?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const failInstall = (output: string) =>
  new ImageError("E-REQUIREMENTS", `pip cannot install the requirements:\n${lastLines(redactUrls(output), 12)}`, {
    field: "build.requirements",
    remedy: "Check names and versions, and that pip reaches its index from this machine.",
  });

/** Index addresses may carry a password; an error message must not. */
const redactUrls = (text: string): string => text.replaceAll(/(https?:\/\/)[^\s/@]+@/g, "$1…@");

async function install(request: RequirementsRequest, outDir: string): Promise<string> {
  const { cacheDir, requirements, signal } = request;
  const root = await obtainInstallerRoot(cacheDir, request.basePackages, signal);
  const inDir = await mkdtemp(join(cacheDir, "requirements-"));
  try {
    const locked = readLock(request.lock, requirements);
    await writeFile(join(inDir, "requirements.txt"), `${(locked ?? requirements.lines).join("\n")}\n`);
    const { variables, binds } = await readPipConfiguration(process.env);
    const flags = [
      "--root",
      INSTALLED,
      "--ignore-installed",
      "--no-compile",
      "--no-cache-dir",
      "--no-warn-script-location",
      "--root-user-action=ignore",
    ];
    const exact = locked === undefined ? [] : ["--require-hashes", "--no-deps"];
    const { status, stdout, stderr } = await runInSandbox({
      root,
      changes: "dropped",
      network: true,
      binds: [...binds, { source: inDir, target: REQUEST }, { source: outDir, target: INSTALLED }],
      command: [
        ...["python3", "-m", "pip", "install", "--break-system-packages", "--no-input", "--quiet", ...flags, ...exact],
        ...["--report", `${REQUEST}/report.json`, "--requirement", `${REQUEST}/requirements.txt`],
      ],
      environment: {
        ...variables,
        HOME: "/root",
        LC_ALL: "C.UTF-8",
        PYTHONHASHSEED: "0",
        SOURCE_DATE_EPOCH: "1577836800",
        PIP_DISABLE_PIP_VERSION_CHECK: "1",
      },
      workingDirectory: "/tmp",
      code: "E-REQUIREMENTS",
      scratchDir: join(cacheDir, "scratch"),
      signal,
    });
    if (status !== 0) throw failInstall(`${stdout}\n${stderr}`);
    const lines = lockFromReport(JSON.parse(await readFile(join(inDir, "report.json"), "utf8")));
    await compile(root, outDir, request);
    return renderLock(requirements, lines);
  } finally {
    await rm(inDir, { recursive: true, force: true });
  }
}

/** Byte code that does not depend on times (PEP 552): the program's user cannot write it, and without it every start would compile again. */
async function compile(root: string, outDir: string, { cacheDir, signal }: RequirementsRequest): Promise<void> {
  const { status, stderr } = await runInSandbox({
    root,
    changes: "dropped",
    network: false,
    binds: [{ source: outDir, target: INSTALLED }],
    // Files that do not compile (templates, other versions' syntax) are no failure: Python ignores them as well.
    command: [
      "/bin/sh",
      "-c",
      `python3 -B -m compileall -q -f --invalidation-mode unchecked-hash -s ${INSTALLED} -p / ${INSTALLED} > /dev/null || [ $? = 1 ]`,
    ],
    environment: { LC_ALL: "C.UTF-8", PYTHONHASHSEED: "0" },
    workingDirectory: "/tmp",
    code: "E-REQUIREMENTS",
    scratchDir: join(cacheDir, "scratch"),
    signal,
  });
  if (status !== 0) throw new ImageError("E-REQUIREMENTS", `the requirements cannot be compiled:\n${lastLines(stderr)}`);
}

const LAYER_OPTIONS = { level: 9 } as const;

const keyOf = (base: DebianBase, requirements: Requirements, locked: readonly string[] | undefined): string =>
  cacheKey(["requirements", base.key, requirements.digest, locked ?? null, LAYER_OPTIONS]);

/** Installs the requirements in a sandbox and packs what was installed; without change of requirements, lock and base nothing is done. */
export async function obtainRequirementsLayer(request: RequirementsRequest): Promise<RequirementsLayer> {
  const { cacheDir, repository, base, requirements } = request;
  const locked = readLock(request.lock, requirements);
  const key = keyOf(base, requirements, locked);
  const layers = join(cacheDir, "layers");
  const lockFile = join(layers, `${key}.lock`);
  const directory = join(cacheDir, "roots", `installed-${key}`);
  const { layer, cached } = await obtainLayer(cacheDir, repository, key, LAYER_OPTIONS, async () => {
    await mkdir(layers, { recursive: true });
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    await writeWhole(lockFile, await install(request, directory));
    const entries = (await readLayerEntries(directory)).filter(({ path }) => /^\/usr(?:\/|$)/.test(path));
    return protectExecutables(entries);
  });
  const lock = await readFile(lockFile, "utf8");
  if (!cached && locked === undefined) await rememberUnderLock(request, key, lock);
  return { layer, cached, lock, directory };
}

/** The next build brings the lock that this one wrote: the same versions, hence the same layer, and no work. */
async function rememberUnderLock({ cacheDir, base, requirements }: RequirementsRequest, key: string, lock: string): Promise<void> {
  const other = keyOf(base, requirements, readLock(lock, requirements));
  await aliasLayer(cacheDir, key, other);
  await copyFile(join(cacheDir, "layers", `${key}.lock`), join(cacheDir, "layers", `${other}.lock`));
  const link = join(cacheDir, "roots", `installed-${other}`);
  await rm(link, { recursive: true, force: true });
  await symlink(`installed-${key}`, link);
}
