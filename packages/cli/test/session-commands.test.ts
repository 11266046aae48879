import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";

const CODE = "9f0c2e6ab1d47835".repeat(4);
const POLICY = `version: "0.3.12"
name: $APP
services:
  - name: api
    command: python3 /app/api.py
    pwd: /
    environment: {PW: "$$SCONE::pw$$"}
    attestation: {mrenclave: ${CODE}}
secrets:
  - {name: pw, kind: ascii}
`;
const SHOP = ["-e", "APP=shop"];

/** A home with its own CAS, stopped and removed afterwards. */
async function withCas(t: TestContext, files: Record<string, string> = {}): Promise<CliWorkplace> {
  const place = new CliWorkplace({ "p.yml": POLICY, ...files });
  t.after(async () => {
    await place.run("vouchsafe", ["cas", "stop"]);
    place[Symbol.dispose]();
  });
  const started = await place.run("vouchsafe", ["cas", "start"]);
  assert.equal(started.code, 0, started.err);
  return place;
}

test("SL-8, SL-24, SL-25, SL-76, C-32 session check and calculate-hash need no CAS, and say what is wrong where", async () => {
  using place = new CliWorkplace({ "p.yml": POLICY, "w.yml": POLICY.replace("kind: ascii", "kind: ascii, export: {session: other}") });
  const run = (...argv: string[]) => place.run("vouchsafe", argv);
  const missing = await run("session", "check", "p.yml");
  assert.deepEqual([missing.code, missing.out], [1, ""]);
  assert.match(missing.err, /^p\.yml:2:7: error\[SL-25\]: name: variable \$APP has no value; expected -e APP=… or --use-env\n/);
  const checked = await run("session", "check", "--explain", ...SHOP, "p.yml");
  assert.equal(checked.code, 0);
  assert.match(checked.out, /^version: 0\.3\.12\nname: shop\n/);
  assert.equal(checked.err, "service api admits: mrenclave 9f0c2e6a…\n");
  const fromEnvironment = await place.run("vouchsafe", ["session", "check", "--use-env", "-"], {
    environment: { APP: "shop" },
    input: POLICY,
  });
  assert.equal(fromEnvironment.out, checked.out);
  assert.match((await run("session", "check", "-n", "other", ...SHOP, "p.yml")).out, /name: other/);
  const warned = await run("session", "check", "--fail-on-warning", ...SHOP, "w.yml");
  assert.deepEqual([warned.code, warned.out], [3, ""]);
  const diagnostics = (await run("session", "check", "--json", ...SHOP, "w.yml")).out.trim().split("\n");
  assert.deepEqual(
    diagnostics.map((line) => [JSON.parse(line).severity, JSON.parse(line).rule, JSON.parse(line).line]),
    [["warning", "SL-143", 10]],
  );
  const written = await run("session", "check", ...SHOP, "-o", "out.yml", "p.yml");
  assert.deepEqual([written.code, written.out], [0, ""]);
  assert.equal(readFileSync(place.path("out.yml"), "utf8"), checked.out);
  const unknown = await run("session", "calculate-hash", ...SHOP, "p.yml");
  assert.match(unknown.err, /refers to CREATOR[\s\S]*--with-self-as-creator tls/);
  assert.match((await run("session", "calculate-hash", ...SHOP, "--with-self-as-creator", "tls", "p.yml")).out, /^[0-9a-f]{64}\n$/);
  for (const [argv, says] of [
    [["session", "chekc", "p.yml"], /Did you mean session check\?/],
    [["session"], /session calculate-hash[\s\S]*session needs a sub-command/],
    [["session", "check"], /an argument is missing; expected FILE/],
    [["session", "check", "--explian", "p.yml"], /Did you mean --explain\?/],
    [["session", "check", "-e", "APP", "p.yml"], /not VAR=VALUE/],
  ] as const) {
    const wrong = await run(...argv);
    assert.equal(wrong.code, 2, argv.join(" "));
    assert.match(wrong.err, says);
  }
  assert.match((await run("session", "check", "nothing.yml")).err, /nothing\.yml cannot be read: there is no such file/);
});

