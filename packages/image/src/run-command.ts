import { spawn } from "node:child_process";
import { ImageError, type ImageErrorCode } from "./image-error.ts";

const OUTPUT_MAX_BYTES = 1024 * 1024;

export interface CommandResult {
  /** Exit status; 128 and the signal's number where a signal ended it, as shells say. */
  readonly status: number;
  readonly stdout: string;
  /** At most the last 1 MiB. */
  readonly stderr: string;
}

export interface CommandOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory?: string;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Runs a program without a shell and waits for it. Throws the given code if there is no such program. */
export async function runCommand(
  program: string,
  args: readonly string[],
  code: ImageErrorCode,
  options: CommandOptions,
): Promise<CommandResult> {
  const { environment, workingDirectory, input, signal } = options;
  const child = spawn(program, [...args], {
    env: { ...environment },
    stdio: ["pipe", "pipe", "pipe"],
    ...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
    ...(signal === undefined ? {} : { signal, killSignal: "SIGKILL" as const }),
  });
  child.stdin.on("error", () => {}); // the program may end without reading its input
  child.stdin.end(input ?? "");
  const collect = (stream: NodeJS.ReadableStream) => {
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text = (text + chunk).slice(-OUTPUT_MAX_BYTES);
    });
    return () => text;
  };
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", (cause) => {
      if ("code" in cause && cause.code === "ENOENT") {
        const remedy = `Install ${program} (on Debian and Ubuntu it is there by default).`;
        reject(new ImageError(code, `the program ${program} was not found`, { cause, remedy }));
      } else reject(cause);
    });
    child.on("close", (exit, name) => resolve(exit ?? (name === null ? 1 : 128)));
  });
  return { status, stdout: stdout(), stderr: stderr() };
}

/** The last lines of a program's output, for an error message. */
export const lastLines = (text: string, count = 8): string => text.trim().split("\n").slice(-count).join("\n");
