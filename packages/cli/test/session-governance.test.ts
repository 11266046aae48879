import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type TestContext, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";

const CODE = "9f0c2e6ab1d47835".repeat(4);
const MORE = "41d7e09c5b62a8f3".repeat(4);

/** A home with its own CAS, stopped and removed afterwards, and the key hash of its client. */
async function withCas(t: TestContext) {
  const place = new CliWorkplace();
  t.after(async () => {
    await place.run("vouchsafe", ["cas", "stop"]);
    place[Symbol.dispose]();
  });
  assert.equal((await place.run("vouchsafe", ["cas", "start"])).code, 0);
  const run = async (argv: readonly string[], input?: string) => place.run("vouchsafe", argv, input === undefined ? {} : { input });
  const ok = async (argv: readonly string[], input?: string) => {
    const { code, out, err } = await run(argv, input);
    assert.equal(code, 0, `${argv.join(" ")}: ${err}`);
    return { out: out.trimEnd(), err };
  };
  const self = (await ok(["self", "show-key-hash"])).out;
  return { place, run, ok, self };
}

test("extension supplied_by, roles: secrets are set from standard input, never from the command line, and patched services are admitted", async (t) => {
  const { place, run, ok, self } = await withCas(t);
  place.write(
    "shop.yml",
    `version: "0.3"
name: shop
services:
  - {name: api, command: x, pwd: /, max_activations: 3, environment: {P: "$$SCONE::smtp$$"}, attestation: {mrenclave: ${CODE}}}
secrets:
  - {name: smtp, kind: ascii, supplied_by: CREATOR}
  - {name: bytes, kind: binary, supplied_by: CREATOR}
roles:
  - {name: all, members: [${self}], may: [{add_mrenclave: [api]}, {read_secret: [smtp, bytes]}]}
`,
  );
  await ok(["session", "create", "shop.yml"]);
  assert.match((await ok(["session", "secret", "list", "shop"])).out, /^smtp \(ascii\): missing; you may set it, you may read it$/m);
  assert.equal((await run(["session", "secret", "set", "shop", "smtp"], "")).code, 1, "an empty value");
  assert.equal((await run(["session", "secret", "set", "shop", "smtp", "c4n4ry"])).code, 2, "no value on the command line");
  const set = await ok(["session", "secret", "set", "shop", "smtp"], "c4n4ry\n");
  assert.deepEqual([set.out, set.err.includes("c4n4ry")], ["", false]);
  assert.equal((await ok(["session", "secret", "read", "shop", "smtp"])).out, "c4n4ry");
  place.write("value.bin", "\u0001\u0002\u0003");
  await ok(["session", "secret", "set", "shop", "bytes", "--raw", "--file", "value.bin"]);
  assert.equal((await ok(["session", "secret", "read", "shop", "bytes", "--format", "hex"])).out, "010203");
  const wrong = await run(["session", "secret", "set", "shop", "bytes"], "c4n4ry");
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /Caused by: .*not all hexadecimal/);
  assert.equal(wrong.err.includes("c4n4ry"), false);

  const { out: hash } = await ok(["session", "patch", "shop", "--add-mrenclave", `api=${MORE}`]);
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.match((await ok(["session", "read", "shop"])).out, new RegExp(MORE));
  const again = await run(["session", "patch", "shop", "--add-mrenclave", `api=${MORE}`]);
  assert.match(again.err, /Caused by: .*these measurements already/);
  assert.equal((await ok(["session", "activations", "shop"])).out, "api: started 0 of 3, running 0");
});

test("§12: an update waits, is shown, compared and approved, with the own key and with one of another tool", async (t) => {
  const { place, run, ok } = await withCas(t);
  const own = (await ok(["self", "show-session-signing-key"])).out;
  execFileSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", place.path("other.pem")]);
  execFileSync("openssl", ["pkey", "-in", place.path("other.pem"), "-pubout", "-out", place.path("other.pub")]);
  const other = execFileSync("cat", [place.path("other.pub")]).toString();
  const policy = (more: string) => `version: "0.3"
name: board
access_policy:
  update: [{require-all: [CREATOR, {signer: ${JSON.stringify(own)}}, {signer: ${JSON.stringify(other)}}]}]
update_proposals: {enabled: true}
${more}`;
  place.write("board.yml", policy(""));
  const { out: before } = await ok(["session", "create", "board.yml"]);
  place.write("board.yml", policy("salt: 00112233445566778899aabbccddeeff"));
  const update = await run(["session", "update", "board.yml"]);
  assert.equal(update.code, 3, update.err);
  assert.match(
    update.err,
    /session board is not updated: the update waits as a proposal until .*\nhelp: Let the others approve it|all of 3 \(1 satisfied\)/s,
  );
  const hash = update.out.trimEnd();
  assert.match((await ok(["session", "proposal", "list", "board"])).out, new RegExp(`^${hash} pending`));
  assert.match((await ok(["session", "proposal", "show", "board", hash])).out, /salt: 00112233445566778899aabbccddeeff/);
  await ok(["session", "proposal", "diff", "board", hash]);
  assert.match((await ok(["session", "proposal", "approve", "board", hash])).out, /^pending\n/);
  await ok(["session", "proposal", "approve", "board", hash, "--message-to-be-signed", "message"]);
  execFileSync("openssl", [
    "pkeyutl",
    "-sign",
    "-rawin",
    "-inkey",
    place.path("other.pem"),
    "-in",
    place.path("message"),
    "-out",
    place.path("signature"),
  ]);
  const last = await ok(["session", "proposal", "approve", "board", hash, "--signer", "other.pub", "--signature", "signature"]);
  assert.equal(last.out, "in_force");
  assert.equal(JSON.parse((await ok(["session", "read", "board", "--json"])).out).hash, hash);
  assert.notEqual(hash, before);
});
