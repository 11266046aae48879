/** Session names, components and relative references (§5, SL-139, SL-140). */

export interface NameProblem {
  readonly rule: "SL-37" | "SL-38" | "SL-140";
  readonly message: string;
  readonly expected: string;
}

const MAX_NAME = 512;
const MAX_COMPONENT = 128;
const ALPHABET = "A–Z a–z 0–9 _ - . ~";

/** What is wrong with one component, for instance a service name. */
export function componentProblem(component: string): NameProblem | undefined {
  if (component === "") return { rule: "SL-38", message: "an empty component", expected: `1–${MAX_COMPONENT} characters of ${ALPHABET}` };
  const bad = /[^A-Za-z0-9_.~-]/u.exec(component)?.[0];
  if (bad !== undefined) {
    const code = (bad.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    const shown = /^[\u0000-\u001f\u007f-\u009f]$/.test(bad) ? "" : `\`${bad}\` `;
    return { rule: "SL-37", message: `character ${shown}(U+${code}) in component \`${printable(component)}\``, expected: ALPHABET };
  }
  if (component.length > MAX_COMPONENT) {
    return { rule: "SL-37", message: `component of ${component.length} characters`, expected: `at most ${MAX_COMPONENT}` };
  }
  if (component === "." || component === "..") {
    return { rule: "SL-38", message: `component \`${component}\``, expected: "a name; relative names are only allowed in references" };
  }
  return undefined;
}

/** What is wrong with an absolute session name. `/` is the root namespace. */
export function sessionNameProblem(name: string): NameProblem | undefined {
  if (name === "/") return undefined;
  if (name === "") return { rule: "SL-37", message: "an empty name", expected: `components of ${ALPHABET} joined by \`/\`` };
  if (name.length > MAX_NAME) return { rule: "SL-37", message: `name of ${name.length} characters`, expected: `at most ${MAX_NAME}` };
  const trimmed = printable(name.replace(/^\/+|\/+$/g, ""));
  if (name.startsWith("/")) return { rule: "SL-38", message: "leading `/`", expected: `\`${trimmed}\`` };
  if (name.endsWith("/")) return { rule: "SL-38", message: "trailing `/`", expected: `\`${trimmed}\`` };
  for (const component of name.split("/")) {
    const problem = componentProblem(component);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function printable(text: string): string {
  return text.slice(0, 80).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

export function isRelativeName(name: string): boolean {
  return /^\.{1,2}(?:\/|$)/.test(name);
}

/** Absolute name of a reference that occurs in session `current`; names without `./` or `../` are absolute already. */
export function resolveSessionName(name: string, current: string): { readonly name: string } | NameProblem {
  if (!isRelativeName(name)) return sessionNameProblem(name) ?? { name };
  const path = current === "/" ? [] : current.split("/");
  for (const part of name.split("/")) {
    if (part === ".") continue;
    if (part !== "..") {
      const problem = componentProblem(part);
      if (problem !== undefined) return problem;
      path.push(part);
      continue;
    }
    if (path.length === 0) {
      return {
        rule: "SL-140",
        message: `\`${printable(name)}\` leaves the root namespace (session \`${current}\`)`,
        expected: "fewer `..`",
      };
    }
    path.pop();
  }
  const absolute = path.length === 0 ? "/" : path.join("/");
  return sessionNameProblem(absolute) ?? { name: absolute };
}

/** Name of the namespace a session lives in: its direct parent, `/` for top-level sessions (SL-40, SL-41). */
export function parentOf(name: string): string {
  const slash = name.lastIndexOf("/");
  return slash <= 0 ? "/" : name.slice(0, slash);
}

/** True for `ancestor` itself and everything nested in it. */
export function isWithin(name: string, ancestor: string): boolean {
  return ancestor === "/" || name === ancestor || name.startsWith(`${ancestor}/`);
}
