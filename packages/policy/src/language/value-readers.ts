import { parseDuration } from "../duration.ts";
import { type Context, literal, type Place, quote, type Reader } from "../reader.ts";
import { componentProblem } from "../session-name.ts";

const MAX_PATH_BYTES = 4095;

/** SL-20. */
export const absolutePath: Reader<string> = literal("SL-20", "an absolute path", (text, place, context) => {
  const fail = (message: string, expected: string) => context.error(place, { rule: "SL-20", message, expected });
  if (!text.startsWith("/")) return fail(quote(text), "an absolute path");
  if (text.split("/").includes("..")) return fail(quote(text), "a path without `..`");
  if (Buffer.byteLength(text) > MAX_PATH_BYTES)
    return fail(`a path of ${Buffer.byteLength(text)} bytes`, `at most ${MAX_PATH_BYTES} bytes`);
  return text;
});

/** One component of a name (SL-37); `what` is the word for messages, e.g. `service name`. */
export function component(what: string): Reader<string> {
  return literal("SL-37", `a ${what}`, (text, place, context) => {
    if (text.includes("/")) return context.error(place, { rule: "SL-37", message: `\`/\` in a ${what}`, expected: "one component" });
    const problem = componentProblem(text);
    return problem === undefined ? text : context.error(place, problem);
  });
}

/** SL-18, in seconds. */
export const duration: Reader<number> = literal("SL-18", "a duration", (text, place, context) => {
  const reading = parseDuration(text);
  if (reading.kind === "ok") return reading.seconds;
  return context.error(place, { rule: "SL-18", message: reading.message, expected: "e.g. `90d`, `12h`, `1 year`" });
});

/** Names of volumes and images: 1–255 characters without control characters (§16, §17). */
export function label(rule: string, what: string): Reader<string> {
  return literal(rule, `a ${what}`, (text, place, context) => {
    const length = [...text].length;
    if (length < 1 || length > 255)
      return context.error(place, { rule, message: `${length} characters`, expected: `a ${what} of 1–255 characters` });
    if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) {
      return context.error(place, { rule, message: `a control character in a ${what}`, expected: "printable characters" });
    }
    return text;
  });
}

/** SL-30: names in a list are unique; `values` were read from the document. */
export function checkUnique(values: readonly { readonly name: string }[], what: string, rule: string, context: Context): void {
  const first = new Map<string, Place>();
  for (const value of values) {
    const place = nameOf(context.placeOf(value));
    const earlier = first.get(value.name);
    if (earlier === undefined) first.set(value.name, place);
    else {
      const { line, column } = context.reporter.source.position(earlier.node.start);
      const message = `${what} ${quote(value.name)} is defined twice; first at line ${line} column ${column}`;
      context.error(place, { rule, message, expected: "each name once" });
    }
  }
}

function nameOf(place: Place): Place {
  const entry = place.node.kind === "map" ? place.node.entries.get("name") : undefined;
  return entry === undefined ? place : { node: entry.value, parent: place, key: "name" };
}
