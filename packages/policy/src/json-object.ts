/** A JSON object with exactly these keys; `fail` makes the error. Duplicate keys are refused: two readers could see two documents. */
export function readJsonObject(
  text: string,
  keys: readonly string[],
  maxBytes: number,
  fail: (detail: string) => Error,
): { readonly [key: string]: unknown } {
  if (text.length > maxBytes) throw fail(`longer than ${maxBytes} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail("not valid JSON"); // the parser's message quotes the text, which may be secret
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fail("not a JSON object");
  if (Object.keys(value).toSorted().join() !== keys.toSorted().join())
    throw fail(`other keys than ${keys.map((key) => `\`${key}\``).join(", ")}`);
  for (const key of keys) {
    if (countKey(text, key) > 1) throw fail(`key \`${key}\` occurs twice`);
  }
  return { ...value };
}

/** Occurrences of a top-level key in valid JSON: nested objects and strings are skipped. */
function countKey(text: string, key: string): number {
  let depth = 0;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    else if (character === '"') {
      const end = endOfString(text, at);
      if (depth === 1 && end - at < 200 && JSON.parse(text.slice(at, end)) === key && /^\s*:/.test(text.slice(end, end + 64))) count += 1;
      at = end - 1;
    }
  }
  return count;
}

/** Offset behind the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
