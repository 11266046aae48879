import { formatCasAddress, RefusedError } from "@vouchsafe/protocol";
import type { RuntimeSettings } from "./settings.ts";

/** One line of the launcher's own log. Never a secret, a value of the policy's environment or a file's content (PS-46). */
export function log(line: string): void {
  process.stderr.write(`vouchsafe: ${line}\n`);
}

/** What went wrong, from general to specific, then where the answer came from (C-44, PS-47). */
export function explainFailure(error: unknown, settings: RuntimeSettings | undefined): string[] {
  const lines: string[] = [];
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    lines.push(`${depth === 0 ? "error" : "caused by"}: ${at.message}`);
    if (at instanceof RefusedError) lines.push(...at.refusal.causes.map((cause) => `  - ${cause}`));
    if (depth === 0 && "remedy" in at && typeof at.remedy === "string") lines.push(`help: ${at.remedy}`);
  }
  if (lines.length === 0) lines.push(`error: ${String(error)}`);
  if (settings !== undefined) lines.push(`CAS ${formatCasAddress(settings.cas)}, service ${settings.serviceId.replace(/@.*/s, "@…")}`);
  return lines;
}