test("C-31, C-58, C-59 create, verify, diff, update, read and list: hashes alone on standard output, differences in words", async (t) => {
  const place = await withCas(t);
  const run = (...argv: string[]) => place.run("scone", argv);
  const expected = (await run("session", "calculate-hash", ...SHOP, "--with-self-as-creator", "tls", "p.yml")).out;
  const created = await run("session", "create", ...SHOP, "p.yml");
  assert.deepEqual([created.code, created.out, created.err], [0, expected, ""]);
  assert.equal((await run("session", "verify", ...SHOP, "p.yml")).out, expected);
  assert.match((await run("session", "create", ...SHOP, "p2.yml")).err, /p2\.yml cannot be read/);
  place.write("p2.yml", POLICY.replace("python3", "python4").replace("kind: ascii", "kind: ascii, size: 30, export: {session: shop/eu}"));

  const differs = await run("session", "verify", ...SHOP, "p2.yml");
  assert.equal(differs.code, 1);
  assert.match(differs.err, /Caused by: services\[api\]\.command\[0\]: the CAS has "python3", the file has "python4"/);
  assert.doesNotMatch(differs.err, /creator/);
  const difference = await run("session", "diff", ...SHOP, "p2.yml");
  assert.equal(
    difference.out,
    "The change allows:\n  secret pw goes to session shop/eu\nBesides:\n  service api is started as: python4 /app/api.py\n  secret pw gets a new value\n",
  );
  assert.equal((await run("session", "diff", ...SHOP, "p.yml", "p2.yml")).out, difference.out);
  assert.equal((await run("session", "diff", ...SHOP, "--exit-code", "p.yml", "p2.yml")).code, 3);
  assert.equal((await run("session", "diff", "shop", "shop")).out, "The change neither allows nor takes away anything.\n");

  const updated = await run("session", "update", ...SHOP, "p2.yml");
  assert.match(updated.out, /^[0-9a-f]{64}\n$/);
  const back = await run("session", "diff", "--json", "shop", `shop@${created.out.trim()}`);
  assert.deepEqual(JSON.parse(back.out).takesAway, ["secret pw goes to session shop/eu"]);
  assert.match((await run("session", "read", "shop")).out, /python4/);
  place.write("eu.yml", 'version: "0.3"\nname: shop/eu\n');
  await run("session", "create", "eu.yml");
  assert.deepEqual([(await run("session", "list")).out, (await run("session", "list", "shop")).out], ["shop\n", "shop/eu\n"]);
  assert.deepEqual(
    JSON.parse((await run("session", "list", "--json")).out).map(({ name }: { name: string }) => name),
    ["shop"],
  );
  const denied = await run("session", "read", "nothing");
  assert.match(denied.err, /^Error: session nothing was not read\nCaused by: /);
});

test("SL-3, SL-40, SL-47, SL-145, SL-183 what only the CAS sees is shown in the file that the user wrote", async (t) => {
  const place = await withCas(t);
  const run = (...argv: string[]) => place.run("scone", argv);
  // Comments, key order and a variable: nothing stands where it does in what is uploaded.
  const own = `# a comment\nsecrets:\n  - name: a\n    # another\n    import:\n      secret: a\n      session: nowhere\naccess_policy:\n  update: 4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q\nname: $APP\nversion: "0.3.12"\n`;
  place.write("own.yml", own);
  const created = await run("session", "create", ...SHOP, "own.yml");
  assert.equal(created.code, 0, created.err);
  assert.match(created.err, /^own\.yml:7:16: warning\[SL-145\]: secrets\[0\]\.import\.session: .*session nowhere does not exist/m);
  assert.match(created.err, /^own\.yml:9:11: warning\[SL-183\]: access_policy\.update: .*\n {2}.*update: 4FS3/m);
  place.write("nested.yml", 'version: "0.3.12"\n# nested\nname: team/$APP\n');
  const nested = await run("session", "create", ...SHOP, "nested.yml");
  assert.deepEqual([nested.code, nested.out], [1, ""]);
  assert.match(
    nested.err,
    /^nested\.yml:3:7: error\[SL-40\]: name: namespace `team` does not exist; expected session `team` to be created first\n/,
  );
  assert.match(nested.err, /\nError: session team\/shop was not created\nCaused by: /);
  place.write(
    "old.yml",
    `version: "0.3.12"\n# old\npredecessor: ${"41d7e09c5b62a8f3".repeat(4)}\nname: $APP\naccess_policy: {read: ANY}\n`,
  );
  await run("session", "create", ...SHOP, "-n", "other", "p.yml");
  const old = await run("session", "update", ...SHOP, "-n", "other", "old.yml");
  assert.match(old.err, /^old\.yml:3:1: error\[SL-47\]: predecessor: session `other` changed meanwhile/m);
});

