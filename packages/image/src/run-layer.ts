import { createHash } from "node:crypto";
import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ListedFile, measureRegion, type TreeEntry } from "@vouchsafe/fileshield";
import { digestCopies } from "./code-layer.ts";
import { protectExecutables } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import type { Layer, LayerEntry } from "./layer.ts";
import { cacheKey, obtainLayer } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import type { BuildPlan } from "./plan.ts";
import { isEncryptedByRule } from "./protection.ts";
import { lastLines, runCommand } from "./run-command.ts";
import { runInSandbox } from "./sandbox.ts";

export interface RunRequest {
  readonly cacheDir: string;
  readonly repository: LocalRepository;
  /** The base on disk; not changed. */
  readonly root: string;
  /** Installed requirements on disk. */
  readonly installed: string | undefined;
  readonly plan: BuildPlan;
  readonly copies: readonly TreeEntry[];
  /** What else the outcome depends on. */
  readonly inputs: unknown;
  readonly signal?: AbortSignal | undefined;
}

export interface RunLayer {
  /** What the steps changed outside of the copied files. */
  readonly layer: Layer;
  /** The copied files after the steps. */
  readonly copies: readonly TreeEntry[];
  readonly cached: boolean;
}

const NOT_RECORDED = /^\/(?:dev|proc|sys|tmp|run|vouchsafe-out)(?:\/|$)/;
const WHOLE = { path: "/", protection: "authenticated" } as const;

const describe = (file: ListedFile): string => (file.kind === "link" ? `> ${file.target}` : `${file.mode} ${file.digest.toHex()}`);

async function writeTree(root: string, entries: readonly TreeEntry[]): Promise<void> {
  for (const entry of entries) {
    const path = join(root, entry.path);
    await mkdir(dirname(path), { recursive: true });
    if (entry.kind === "directory") await mkdir(path, { recursive: true });
    else if (entry.kind === "link") await symlink(entry.target, path);
    else {
      await writeFile(path, entry.bytes);
      await chmod(path, entry.mode);
    }
  }
}

async function readBack(root: string, file: ListedFile): Promise<TreeEntry> {
  if (file.kind === "link") return file;
  return { kind: "file", path: file.path, mode: (file.mode & 0o111) === 0 ? 0o644 : 0o755, bytes: await readFile(join(root, file.path)) };
}

/**
 * Runs `build.run`, one step after the other, as root in a copy of the image so far (MF-54), and sorts out what changed: files at the place of
 * copied ones, in the working directory and in \`dirs\` are code, everything else is a layer. Throws E-RUN with step, status and the last lines.
 */
export async function obtainRunLayer(request: RunRequest): Promise<RunLayer> {
  const { cacheDir, repository, plan, copies, signal } = request;
  const scratch = await mkdtemp(join(cacheDir, "run-"));
  const root = join(scratch, "root");
  try {
    const copyTree = async (source: string) => {
      const { status, stderr } = await runCommand("cp", ["-a", "--reflink=auto", `${source}/.`, root], "E-RUN", {
        environment: { PATH: process.env["PATH"] },
        signal,
      });
      if (status !== 0) throw new ImageError("E-RUN", `the image so far cannot be copied: ${lastLines(stderr)}`);
    };
    await mkdir(root);
    await copyTree(request.root);
    if (request.installed !== undefined) await copyTree(request.installed);
    await mkdir(join(root, plan.workingDirectory), { recursive: true });
    await writeTree(root, copies);
    const before = new Map(measureRegion(root, WHOLE, []).map((file) => [file.path, describe(file)]));
    for (const [index, script] of plan.run.entries()) await runStep(index, script, root, request);
    const after = measureRegion(root, WHOLE, []).filter(({ path }) => !NOT_RECORDED.test(path));
    const inside = plan.workingDirectory === "/" ? undefined : `${plan.workingDirectory}/`;
    const copied = new Set(copies.map(({ path }) => path));
    const isCode = (path: string) => copied.has(path) || (inside !== undefined && path.startsWith(inside)) || isEncryptedByRule(plan, path);
    const code = await Promise.all(after.filter(({ path }) => isCode(path)).map((file) => readBack(root, file)));
    const changed = after.filter((file) => !isCode(file.path) && before.get(file.path) !== describe(file));
    const present = new Set(after.map(({ path }) => path));
    const removed = [...before.keys()].filter((path) => !present.has(path) && !NOT_RECORDED.test(path) && !copied.has(path));
    const key = cacheKey([
      "run",
      request.inputs,
      plan.run,
      digestCopies(copies),
      createHash("sha256")
        .update(changed.map((file) => `${file.path} ${describe(file)}`).join("\n"))
        .digest("hex"),
      removed,
    ]);
    const { layer, cached } = await obtainLayer(cacheDir, repository, key, { level: 12 }, async () => [
      ...(await protectExecutables(await Promise.all(changed.map((file) => toLayerEntry(root, file))))),
      ...removed.map((path): LayerEntry => ({ kind: "whiteout", path })),
    ]);
    return { layer, copies: [...copies.filter(({ kind }) => kind === "directory"), ...code], cached };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function toLayerEntry(root: string, file: ListedFile): Promise<LayerEntry> {
  if (file.kind === "link") return file;
  const { mode } = await lstat(join(root, file.path));
  // Read now: the scratch directory is gone when a cached layer is asked for again.
  return { kind: "file", path: file.path, mode: mode & 0o777, content: await readFile(join(root, file.path)) };
}

async function runStep(index: number, script: string, root: string, { cacheDir, plan, signal }: RunRequest): Promise<void> {
  const { status, stdout, stderr } = await runInSandbox({
    root,
    changes: "kept",
    network: true,
    binds: [{ source: "/etc/resolv.conf", target: "/etc/resolv.conf" }],
    command: ["/bin/sh", "-c", script],
    environment: { HOME: "/root", LC_ALL: "C.UTF-8", SOURCE_DATE_EPOCH: "1577836800", PYTHONHASHSEED: "0" },
    workingDirectory: plan.workingDirectory,
    code: "E-RUN",
    scratchDir: join(cacheDir, "scratch"),
    signal,
  });
  if (status === 0) return;
  throw new ImageError("E-RUN", `step ${index + 1} of run ended with exit status ${status}:\n${lastLines(`${stdout}\n${stderr}`)}`, {
    field: `build.run[${index}]`,
    remedy: "Commands run with /bin/sh as root in the image, after copy and requirements.",
  });
}
