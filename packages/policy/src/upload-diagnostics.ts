/** Diagnostics for rules that only a CAS or a start can check; they point into the document that was uploaded. */
import { type AccessCaller, canContribute } from "./access-evaluation.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { type FieldPath, fieldPathText, findField } from "./locate-field.ts";
import type { SessionSource } from "./parse-session.ts";
import { Reporter } from "./reporter.ts";
import type { AccessEntry } from "./session.ts";

export interface DiagnosticRequest {
  readonly severity?: "error" | "warning";
  readonly rule: string;
  /** Keys and list indices from the root. What does not exist in the document is reported at the nearest mapping around it. */
  readonly path: FieldPath;
  /** Point to the key or to the value; the value by default. */
  readonly at?: "key" | "value";
  readonly message: string;
  readonly expected?: string;
  readonly hint?: string;
}

/** A diagnostic at a place of a parsed document. */
export function diagnosticAt({ source, root }: SessionSource, request: DiagnosticRequest): Diagnostic {
  const reporter = new Reporter(source);
  const { rule, message, expected, hint } = request;
  const { key, value } = findField(root, request.path);
  const range = request.at === "key" ? key : value;
  const path = fieldPathText(request.path);
  reporter.report({ severity: request.severity ?? "error", rule, range, path, message, expected, hint });
  const [diagnostic] = reporter.diagnostics(false);
  if (diagnostic === undefined) throw new TypeError("a reporter lost its only finding");
  return diagnostic;
}

/** What a CAS said about one text of a session, at the same place of another text of it: the file that the user wrote. */
export function relocateDiagnostic(
  { severity, rule, path: words, line, column, message, expected, hint }: Omit<Diagnostic, "file" | "endLine" | "endColumn" | "hidden">,
  from: SessionSource,
  to: SessionSource,
): Diagnostic {
  const path = [...words.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([word, index]) => (index === undefined ? word : Number(index)));
  const request = { severity, rule, path, message, expected, hint };
  const there = diagnosticAt(from, { ...request, at: "key" });
  const isKey = there.line === line && there.column === column;
  return diagnosticAt(to, { ...request, at: isKey ? "key" : "value" });
}

/** SL-47. The current hash is told only to those who may know it. */
export function predecessorChanged(document: SessionSource, session: string, currentHash?: string): Diagnostic {
  const message = `session \`${session}\` changed meanwhile: the predecessor given is not the current version`;
  const expected = currentHash === undefined ? "the hash of the current version" : `\`${currentHash}\``;
  return diagnosticAt(document, {
    rule: "SL-47",
    path: ["predecessor"],
    at: "key",
    message,
    expected,
    hint: "read the session again and apply the change to it",
  });
}

/** SL-43. */
export function namespaceHashDiffers(document: SessionSource): Diagnostic {
  const message = "the parent session has another hash; nothing was created";
  return diagnosticAt(document, {
    rule: "SL-43",
    path: ["namespace_hash"],
    at: "key",
    message,
    expected: "the current hash of the parent",
  });
}

/** SL-40. */
export function namespaceMissing(document: SessionSource, parent: string): Diagnostic {
  const message = `namespace \`${parent}\` does not exist`;
  return diagnosticAt(document, { rule: "SL-40", path: ["name"], message, expected: `session \`${parent}\` to be created first` });
}

export interface ImportProblem {
  /** Index in `secrets`. */
  readonly index: number;
  /** Why there is no value, in words. */
  readonly problem: string;
  /** From another session, or from a vault. */
  readonly source: "import" | "import_akv";
}

/** SL-145, SL-151: a warning at upload; at delivery it stops the services that use the secret. */
export function importUnavailable(document: SessionSource, { index, problem, source }: ImportProblem): Diagnostic {
  const isVault = source === "import_akv";
  return diagnosticAt(document, {
    severity: "warning",
    rule: isVault ? "SL-151" : "SL-145",
    path: ["secrets", index, source, isVault ? "vault" : "session"],
    message: `${problem}: services that use it cannot start`,
    expected: isVault ? "a secret that the token of this session may read" : "an export that names this session",
  });
}

/** SL-182: an entry that hangs on a secret which somebody else holds, or which has no usable value now. */
export function accessHangsOnSecret(document: SessionSource, operation: string, secret: string, isUsable: boolean): Diagnostic {
  const message = isUsable
    ? `\`${operation}\` hangs on secret \`${secret}\`, which is kept elsewhere: losing it can lock everyone out`
    : `\`${operation}\` hangs on secret \`${secret}\`, which has no usable value now: its entry admits nobody`;
  return diagnosticAt(document, {
    severity: "warning",
    rule: "SL-182",
    path: ["access_policy", operation],
    message,
    expected: "a further entry that needs no secret",
  });
}

/** SL-183: undefined when the uploader can take part in the next update. */
export function uploaderLockedOut(document: SessionSource, rule: readonly AccessEntry[], caller: AccessCaller): Diagnostic | undefined {
  if (canContribute(rule, caller)) return undefined;
  const message = "no entry of `update` can be satisfied by you: this version is the last that you can upload";
  return diagnosticAt(document, {
    severity: "warning",
    rule: "SL-183",
    path: ["access_policy", "update"],
    message,
    expected: "an entry with your own key",
  });
}

/** SL-68. */
export function hostArgumentMissing(
  document: SessionSource,
  place: { readonly service: number; readonly argument: number },
  number: number,
  given: number,
): Diagnostic {
  const message = `host argument ${number} is required by the session, ${given} ${given === 1 ? "was" : "were"} given`;
  return diagnosticAt(document, {
    rule: "SL-68",
    path: ["services", place.service, "command", place.argument],
    message,
    expected: `${number} or more arguments`,
  });
}
