import type { Findings, Place } from "./diagnostic.ts";
import type { PlacedText } from "./manifest-reader.ts";

/** `{{NAME}}` in texts (MF-16 to MF-22). */
export type TextPart = string | { readonly name: string; readonly offset: number };

const NAME = /^[ \t]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)[ \t]*$/;

/** Splits a text at its placeholders. `\{{NAME}}` stands for the literal text. Findings: `E-TPL-SYNTAX`. */
export function splitPlaceholders(text: PlacedText, findings: Findings): TextPart[] {
  const parts: TextPart[] = [];
  let literal = "";
  let at = 0;
  while (at < text.text.length) {
    const open = text.text.indexOf("{{", at);
    if (open === -1) break;
    if (open > at && text.text[open - 1] === "\\") {
      literal += `${text.text.slice(at, open - 1)}{{`;
      at = open + 2;
      continue;
    }
    const close = text.text.indexOf("}}", open + 2);
    const inside = close === -1 ? undefined : text.text.slice(open + 2, close);
    const name = inside === undefined ? undefined : NAME.exec(inside)?.[1];
    if (close === -1 || inside === undefined || name === undefined) {
      const block = inside !== undefined && /^[ \t]*[#/^>!&]/.test(inside);
      const message =
        inside === undefined
          ? "a placeholder is not closed: braces are missing"
          : block
            ? "blocks are not available here"
            : "the placeholder holds no name";
      findings.add(text.at, "E-TPL-SYNTAX", message, { expected: "only names, as in {{NAME}}", hint: "write \\{{ for two literal braces" });
      return [text.text];
    }
    literal += text.text.slice(at, open);
    if (literal !== "") parts.push(literal);
    literal = "";
    parts.push({ name, offset: open });
    at = close + 2;
  }
  literal += text.text.slice(at);
  if (literal !== "" || parts.length === 0) parts.push(literal);
  return parts;
}

/** Names that a text uses. */
export function placeholderNames(text: PlacedText, findings: Findings): string[] {
  return splitPlaceholders(text, findings).flatMap((part) => (typeof part === "string" ? [] : [part.name]));
}

/** A field that is needed before variables are known takes no placeholder (MF-18). */
export function refusePlaceholders(text: PlacedText, findings: Findings): void {
  if (text.text.includes("{{")) {
    findings.add(text.at, "E-TPL-PLACE", `${text.at.path} contains a placeholder, but variables are not available at build`, {
      expected: "a text without {{…}}",
    });
  }
}

/** A shell variable that was left unrendered in a field where `$` is never meant (MF-14). */
export function refuseShellVariables(text: PlacedText, findings: Findings): boolean {
  const variable = /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/.exec(text.text.replaceAll("$$", "\0\0"));
  if (variable === null) return false;
  findings.add(text.at, "E-VAR-SHELL", `${text.at.path} contains the shell variable ${variable[0]}`, {
    expected: "a rendered value",
    hint: "render the template first, e.g. with envsubst, or give -e NAME=VALUE or --use-env",
  });
  return true;
}

/** Replaces `$NAME` and `${NAME}` in the text of a manifest before it is parsed (MF-13). `$$` is never a variable. */
export function substituteShellVariables(
  text: string,
  variables: ReadonlyMap<string, string>,
  missing: (name: string, offset: number) => void,
): string {
  return text.replace(
    /\$\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/g,
    (found, plain: string | undefined, braced: string | undefined, offset: number) => {
      const name = plain ?? braced;
      if (name === undefined) return found;
      const value = variables.get(name);
      if (value === undefined) missing(name, offset);
      return value ?? found;
    },
  );
}

export const placeOf = (at: Place, path: string): Place => ({ ...at, path });
