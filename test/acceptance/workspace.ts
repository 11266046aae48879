import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Less than a test may take (`scripts/test.ts`), so that it still says what its command wrote. */
const RUN_TIMEOUT_MS = 14 * 60_000;
const SHARED_CACHE = process.env["VOUCHSAFE_TEST_CACHE"] ?? join(tmpdir(), "vouchsafe-test-cache");

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A copy of the project with a home and a state directory of its own: what a user has after a clone. */
export class Workspace implements AsyncDisposable {
  readonly root: string;
  readonly home: string;
  /** Where the local engine and the CAS of this user keep their state. */
  readonly state: string;
  readonly #user: string | undefined;

  /** `user`: the name of an ordinary user of this machine to run as; without it the commands run as the caller. */
  constructor(name: string, user?: string) {
    const top = mkdtempSync(join(tmpdir(), `vouchsafe-${name}-`));
    this.#user = user;
    this.root = join(top, "clone");
    this.home = join(top, "home");
    this.state = join(this.home, ".local/state/vouchsafe");
    mkdirSync(this.home);
    const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: repository,
      encoding: "utf8",
    });
    for (const file of tracked.split("\0").filter((path) => path !== "")) {
      const target = join(this.root, file);
      const status = statSync(join(repository, file), { throwIfNoEntry: false });
      if (status === undefined) continue; // deleted in the work tree
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(join(repository, file), target);
      chmodSync(target, status.mode);
    }
    symlinkSync(join(repository, "node_modules"), join(this.root, "node_modules"));
    if (user !== undefined) {
      chmodSync(top, 0o755);
      execFileSync("chown", ["-R", "-h", user, this.root, this.home]);
    }
  }

  /** Runs a command in the clone, and gives what it printed; never throws for an exit status. */
  run(
    command: string,
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string>; timeoutMs?: number } = {},
  ): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const child = this.start(command, args, options);
    const output = { stdout: "", stderr: "" };
    child.stdout?.on("data", (chunk: Buffer) => {
      output.stdout += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      output.stderr += chunk.toString();
    });
    const timeoutMs = options.timeoutMs ?? RUN_TIMEOUT_MS;
    const timer = setTimeout(() => {
      output.stderr += `\n(ended by the test after ${timeoutMs / 1000} s)\n`;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, ...output });
    });
    return promise;
  }

  start(
    command: string,
    args: readonly string[],
    { cwd = this.root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
  ): ChildProcess {
    const environment = {
      PATH: `${this.root}/packages/cli/bin:${repository}/node_modules/.bin:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
      HOME: this.home,
      LANG: "C.UTF-8",
      // What builds may share: everything in it is verified by digest, and a cold build takes minutes.
      XDG_CACHE_HOME: this.#user === undefined ? SHARED_CACHE : join(this.home, ".cache"),
      ...passedOn(),
      ...env,
    };
    if (this.#user === undefined) return spawn(command, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const inside = ["-u", this.#user, "--", "env", "-i", `--chdir=${cwd}`, ...assignments, command, ...args];
    return spawn("runuser", inside, { cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  }

  vouchsafe(...args: string[]): Promise<Outcome> {
    return this.run("vouchsafe", args);
  }

  /** Stops every application and the CAS of this workspace, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.vouchsafe("down", "--all");
    rmSync(dirname(this.root), { recursive: true, force: true });
  }
}

/** Settings of the machine that say where packages come from: without them pip and npm reach no registry here. */
function passedOn(): Record<string, string> {
  const names =
    /^(PIP_|npm_config_|NODE_EXTRA_CA_CERTS$|SSL_CERT_FILE$|REQUESTS_CA_BUNDLE$|HTTPS?_PROXY$|NO_PROXY$|https?_proxy$|no_proxy$|VOUCHSAFE_TEST_)/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (names.test(name) && value !== undefined ? [[name, value]] : [])),
  );
}

/** Regular files below a directory, links not followed, whose bytes contain one of the texts, with the text found. */
export function filesContaining(directory: string, texts: readonly string[]): { file: string; text: string }[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = join(directory, entry.name);
    if (entry.isDirectory()) return filesContaining(file, texts);
    if (!entry.isFile()) return [];
    const bytes = readFileSync(file);
    return texts.filter((text) => bytes.includes(text)).map((text) => ({ file, text }));
  });
}
