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
  readonly from: string;
  readonly secret: string;
  readonly to: string;
  readonly reason: "session missing" | "secret missing" | "not exported" | "hash differs" | "kind differs" | "CAS unreachable";
  /** A warning at upload, an error at delivery. */
  readonly severity: "error" | "warning";
}

/** SL-145. */
export function importUnavailable(document: SessionSource, { index, from, secret, to, reason, severity }: ImportProblem): Diagnostic {
  const what = {
    "session missing": `session \`${from}\` does not exist`,
    "secret missing": `session \`${from}\` has no secret \`${secret}\``,
    "not exported": `session \`${from}\` does not export \`${secret}\` to \`${to}\``,
    "hash differs": `session \`${from}\` has another hash than the import asks for`,
    "kind differs": `secret \`${secret}\` of session \`${from}\` has another kind`,
    "CAS unreachable": `the CAS of session \`${from}\` cannot be reached`,
  }[reason];
  const message = `${what}: services that use it cannot start`;
  return diagnosticAt(document, {
    severity,
    rule: "SL-145",
    path: ["secrets", index, "import", "session"],
    message,
    expected: "an export that names this session",
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
