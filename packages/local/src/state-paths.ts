import { homedir } from "node:os";
import { join } from "node:path";

/** Where the local engine keeps what must survive: `${XDG_STATE_HOME:-~/.local/state}/vouchsafe`. */
export function defaultStateDir(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(environment["XDG_STATE_HOME"] || join(environment["HOME"] || homedir(), ".local", "state"), "vouchsafe");
}

/** Files of one application. `release` is a valid release name, hence a plain file name. */
export interface ApplicationPaths {
  readonly directory: string;
  readonly status: string;
  readonly order: string;
  readonly engineLog: string;
  readonly roots: string;
  readonly logs: string;
}

export function applicationPaths(stateDir: string, release: string): ApplicationPaths {
  const directory = join(applicationsDir(stateDir), release);
  return {
    directory,
    status: join(directory, "status.json"),
    order: join(directory, "order.json"),
    engineLog: join(directory, "engine.log"),
    roots: join(directory, "roots"),
    logs: join(directory, "logs"),
  };
}

export const applicationsDir = (stateDir: string): string => join(stateDir, "applications");
export const agentKeyFile = (stateDir: string): string => join(stateDir, "agent-key.pem");
/** Development root and keys of the software platform (kind `simulated`). */
export const developmentPlatformDir = (stateDir: string): string => join(stateDir, "simulated-platform");
