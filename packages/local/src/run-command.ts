import { spawn } from "node:child_process";
import { LocalError } from "./local-error.ts";

const PACKAGES: Readonly<Record<string, string>> = { ip: "iproute2", nsenter: "util-linux", newuidmap: "uidmap", newgidmap: "uidmap" };
/** Not every user has the administrator's directories in the search path. */
export const TOOL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Runs a system tool and waits for it. Throws L-TOOL with what it said. */
export async function runTool(program: string, args: readonly string[], input = ""): Promise<void> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], env: { PATH: TOOL_PATH } });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4096);
  });
  child.stdin.on("error", () => {}); // a tool that failed early reads nothing
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (cause) =>
      reject(
        new LocalError("L-TOOL", `${program} cannot be run`, {
          cause,
          remedy: `Install the Debian package ${PACKAGES[program] ?? program}.`,
        }),
      ),
    );
  });
  if (status !== 0) throw new LocalError("L-TOOL", `${program} ${args[0] ?? ""} failed: ${errors.trim().split("\n").at(-1) ?? ""}`);
}
