import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Diagnostic,
  hostArgumentMissing,
  importUnavailable,
  namespaceHashDiffers,
  namespaceMissing,
  parseSession,
  predecessorChanged,
  renderDiagnostics,
  type SessionSource,
} from "../src/index.ts";
import { BAD_INPUTS, BAD_UPLOADS, expandInput } from "./bad-inputs.ts";

function isBefore(a: Diagnostic, place: { readonly line: number; readonly column: number }): boolean {
  return a.line < place.line || (a.line === place.line && a.column < place.column);
}

for (const input of BAD_INPUTS) {
  const [number, rule, , severity = "error"] = input;
  test(`${number} ${rule}: reported where it is, and nothing before it`, () => {
    const { text, line, column } = expandInput(input);
    const { session, diagnostics } = parseSession(text, { file: "t.yaml", variables: new Map() });
    const found = diagnostics.find((one) => one.rule === rule && one.line === line && one.column === column);
    assert(found !== undefined, `expected ${rule} at ${line}:${column}, got\n${renderDiagnostics(diagnostics, { source: text })}`);
    assert.equal(found.severity, severity);
    assert.deepEqual(
      diagnostics.filter((one) => isBefore(one, { line, column })),
      [],
    );
    assert.equal(session === undefined, severity === "error");
    assert.notEqual(found.expected + found.hint, "", "a diagnostic says what is allowed");
  });
}

/** What the CAS reports for the inputs that only it can judge. */
const atUpload = new Map<string, (document: SessionSource) => Diagnostic>([
  ["B-107", (document) => predecessorChanged(document, "t")],
  ["B-108", (document) => namespaceHashDiffers(document)],
  ["B-109", (document) => namespaceMissing(document, "team")],
  ["B-110", (document) => importUnavailable(document, { index: 0, problem: "session o does not export a to t", source: "import" })],
  ["B-111", (document) => hostArgumentMissing(document, { service: 0, argument: 1 }, 2, 1)],
]);

for (const input of BAD_UPLOADS) {
  const [number, rule] = input;
  test(`${number} ${rule}: accepted by check, reported at its place by the CAS`, () => {
    const { text, line, column } = expandInput(input);
    const { session, document, diagnostics } = parseSession(text);
    assert(session !== undefined && document !== undefined, renderDiagnostics(diagnostics, { source: text }));
    const found = atUpload.get(number)?.(document);
    assert.deepEqual([found?.rule, found?.line, found?.column], [rule, line, column]);
  });
}
