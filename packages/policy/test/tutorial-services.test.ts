import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession, printSession, renderDiagnostics, sessionHash } from "../src/index.ts";
import { KEY } from "./documents.ts";
import { TUTORIALS } from "./tutorial-documents.ts";

for (const { what, text, warnings = [] } of TUTORIALS) {
  test(`a tutorial's policy works: ${what}`, () => {
    const { session, diagnostics } = parseSession(text, { file: "policy.yml", variables: new Map() });
    assert(session !== undefined, renderDiagnostics(diagnostics, { source: text }));
    assert.deepEqual([...new Set(diagnostics.map(({ rule }) => rule))].sort(), warnings, renderDiagnostics(diagnostics, { source: text }));
    const creator = { kind: "certificate", keyHash: KEY, pem: undefined } as const;
    const again = parseSession(printSession(session, { creator })).session;
    assert(again !== undefined);
    assert.equal(sessionHash(again), sessionHash(session, { creator }), "printed and read again it is the same session");
  });
}