test("SL-188, SL-189, SL-190, SL-194 sign with the own key, with openssl, encrypt for the CAS, upload", async (t) => {
  const place = await withCas(t, { "s.yml": POLICY.replace("$APP", "signed").concat("access_policy: {read: ANY}\n") });
  const run = (...argv: string[]) => place.run("vouchsafe", argv);
  const keys = generateKeyPairSync("ed25519");
  place.write("k.pem", keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  place.write("k.pub", keys.publicKey.export({ type: "spki", format: "pem" }).toString());
  assert.equal((await run("session", "sign", "s.yml", "-o", "s.json")).code, 0);
  assert.match((await run("session", "sign", "s.json")).err, /SIGNER_TWICE/);
  await run("session", "sign", "s.json", "generate-message-to-be-signed", "-o", "message");
  const openssl = ["pkeyutl", "-sign", "-inkey", place.path("k.pem"), "-rawin", "-in", place.path("message")];
  const signature = execFileSync("openssl", openssl).toString("base64");
  const both = await run("session", "sign", "s.json", "add-signature", "k.pub", signature);
  assert.equal(both.code, 0, both.err);
  place.write("both.json", both.out);
  assert.match((await run("session", "sign", "s.json", "add-signature", "k.pub", "AAAA")).err, /does not fit the text/);
  assert.match((await run("session", "sign", "s.yml", "add-sgnature")).err, /Did you mean add-signature\?/);
  assert.equal((await run("session", "sign", "--key", "k.pem", "s.yml")).code, 0);
  assert.match((await run("session", "check", "both.json")).out, /name: signed/);
  const hash = (await run("session", "calculate-hash", "both.json")).out;
  assert.equal((await run("session", "encrypt", "both.json", "-o", "e.json")).code, 0);
  assert.equal(readFileSync(place.path("e.json"), "utf8").includes("signed"), false);
  assert.match((await run("session", "encrypt", "--key", "abc", "s.yml")).err, /expected 64 hexadecimal digits/);
  assert.equal((await run("session", "create", "e.json")).out, hash);
  assert.match((await run("session", "read", "signed")).out, /signer:/);
});

test("C-6, C-20 self and cert show who this client is, the same in every form", async () => {
  using place = new CliWorkplace();
  const run = (...argv: string[]) => place.run("scone", argv);
  const shown = JSON.parse((await run("self", "show", "--json")).out);
  assert.equal((await run("self", "show-certificate")).out.trim(), shown.certificate);
  assert.equal((await run("self", "show-session-signing-key")).out.trim(), shown.sessionSigningKey);
  place.write("me.pem", shown.certificate);
  for (const argv of [
    ["self", "show-key-hash"],
    ["cert", "show-key-hash", "me.pem"],
  ]) {
    assert.equal((await run(...argv)).out.trim(), shown.keyHash);
  }
  const old = await run("self", "show-certificate-hash");
  const openssl = execFileSync("openssl", ["x509", "-in", place.path("me.pem"), "-noout", "-fingerprint", "-sha256"]).toString();
  assert.equal(old.out.trim(), openssl.split("=")[1]?.trim().replaceAll(":", "").toLowerCase());
  assert.match(old.err, /deprecated/);
  assert.match((await run("self", "show")).out, /BEGIN CERTIFICATE[\s\S]*key hash: [\s\S]*BEGIN PUBLIC KEY/);
  assert.equal((await run("cert", "show-key-hash", "nothing")).code, 1);
  // C-56: before the sub-command, -c is the file of the client's state; @FILE holds arguments.
  assert.notEqual((await run("-c", place.path("other.json"), "self", "show-key-hash")).out.trim(), shown.keyHash);
  assert.ok(existsSync(place.path("other.json")));
  place.write("arguments", "self\nshow-key-hash\n");
  assert.equal((await run("@arguments")).out.trim(), shown.keyHash);
  place.write("endless", "@endless\n");
  assert.match((await run("@endless")).err, /name each other more than 8 times/);
});

test("explain and session schema come from the definition of the language", async () => {
  using place = new CliWorkplace();
  const run = (...argv: string[]) => place.run("vouchsafe", argv);
  const explained = await run("explain", "services[0].attestation");
  assert.match(explained.out, /^services\.attestation: mapping, or a list of these\n {2}Which code is admitted\.\n\nkeys:\n {2}mrenclave /);
  assert.match((await run("explain", "secrets")).out, /formats in \$\$SCONE::NAME…\$\$:\n {2}ascii +\(none\)/);
  const wrong = await run("explain", "services.atestation");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /Did you mean services\.attestation\?/);
  assert.equal(JSON.parse((await run("explain", "--json", "secrets.size")).out).value, "integer 1…65536");
  assert.equal(JSON.parse((await run("session", "schema")).out).title, "Session");
  const all = (await run("explain")).out;
  for (const [, key = ""] of all.matchAll(/^ {2}([a-z_]+) /gm)) assert.equal((await run("explain", key)).code, 0, key);
});

