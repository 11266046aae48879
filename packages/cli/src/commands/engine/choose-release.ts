import type { Application } from "@vouchsafe/local";
import { CliError } from "../../cli-error.ts";

/** The release that was named, else the only one there is. */
export function chooseRelease(given: string | undefined, applications: readonly Application[]): string {
  if (given !== undefined) return given;
  const [only, ...others] = applications.map(({ status }) => status.release);
  if (only === undefined)
    throw new CliError("L-UNKNOWN", "no application runs on this machine", { remedy: "Start one with `vouchsafe up`." });
  if (others.length === 0) return only;
  throw new CliError("E-OPTION-VALUE", "several applications run on this machine", {
    remedy: `Name one with --release: ${[only, ...others].join(", ")}.`,
    isUsage: true,
  });
}
