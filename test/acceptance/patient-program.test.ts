import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const EXAMPLE = join(import.meta.dirname, "..", "..", "examples", "patient-records");
const program = readFileSync(join(EXAMPLE, "api.py"), "utf8");
const importsOf = (source: string): string[] => [...source.matchAll(/^(?:import|from) ([a-z_]+)/gm)].map(([, name = ""]) => name);

test("PS-2 the program is ordinary Python: it names no attestation, policy, key service or platform, only files and variables", () => {
  assert.doesNotMatch(program, /attest|scone|vouchsafe|enclave|policy|evidence|\bcas\b|quote/i);
  assert.match(program, /"\/tls\/flask\.crt"/);
  assert.match(program, /os\.environ/);
});

test("PS-44 what the program imports is Python's own or in the requirements file of the build", () => {
  const required = readFileSync(join(EXAMPLE, "requirements.txt"), "utf8")
    .split("\n")
    .map((line) => /^[A-Za-z0-9_-]+/.exec(line)?.[0].toLowerCase().replaceAll("-", "_"));
  const own = ["json", "os", "random", "socket", "ssl", "sys"];
  const foreign = importsOf(program).filter((name) => !own.includes(name));
  assert.deepEqual(foreign.toSorted(), ["flask", "flask_restful", "redis"]);
  for (const name of foreign) assert.ok(required.includes(name), `${name} is not in requirements.txt`);
});

test("PS-41 the program reaches its store before it serves, and says each step", () => {
  const steps = [
    "Connecting to the store",
    "The store has the address",
    "store.info()",
    "The connection to the store is fine",
    "Starting to serve",
    "app.run(",
  ];
  const places = steps.map((step) => program.indexOf(step));
  assert.ok(
    places.every((at) => at > 0),
    places.join(),
  );
  assert.match(program, /store = connect\(\)\n\s+print\("Starting to serve"/);
});
