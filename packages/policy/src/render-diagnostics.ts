import type { Diagnostic } from "./diagnostic.ts";

export interface RenderOptions {
  /** Text the diagnostics point into; without it no source lines are shown. */
  readonly source?: string | undefined;
  /** One JSON object per line (SL-2). */
  readonly json?: boolean;
  readonly colour?: boolean;
}

const RED = "\u001b[31m";
const YELLOW = "\u001b[33m";
const BOLD = "\u001b[1m";
const RESET = "\u001b[0m";
const MAX_SHOWN = 160;

/** Text (SL-1) or JSON lines (SL-2). Holds nothing secret: what is secret was masked when the diagnostic was made. */
export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  { source, json = false, colour = false }: RenderOptions = {},
): string {
  if (json) return diagnostics.map(toJsonLine).join("");
  const lines = source === undefined ? undefined : source.replace(/^\uFEFF/, "").split(/\r?\n/);
  return diagnostics.map((diagnostic) => toText(diagnostic, lines, colour)).join("");
}

function toJsonLine({ hidden: _, ...diagnostic }: Diagnostic): string {
  return `${JSON.stringify(diagnostic)}\n`;
}

function toText(diagnostic: Diagnostic, lines: readonly string[] | undefined, colour: boolean): string {
  const { severity, rule, file, path, line, column, message, expected, hint, hidden } = diagnostic;
  const [bold, tint, reset] = colour ? [BOLD, severity === "error" ? RED : YELLOW, RESET] : ["", "", ""];
  const subject = path === "" ? "" : `${path}: `;
  const allowed = expected === "" ? "" : `; expected ${expected}`;
  let text = `${bold}${file}:${line}:${column}:${reset} ${tint}${severity}[${rule}]:${reset} ${subject}${message}${allowed}\n`;
  if (lines !== undefined) text += sourceLines(lines[line - 1] ?? "", diagnostic, hidden, tint, reset);
  if (hint !== "") text += `help: ${hint}\n`;
  return text;
}

function sourceLines(
  sourceLine: string,
  { line, column, endLine, endColumn }: Diagnostic,
  hidden: boolean,
  tint: string,
  reset: string,
): string {
  if (hidden) return "  <hidden>\n";
  const characters = [...sourceLine].map((character) =>
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(character) ? "\uFFFD" : character,
  );
  // Long lines are cut around the place.
  const from = characters.length <= MAX_SHOWN ? 0 : Math.max(0, column - 1 - MAX_SHOWN / 2);
  const shown = characters.slice(from, from + MAX_SHOWN);
  const padding = characters
    .slice(from, column - 1)
    .map((character) => (character === "\t" ? "\t" : " "))
    .join("");
  const width = Math.max(
    1,
    Math.min(endLine === line ? endColumn - column : characters.length - column + 1, from + shown.length - column + 1),
  );
  return `  ${shown.join("")}\n  ${padding}${tint}${"^".repeat(width)}${reset}\n`;
}
