import assert from "node:assert/strict";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import fc from "fast-check";
import { CORE_SCHEMA, load } from "js-yaml";
import { parseSession, printSession, sessionJsonSchema } from "../src/index.ts";
import { BAD_INPUTS, BAD_UPLOADS, expandInput } from "./bad-inputs.ts";
import { generatedSession } from "./generated-sessions.ts";

const validate = new Ajv2020.default({ strict: false, allErrors: true }).compile(sessionJsonSchema());
const asEditorReadsIt = (text: string) => load(text, { schema: CORE_SCHEMA });

/** Mistakes of structure, which an editor can show while one types. */
const SEEN_BY_EDITOR = [
  "B-1",
  "B-4",
  "B-12",
  "B-15",
  "B-22",
  "B-23",
  "B-24",
  "B-30",
  "B-34",
  "B-40",
  "B-42",
  "B-43",
  "B-46",
  "B-47",
  "B-49",
  "B-50",
  "B-52",
  "B-58",
  "B-62",
  "B-63",
  "B-72",
  "B-92",
  "B-96",
  "B-99",
  "B-103",
];

for (const input of BAD_INPUTS) {
  const [number, rule] = input;
  if (!SEEN_BY_EDITOR.includes(number) || rule === "SL-79" || rule === "SL-100") continue;
  test(`the schema refuses ${number} (${rule})`, () => {
    assert.equal(validate(asEditorReadsIt(expandInput(input).text)), false);
  });
}

test("the schema accepts every document the reader accepts", () => {
  for (const input of [...BAD_INPUTS.filter(([, , , severity]) => severity === "warning"), ...BAD_UPLOADS]) {
    const { text } = expandInput(input);
    const { session } = parseSession(text);
    assert(session !== undefined);
    for (const document of [text, printSession(session, { unknownCreator: "omit" })]) {
      assert(validate(asEditorReadsIt(document)), `${input[0]}: ${JSON.stringify(validate.errors?.slice(0, 4))}`);
    }
  }
});

test("the schema accepts generated documents", () => {
  fc.assert(
    fc.property(generatedSession, (document) => {
      assert(validate(document), JSON.stringify(validate.errors?.slice(0, 4)));
    }),
    { numRuns: 200 },
  );
});

test("every key has a description for hover", () => {
  const missing: string[] = [];
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== "object" || schema === null) return;
    for (const [key, value] of Object.entries(schema)) {
      if (key === "properties" && typeof value === "object" && value !== null) {
        for (const [name, field] of Object.entries(value))
          if (!("description" in Object(field)) && path !== "accessEntries") missing.push(`${path}.${name}`);
      }
      visit(value, key);
    }
  };
  const { $defs: _, ...schema } = sessionJsonSchema();
  visit(schema, "");
  assert.deepEqual(
    missing.filter((name) => !/signer|require-all/.test(name)),
    [],
  );
});
