import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sessionJsonSchema } from "../src/index.ts";
import { LanguageServer } from "./language-server.ts";

const POLICY = `version: "0.3.12"
name: shop
services:
  - name: api
    command: python3 /app/api.py
    pwd: /
    attestation:
      - mrenclave: ${"9f0c2e6ab1d47835".repeat(4)}
secrets:
  - name: key
    kind: private-key
  - name: server
    kind: x509
    private_key: key
    `;

test("the JSON Schema works in editors: the YAML language server completes, explains and underlines", { timeout: 120_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-editor-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const schema = join(directory, "session.schema.json");
  writeFileSync(schema, JSON.stringify(sessionJsonSchema()));
  await using server = await LanguageServer.start(schema);

  await server.open("policy.yml", POLICY);
  const lines = POLICY.split("\n");
  const line = (text: string) => lines.findIndex((each) => each.includes(text));
  const labels = async (at: number, character: number, name = "policy.yml") =>
    (await server.complete(name, at, character)).map(({ label }) => label);
  const inSecret = await labels(lines.length - 1, 4);
  for (const key of ["issuer", "endpoint", "san", "valid_for", "export"]) assert.ok(inSecret.includes(key), `${key} in ${inSecret}`);
  assert.equal(inSecret.includes("kind"), false, "what is there already is not offered");

  for (const [text, says] of [
    ["attestation:", /Which code is admitted/],
    ["mrenclave:", /code measurement must be one of these/],
    ["private_key:", /Name of the private key/],
  ] as const) {
    assert.match(await server.hover("policy.yml", line(text), (lines[line(text)] ?? "").indexOf(text) + 1), says);
  }

  const kinds = `version: "0.3.12"\nname: s\nsecrets:\n  - name: a\n    kind: \n`;
  await server.open("kinds.yml", kinds);
  const offered = await labels(4, 10, "kinds.yml");
  for (const kind of ["ascii", "binary", "x509-ca", "config-fragment"]) assert.ok(offered.includes(kind), `${kind} in ${offered}`);

  const top = await server.open("top.yml", 'version: "0.3.12"\nname: s\nservice: []\n');
  assert.deepEqual(
    top.map(({ range }) => range.start.line),
    [2],
  );
  assert.match(top[0]?.message ?? "", /service/);
  const slips = `version: "0.3.12"\nname: s\nsecurity:\n  attestation:\n    tolerate: [hyper-threading]\nsecrets:\n  - {name: k, kind: private-key, key_type: P256}\n`;
  const found = await server.open("slips.yml", slips);
  assert.deepEqual([...new Set(found.map(({ range }) => range.start.line))].sort(), [4, 6]);
  assert.deepEqual(await server.open("good.yml", POLICY), []);
});
