import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A small file system in memory, in a mount namespace of its own: what the test does to it, nothing else on this machine sees. */
export interface PrivateMount {
  /** Where a process started through `wrapper` finds it. */
  readonly path: string;
  /** Words before a command that shall see it. */
  readonly wrapper: readonly string[];
  /** Where this process finds a file of it. */
  asSeenHere(path: string): string;
  /** Runs `mount -o remount,OPTIONS`. */
  remount(options: string): void;
}

/** Mounts a tmpfs with these options (`size=2m`), also for an ordinary user; it is gone with the test. */
export async function mountPrivately(t: TestContext, options: string): Promise<PrivateMount> {
  const path = mkdtempSync(join(tmpdir(), "vouchsafe-mount-"));
  const script = 'mount -t tmpfs -o "$1,mode=0700" tmpfs "$2" && echo ready && exec cat';
  const words = ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", options, path];
  const holder = spawn("unshare", words, { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => {
    holder.stdin.end();
    holder.kill("SIGKILL");
    rmSync(path, { recursive: true, force: true });
  });
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once("data", () => resolve());
    holder.once("exit", (code) => reject(new Error(`a file system cannot be mounted in a namespace: exit ${code}`)));
  });
  const pid = String(holder.pid);
  const wrapper = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", pid];
  return {
    path,
    wrapper,
    asSeenHere: (file) => join("/proc", pid, "root", file),
    remount: (more) => {
      const [program = "", ...rest] = [...wrapper, "mount", "-o", `remount,${more}`, path];
      const { status, stderr } = spawnSync(program, rest, { encoding: "utf8" });
      if (status !== 0) throw new Error(`mount: ${stderr}`);
    },
  };
}
