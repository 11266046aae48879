export type CommandReading =
  | { readonly kind: "ok"; readonly words: readonly string[] }
  | { readonly kind: "unclosed"; readonly quote: string };

/**
 * Splits a command string at white space (SL-56): single quotes keep everything, double quotes everything but `\"` and `\\`; quotes may start inside a word.
 * No globbing, no expansion, no backslash outside quotes.
 */
export function splitCommand(text: string): CommandReading {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === " " || character === "\t" || character === "\n") {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
    } else if (character === "'" || character === '"') {
      const quoted = readQuoted(text, at);
      if (quoted === undefined) return { kind: "unclosed", quote: character };
      word = (word ?? "") + quoted.value;
      at = quoted.end;
    } else {
      word = (word ?? "") + character;
      at += 1;
    }
  }
  if (word !== undefined) words.push(word);
  return { kind: "ok", words };
}

function readQuoted(text: string, start: number): { value: string; end: number } | undefined {
  const quote = text.charAt(start);
  let value = "";
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === quote) return { value, end: at + 1 };
    const next = text.charAt(at + 1);
    if (quote === '"' && character === "\\" && (next === '"' || next === "\\")) {
      value += next;
      at += 1;
    } else value += character;
  }
  return undefined;
}
