import type { CasOptions, RunningCas } from "./start-cas.ts";

/**
 * Starts a CAS in this process. The web server and the clients of databases are loaded only now: most of those who use this room ask it for a check
 * or a version, and a command should not wait for them.
 */
export async function startCas(options: CasOptions): Promise<RunningCas> {
  const { startCas: start } = await import("./start-cas.ts");
  return start(options);
}