test("completion knows sub-commands, options, and the names that only the CAS, the state and the language know", async (t) => {
  const place = await withCas(t, { "eu.yml": 'version: "0.3"\nname: shop/eu\n' });
  const bin = join(import.meta.dirname, "..", "bin");
  for (const argv of [
    ["session", "create", ...SHOP, "p.yml"],
    ["session", "create", "eu.yml"],
  ]) {
    assert.equal((await place.run("vouchsafe", argv)).code, 0);
  }
  const script = (words: string) => `
eval "$(vouchsafe completion bash)"
COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _vouchsafe; echo "\${COMPREPLY[*]}"`;
  const environment = { ...place.environment, PATH: `${bin}:${place.environment["PATH"]}` };
  const complete = (words: string) =>
    execFileSync("bash", ["-c", script(words)], { cwd: place.directory, env: environment })
      .toString()
      .trim();
  for (const [words, offered] of [
    ["vouchsafe sess", "session"],
    ["vouchsafe session ch", "check"],
    ["vouchsafe session secret s", "set"],
    ["vouchsafe session check --exp", "--explain"],
    ["vouchsafe session read sh", "shop"],
    ["vouchsafe session read shop/", "shop/eu"],
    ["vouchsafe session diff p", "p.yml"],
    ["vouchsafe session create -c lo", "local"],
    ["vouchsafe cas set-default lo", "local"],
    ["vouchsafe explain services.attestation.sig", "services.attestation.signer"],
    ["vouchsafe complete-w", ""],
    ["vouchsafe help doc", "doctor"],
    ["vouchsafe completion z", "zsh"],
    ["sconectl apply --mode d", "debug"],
    ["sconectl apply -f mesh.yaml -o y", "yaml"],
    ["sconectl apply --no-c", "--no-color"],
  ] as const) {
    assert.equal(complete(words), offered, words);
  }
  writeFileSync(place.path("broken.json"), "{");
  const failing = { ...environment, SCONE_CLI_CONFIG: place.path("broken.json") };
  assert.equal(execFileSync(join(bin, "vouchsafe"), ["complete-words", "session", "s"], { env: failing }).toString(), "");
  rmSync(place.path("broken.json"));
});

test("every command has help with an example that begins with its own name, and output into a closed pipe is no failure", async () => {
  using place = new CliWorkplace();
  for (const group of ["session", "self", "cert", "cas"]) {
    const { out } = await place.run("scone", [group, "--help"]);
    for (const [, name = ""] of out.matchAll(new RegExp(`^scone (${group} [a-z -]*?[a-z])  +`, "gm"))) {
      const help = await place.run("scone", [...name.split(" "), "--help"]);
      assert.equal(help.code, 0, name);
      assert.match(help.out, new RegExp(`usage: scone ${name}[\\s\\S]*examples?:\\n {2}`), name);
    }
  }
  const bin = join(import.meta.dirname, "..", "bin", "vouchsafe");
  const piped = execFileSync("bash", ["-o", "pipefail", "-c", `"${bin}" session schema | head -c 1`], { env: place.environment });
  assert.equal(piped.toString(), "{");
});
