/** Promises that hold for every document, tried on generated ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type JsonValue,
  MAX_DIAGNOSTICS,
  normaliseSession,
  parseSession,
  printSession,
  renderDiagnostics,
  scanPlaceholders,
  sessionHash,
} from "../src/index.ts";
import { KEY } from "./documents.ts";
import { CANARY, generatedSession } from "./generated-sessions.ts";

const CREATOR = { kind: "certificate", keyHash: KEY, pem: undefined } as const;

test("SL-54 the hash of a document is that of its normal form, printed and read again", () => {
  fc.assert(
    fc.property(generatedSession, (document) => {
      const source = JSON.stringify(document);
      const { session: read, diagnostics } = parseSession(source);
      assert(read !== undefined, renderDiagnostics(diagnostics, { source }));
      const printed = printSession(read, { creator: CREATOR });
      const again = parseSession(printed);
      assert(again.session !== undefined, renderDiagnostics(again.diagnostics, { source: printed }));
      assert.equal(sessionHash(again.session, { creator: CREATOR }), sessionHash(read, { creator: CREATOR }));
      assert.deepEqual(normaliseSession(again.session, { creator: CREATOR }), normaliseSession(read, { creator: CREATOR }));
    }),
    { numRuns: 200 },
  );
});

function reverseKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reverseKeys(item)]),
  );
}

test("SL-22 the order of keys changes no hash", () => {
  fc.assert(
    fc.property(generatedSession, (document) => {
      const [one, other] = [document, reverseKeys(document)].map((value) => parseSession(JSON.stringify(value, undefined, 1)).session);
      assert(one !== undefined && other !== undefined);
      assert.equal(sessionHash(one, { creator: CREATOR }), sessionHash(other, { creator: CREATOR }));
    }),
    { numRuns: 100 },
  );
});

/** Reads hostile text: no exception, positions inside the text, no secret in what is printed. */
function survive(source: string): void {
  const { session: read, diagnostics } = parseSession(source, { variables: new Map() });
  assert(diagnostics.length <= MAX_DIAGNOSTICS);
  assert(read !== undefined || diagnostics.length > 0);
  const lines = source.replace(/^\uFEFF/, "").split("\n");
  for (const { line, column, endLine, endColumn } of diagnostics) {
    assert(line >= 1 && line <= lines.length && column >= 1 && column <= [...(lines[line - 1] ?? "")].length + 1, `${line}:${column}`);
    assert(endLine > line || endColumn >= column);
  }
  const printed = renderDiagnostics(diagnostics, { source }) + renderDiagnostics(diagnostics, { json: true });
  assert(!printed.includes(CANARY), printed);
}

for (const [what, source] of [
  ["a wrong escape in its key", `secrets:\n  - {name: s, kind: ascii,\n     "va\\lue": "${CANARY}"}`],
  ["a lost quote of its key", `{"secrets": [{"name": "s",\n value": "${CANARY}"`],
  ["a line break in its key", `secrets:\n  - name: s\n    kind: ascii\n    va\nlue: ${CANARY}`],
] as const) {
  test(`SL-5: a secret is not shown where ${what} breaks the document`, () => survive(source));
}

const piece = fc.constantFrom(
  "a",
  "name: t\n",
  "version: 0.3\n",
  "services:\n",
  "- ",
  "  ",
  "[",
  "]",
  "{",
  "}",
  ": ",
  ", ",
  "|\n",
  '"',
  "'",
  "&a ",
  "*a",
  "!x ",
  "#",
  "\n",
  "~",
  "$$SCONE::a",
  "$$",
  "\t",
  "---\n",
  "? ",
  "😀",
  "\\",
  "@@1",
  "%",
  "<<: ",
);

test("whatever the text, the reader answers with diagnostics inside it", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 60 }),
        fc.string({ unit: "binary", maxLength: 60 }),
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
      ),
      survive,
    ),
    { numRuns: 1500 },
  );
});

test("SL-5, hazard C9 a valid document with one change at any place is survived, and no secret is shown", () => {
  const damaged = fc.tuple(generatedSession, fc.nat(), fc.oneof(piece, fc.constant(""))).map(([document, at, insertion]) => {
    const source = JSON.stringify(document, undefined, 1);
    const offset = at % source.length;
    // The canary itself is left whole, else it could not be found.
    const start = source.lastIndexOf(CANARY, offset);
    const safe = start >= 0 && offset < start + CANARY.length ? start : offset;
    return source.slice(0, safe) + insertion + source.slice(safe + (insertion === "" ? 1 : 0));
  });
  fc.assert(
    fc.property(
      damaged.filter((source) => source.includes(CANARY)),
      survive,
    ),
    { numRuns: 500 },
  );
});

test("SL-115 the placeholder scanner covers its input from left to right, whatever it is", () => {
  const soup = fc
    .array(fc.constantFrom("$$", "$", "SCONE", "::", ":", "a", "|", "escape(json)", "\n", ".key", " "), { maxLength: 40 })
    .map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(soup, (source) => {
      let end = 0;
      for (const found of scanPlaceholders(source)) {
        assert(found.offset >= end && found.text.length > 0);
        assert.equal(source.slice(found.offset, found.offset + found.text.length), found.text);
        end = found.offset + found.text.length;
      }
    }),
  );
});

test("the scanner and the splitter are linear: megabytes take seconds at most", () => {
  const before = process.cpuUsage();
  scanPlaceholders("$$SCONE::".repeat(110_000));
  parseSession(`version: "0.3.12"\nname: t\nservices: [{name: s, pwd: /, command: "${"'a' ".repeat(200_000)}"}]`);
  const distinct = (index: number) => `          $$SCONE::p${index}.crt$$\n`;
  const file = `images:\n  - name: i\n    injection_files:\n      - path: /c\n        content: |\n${Array.from({ length: 20_000 }, (_, index) => distinct(index)).join("")}`;
  parseSession(`version: "0.3.12"\nname: t\n${file}`);
  parseSession(`a: ${'"'.repeat(500_000)}`);
  parseSession(`version: "0.3.12"\nname: t\n${Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join("")}`);
  const { user, system } = process.cpuUsage(before);
  assert((user + system) / 1000 < 3000);
});
