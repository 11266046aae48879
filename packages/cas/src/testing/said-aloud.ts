import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestCas } from "./test-cas.ts";

/** Owner configuration under which every entry of the audit log also goes to a file. */
export const AUDITED = { config: '[audit_log]\nmode = "unsigned"\n' };

/** The audit log as its file has it; needs {@link AUDITED}. */
export function auditedLines(cas: TestCas): string {
  return readFileSync(join(cas.directory, "audit", "cas_audit.log"), "utf8");
}

/** Everything that this CAS has written where others may read it: console, audit log, and its files as they lie on disk. */
export function saidAloud(cas: TestCas): string {
  const files = readdirSync(cas.directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const contents = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1"));
  return [...cas.lines, ...contents].join("\n");
}
