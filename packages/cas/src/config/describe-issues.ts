import type { z } from "zod";

/** Every mistake on a line of its own, with `file:line:column` and path (C-10). */
export function describeIssues(issues: readonly z.core.$ZodIssue[], text: string, file: string): string {
  const lines = issues.flatMap((issue) => {
    const paths = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    const what = issue.code === "unrecognized_keys" ? "unknown key" : issue.message;
    return paths.map((path) => `${file}:${positionOf(text, path)}: ${path.join(".")}: ${what}`);
  });
  return lines.join("\n");
}

/** Line and column of a key: where its last word first stands as a key after its section began; good enough for a file of this size. */
function positionOf(text: string, path: readonly PropertyKey[]): string {
  const words = path.filter((part) => typeof part === "string");
  const lines = text.split("\n");
  let from = 0;
  for (const section of words.slice(0, -1)) {
    const at = lines.findIndex((line, index) => index >= from && new RegExp(`\\b${RegExp.escape(section)}\\b`).test(line));
    if (at >= 0) from = at;
  }
  const key = words.at(-1) ?? "";
  const pattern = new RegExp(`(?:^|[\\s{,."\\[])${RegExp.escape(key)}["\\s\\]]*[=:\\].]?`);
  for (let at = from; at < lines.length; at += 1) {
    const found = pattern.exec(lines[at] ?? "");
    if (found !== null) return `${at + 1}:${(lines[at] ?? "").indexOf(key, found.index) + 1}`;
  }
  return "1:1";
}
