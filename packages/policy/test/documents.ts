import assert from "node:assert/strict";
import { type Diagnostic, type ParsedSession, parseSession as parse, renderDiagnostics, type Session } from "../src/index.ts";

export const A = "9f0c2e6ab1d47835".repeat(4);
export const B = "41d7e09c5b62a8f3".repeat(4);
export const TAG = "7b20d9e45ac1f386".repeat(2);
export const KEY = "4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q";
export const SERVICE = `name: s, command: x, pwd: /, attestation: {mrenclave: ${A}}`;

function parseSession(text: string): ParsedSession {
  return parse(text, { file: "t.yaml" });
}

/** A document with version and name before `body`. */
export function documentOf(body: string): string {
  return /^(?:version|name):/m.test(body) ? body : `version: "0.3.12"\nname: t\n${body}`;
}

/** The session of a document that must be valid. */
export function accepted(body: string): Session {
  const text = documentOf(body);
  const { session, diagnostics } = parseSession(text);
  assert(session !== undefined, renderDiagnostics(diagnostics, { source: text }));
  return session;
}

export function diagnosticsOf(body: string): readonly Diagnostic[] {
  return parseSession(documentOf(body)).diagnostics;
}

/** The document must be refused, by this rule. */
export function refusedBy(rule: string, body: string): Diagnostic {
  const text = documentOf(body);
  const { session, diagnostics } = parseSession(text);
  const shown = renderDiagnostics(diagnostics, { source: text });
  assert.equal(session, undefined, `accepted: ${body.slice(0, 200)}`);
  const found = diagnostics.find((one) => one.rule === rule && one.severity === "error");
  assert(found !== undefined, `not refused by ${rule}:\n${shown}`);
  return found;
}

/** The document must be accepted with a warning of this rule. */
export function warnedBy(rule: string, body: string): Diagnostic {
  accepted(body);
  const found = diagnosticsOf(body).find((one) => one.rule === rule && one.severity === "warning");
  assert(found !== undefined, `no warning ${rule}: ${JSON.stringify(diagnosticsOf(body))}`);
  return found;
}

/** Accepted without any diagnostic. */
export function clean(body: string): Session {
  assert.deepEqual(diagnosticsOf(body), []);
  return accepted(body);
}
