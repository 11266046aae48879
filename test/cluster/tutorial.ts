import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ROOT } from "./cluster.ts";

export interface Outcome {
  readonly status: number | null;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

/** Who does not wait for a script's end. */
export interface Watcher {
  /** An abort ends the script. */
  readonly signal: AbortSignal;
  readonly onOutput: (text: string) => void;
}

/** What a script wrote that ended well. */
export const succeeded = ({ status, output }: Outcome): string => {
  assert.equal(status, 0, output);
  return output;
};

/** A tutorial's folder as a user has it after a clone, with a home of its own. */
export interface Tutorial {
  readonly directory: string;
  /** Runs `./run.sh` with arguments and exported variables; `undefined` takes a variable away. */
  readonly runScript: (args: readonly string[], variables?: NodeJS.ProcessEnv, watcher?: Watcher) => Promise<Outcome>;
  /** Forgets what earlier runs left. */
  readonly forget: (...names: readonly ("release.sh" | "target")[]) => Promise<void>;
}

/** Copies the scripts of a tutorial below `place`. `path`: directories in front of the PATH. */
export async function openTutorial(
  name: string,
  place: string,
  environment: NodeJS.ProcessEnv,
  ...path: readonly string[]
): Promise<Tutorial> {
  const directory = join(place, `tutorial-${name}`);
  const home = join(place, "home");
  await mkdir(home, { recursive: true });
  await cp(join(ROOT, "test/cluster/tutorials", name), directory, { recursive: true });
  const base: NodeJS.ProcessEnv = {
    ...environment,
    HOME: home,
    // Built images and their signing key are those of the user who published the platform.
    XDG_CACHE_HOME: environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
    XDG_STATE_HOME: environment["XDG_STATE_HOME"] ?? join(homedir(), ".local/state"),
    PATH: [...path, environment["PATH"]].join(delimiter),
  };
  return {
    directory,
    runScript: (args, variables = {}, watcher) =>
      new Promise((resolve, reject) => {
        const child = spawn(join(directory, "run.sh"), args, { cwd: directory, env: { ...base, ...variables }, detached: true });
        // With all that it started: it may be waiting for one of them.
        watcher?.signal.addEventListener("abort", () => child.pid !== undefined && process.kill(-child.pid));
        const chunks: Buffer[] = [];
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => {
            chunks.push(chunk);
            watcher?.onOutput(chunk.toString());
          });
        child.once("error", reject);
        child.once("close", (status) => resolve({ status, output: Buffer.concat(chunks).toString() }));
      }),
    forget: async (...names) => {
      for (const each of names) await rm(join(directory, each), { recursive: true, force: true });
    },
  };
}
