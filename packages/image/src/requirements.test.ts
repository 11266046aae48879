import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRequirements, readLock } from "./requirements.ts";

test("MF-60: requirements without pins, with markers, extras, comments, hashes and no final newline are accepted", () => {
  const text =
    "Flask\nflask_restful  # REST\r\nredis[hiredis]>=5,<9 ; python_version >= '3.9'\n\n# comment\nsix==1.17.0 \\\n  --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
  const { lines } = parseRequirements(text);
  assert.equal(lines.length, 4);
  assert.equal(lines[1], "flask_restful");
});

const refused: readonly [rule: string, line: string, says: RegExp][] = [
  ["another index", "--index-url https://evil.example/simple", /options are not allowed/],
  ["a further index", "--extra-index-url=https://evil.example", /options are not allowed/],
  ["the short form", "-i https://evil.example", /options are not allowed/],
  ["local packages", "--find-links /tmp", /options are not allowed/],
  ["an untrusted host", "--trusted-host evil.example", /options are not allowed/],
  ["another file", "-r other.txt", /options are not allowed/],
  ["an editable path", "-e .", /options are not allowed/],
  ["a path upwards", "../evil", /not a requirement/],
  ["an absolute path", "/tmp/evil.whl", /not a requirement/],
  ["a file address", "evil @ file:///etc", /not a requirement/],
  ["plain HTTP", "evil @ http://evil.example/x.whl", /not a requirement/],
  ["a version control address", "git+https://evil.example/x", /not a requirement/],
  ["an option behind a requirement", "six --config-settings=x=y", /option --config-settings/],
  ["a weak hash", "six==1 --hash=md5:0123456789abcdef0123456789abcdef", /--hash=md5/],
];
for (const [rule, line, says] of refused) {
  test(`hazard G8: a requirements file with ${rule} is refused`, () => {
    assert.throws(() => parseRequirements(`flask\n${line}\n`), { code: "E-REQUIREMENTS", message: says, field: "build.requirements" });
  });
}

test("a lock is used only if it belongs to the same requirements and has nothing but pinned versions", () => {
  const requirements = parseRequirements("six");
  const line = `six==1.17.0 --hash=sha256:${"a".repeat(64)}`;
  const header = `# requirements sha256:${requirements.digest}`;
  assert.deepEqual(readLock(`${header}\n${line}\n`, requirements), [line]);
  assert.equal(readLock(`${header}\n${line}\n--index-url https://evil.example\n`, requirements), undefined);
  assert.equal(readLock(`# requirements sha256:${"0".repeat(64)}\n${line}\n`, requirements), undefined);
  assert.equal(readLock(undefined, requirements), undefined);
});
