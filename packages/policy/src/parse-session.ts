import { checkSession } from "./checks/check-session.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { prepare, sessionDocument } from "./language/session-document.ts";
import { Context, type Place } from "./reader.ts";
import type { Reporter } from "./reporter.ts";
import type { Session } from "./session.ts";
import type { SourceText } from "./source-text.ts";
import { substituteVariables, type TemplateVariables } from "./template-variables.ts";
import { readYaml, type YamlNode } from "./yaml-document.ts";

export interface ParseOptions {
  /** Name for diagnostics. */
  readonly file?: string;
  /** Replaces template variables; without it they stay (a CAS never replaces any, SL-28). */
  readonly variables?: TemplateVariables;
  /** Replaces the session's name after the variables were replaced (SL-24). */
  readonly name?: string;
}

/** A parsed document: what `diagnosticAt` needs to point into it later. */
export interface SessionSource {
  readonly source: SourceText;
  readonly root: YamlNode;
}

export interface ParsedSession {
  /** Undefined when there was an error. */
  readonly session: Session | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Undefined when the text is no YAML document. */
  readonly document: SessionSource | undefined;
}

/** Text to session: YAML, aliases, template variables, structure and types, references; an error stops before the next step (SL-6). Never throws on input. */
export function parseSession(text: string, { file = "<session>", variables, name }: ParseOptions = {}): ParsedSession {
  const { source, root: read, reporter } = readYaml(text, { file, allowedTags: ["!cas", "!akv"] });
  if (read === undefined) return { session: undefined, diagnostics: reporter.diagnostics(false, languageWords()), document: undefined };
  const failed = (root: YamlNode, structureKnown: boolean): ParsedSession => ({
    session: undefined,
    diagnostics: reporter.diagnostics(structureKnown, languageWords()),
    document: { source, root },
  });
  const root = variables === undefined ? read : substituteVariables(read, variables, reporter);
  if (reporter.errorCount > 0) return failed(root, false);
  const session = readDocument(root, name, reporter);
  if (session === undefined) return failed(root, true);
  return { session, diagnostics: reporter.diagnostics(true), document: { source, root } };
}

let words: ReadonlySet<string> | undefined;

/** Every key that the language defines. */
function languageWords(): ReadonlySet<string> {
  words ??= new Set(keysOf(sessionDocument.schema()));
  return words;
}

function keysOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(keysOf);
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) => [
    ...(name === "properties" && typeof value === "object" && value !== null ? Object.keys(value) : []),
    ...keysOf(value),
  ]);
}

function readDocument(root: YamlNode, name: string | undefined, reporter: Reporter): Session | undefined {
  const context = new Context(reporter);
  const named = name === undefined ? root : withName(root, name);
  const place: Place = { node: named, parent: undefined, key: undefined };
  if (named.kind !== "map") {
    const what = named.kind === "list" ? "list" : "scalar";
    return context.error(place, {
      rule: "SL-9",
      message: `the document root is a ${what}`,
      expected: "a mapping with `version` and `name`",
    });
  }
  prepare(place, context, name);
  const session = sessionDocument.read(place, context);
  if (session === undefined || reporter.errorCount > 0) return undefined;
  checkSession(session, context);
  return reporter.errorCount > 0 ? undefined : session;
}

function withName(root: YamlNode, name: string): YamlNode {
  const entry = root.kind === "map" ? root.entries.get("name") : undefined;
  if (root.kind !== "map" || entry === undefined || entry.value.kind !== "scalar") return root;
  const value = { ...entry.value, text: name, style: "double" as const, substituted: true };
  return { ...root, entries: new Map(root.entries).set("name", { key: entry.key, value }) };
}
