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

/** How a text may look where it should not be: as it is, hex in either case, UTF-16, percent-escaped, base64 and base64url at each alignment. */
export function disguises(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const hex = bytes.toString("hex");
  const escaped = [...bytes].map((byte) => `%${byte.toString(16)}`).join("");
  const base64 = [0, 1, 2].flatMap((shift) => {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]);
    // The first and last characters depend on what stands beside.
    return (["base64", "base64url"] as const).map((encoding) => shifted.toString(encoding).slice(shift === 0 ? 0 : 4, -4));
  });
  return [text, hex, hex.toUpperCase(), Buffer.from(text, "utf16le").toString("latin1"), escaped, ...base64];
}
