import { KubernetesError } from "../kubernetes-error.ts";

/** One thing that was looked at, as `vouchsafe doctor` shows it. */
export interface Finding {
  readonly name: string;
  /** `warning`: works, but not as well as it could. `failed`: an application would not start. */
  readonly outcome: "ok" | "warning" | "failed";
  readonly detail: string;
  /** What to do about it; absent where nothing is to be done. */
  readonly remedy?: string;
}

export const ok = (name: string, detail: string): Finding => ({ name, outcome: "ok", detail });
export const warning = (name: string, detail: string, remedy: string): Finding => ({ name, outcome: "warning", detail, remedy });
export const failed = (name: string, detail: string, remedy: string): Finding => ({ name, outcome: "failed", detail, remedy });

/** Runs one check. A right that is missing leaves the question open, which is a warning; any other refusal of the cluster is the finding. */
export async function look(name: string, check: () => Promise<Finding | readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return [await check()].flat();
  } catch (error) {
    if (!(error instanceof KubernetesError)) throw error;
    const remedy = error.remedy ?? "See the message of the cluster.";
    const isForbidden = "status" in error && error.status === 403;
    return [isForbidden ? warning(name, `not looked at: ${error.message}`, remedy) : failed(name, error.message, remedy)];
  }
}
