import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { keyHashOf } from "@vouchsafe/policy";
import { type CasStatement, formatCasAddress } from "@vouchsafe/protocol";
import { startTestCas } from "../../../../cas/src/testing/test-cas.ts";
import { casThatSays } from "../../testing/cas-that-says.ts";
import { commandLine } from "../../testing/command-line.ts";
import { SESSION_COMMANDS } from "../session/session-spec.ts";

const TESTING = ["--only_for_testing-trust-any", "--only_for_testing-debug"];

test("C-12, C-15, C-68 provisioning sends nothing before the CAS is attested, warns about the owner's key, and more in a container", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined, metricsListen: { host: "127.0.0.1", port: 0 } });
  const { run, home } = commandLine(t, { container: "podman" });
  const config = join(home, "owner.toml");
  writeFileSync(config, "");
  const address = formatCasAddress(cas.running.clientAddress);
  const provision = (hash: string, ...more: string[]) =>
    run("cas", "provision", address, ...more, "-c", hash, "--token", cas.running.provisioningToken ?? "", "--config-file", config);
  const requests = async () => {
    const { host, port } = cas.running.metricsAddress ?? assert.fail();
    return /requests_total\{route="\/v1\/provision"/.test(await (await fetch(`http://${host}:${port}/metrics`)).text());
  };
  const wrong = await provision(keyHashOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey), ...TESTING);
  assert.match(wrong.notes, /Caused by: CAS key hash is \S+, expected \S+/);
  const unattested = await provision(cas.running.casKeyHash, "with-attestation");
  assert.match(unattested.notes, /Caused by: expected evidence of hardware, found none/);
  assert.equal(await requests(), false, "neither token nor configuration was sent");
  const done = await provision(cas.running.casKeyHash, ...TESTING);
  assert.equal(done.code, 0, done.notes);
  assert.match(done.notes, /Whoever loses it can never again change the configuration/);
  assert.match(done.notes, /warning: this runs in a container: keep .*config\.json/);
  assert.equal(await requests(), true);
});

test("C-9, C-69 a database key cannot be brought to this CAS; a CAS whose owner brought one is refused unless that is accepted", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const { run } = commandLine(t);
  const key = "00".repeat(32);
  const given = ["-c", cas.running.casKeyHash, "--token", "x", "--config-file", "x", "--database-key", key];
  await assert.rejects(run("cas", "provision", "127.0.0.1:1", ...given), {
    code: "E-OPTION-UNSUPPORTED",
    message: /owner could read all secrets/,
  });
  const injected = await casThatSays(t, { databaseKeyInjected: true });
  const attest = (...more: string[]) => run("cas", "attest", injected.address, "-c", injected.keyHash, ...TESTING, ...more);
  const refused = await attest();
  assert.equal(refused.code, 1);
  assert.match(
    refused.notes,
    /^Error: attestation of CAS .* failed\nCaused by: .*expected a database key that nobody knows, found one that the owner brought/m,
  );
  assert.match(refused.notes, /help: Accept that with --allow-cas-owner-secret-access\./);
  const accepted = await attest("--allow-cas-owner-secret-access");
  assert.equal(accepted.code, 0, accepted.notes);
  assert.match(accepted.notes, /warning: the owner of this CAS can read all secrets/);
});

test("C-17, C-68, C-71 what is accepted on request only is refused with expected, found and the switch, and warned about when it is given", async (t) => {
  const cas = await startTestCas(t, { selfProvision: undefined });
  const { run } = commandLine(t);
  const address = formatCasAddress(cas.running.clientAddress);
  const attest = (...more: string[]) => run("cas", "attest", address, ...more);
  const pinned = ["-c", cas.running.casKeyHash];
  const unprotected = await attest(...pinned);
  assert.match(
    unprotected.notes,
    /expected evidence of hardware, found none[^\n]*\nhelp: .*-c KEY_HASH --only_for_testing-trust-any --only_for_testing-debug/,
  );
  const unprovisioned = await attest(...pinned, ...TESTING);
  assert.match(
    unprovisioned.notes,
    /expected a provisioned CAS, found one without owner\nhelp: .*--only_for_testing_allow-unprovisioned-cas/,
  );
  const accepted = await attest(...pinned, ...TESTING, "--only_for_testing_allow-unprovisioned-cas", "-G");
  assert.equal(accepted.code, 0, accepted.notes);
  for (const warning of [/no TEE protects this CAS/, /has no owner yet/, /--out-of-date has no effect/])
    assert.match(accepted.notes, warning);
  const [any = "", debug = ""] = TESTING;
  await assert.rejects(attest(...pinned, any), { code: "E-OPTION-MISSING", message: `${any} needs ${debug}` });
  await assert.rejects(attest(...pinned, debug), { code: "E-OPTION-MISSING", message: new RegExp(`^${debug} needs .*${any}$`) });
  const anybody = await attest(...TESTING);
  assert.match(anybody.notes, /nothing proves who this CAS is\nhelp: Give its key hash with -c/);
});

test("C-70 key and software of a CAS are pinned together or one by one", async (t) => {
  const cas = await startTestCas(t);
  const { run, home } = commandLine(t);
  const address = formatCasAddress(cas.running.clientAddress);
  const [, software = ""] = (JSON.parse((await cas.client().attest("n")).statement) as CasStatement).chain;
  const softwareHash = keyHashOf(new X509Certificate(software).publicKey);
  const attest = (...pins: string[]) => run("cas", "attest", address, ...TESTING, ...pins);
  assert.match((await attest("-c", cas.running.casKeyHash, "-s", cas.running.casKeyHash)).notes, /CAS software key hash is \S+, expected/);
  assert.match((await attest("-s", softwareHash)).notes, /nothing proves who this CAS is/, "the software alone is not enough");
  assert.equal((await attest("-c", cas.running.casKeyHash, "-s", softwareHash)).code, 0);
  assert.match(readFileSync(join(home, ".cas", "config.json"), "utf8"), new RegExp(cas.running.casKeyHash));
});

test("C-64 a statement covers chain, keys, software, state, owner and the caller's nonce; saved, it is judged without the CAS, as of a time", async (t) => {
  const cas = await startTestCas(t);
  const { run, home } = commandLine(t);
  const address = formatCasAddress(cas.running.clientAddress);
  const report = join(home, "report.json");
  const saved = await cas.client().attest("4711");
  writeFileSync(report, JSON.stringify(saved));
  const statement: CasStatement = JSON.parse(saved.statement);
  assert.equal(statement.format, "vouchsafe/cas-statement/1");
  assert.equal(statement.chain.length, 3);
  assert.equal(statement.sessionEncryptionKey, cas.running.sessionEncryptionKey);
  assert.deepEqual(
    [statement.state, statement.nonce, statement.databaseKeyInjected, statement.selfProvisioned],
    ["provisioned", "4711", false, true],
  );
  await cas.stop();
  const pins = ["-c", cas.running.casKeyHash, ...TESTING];
  const judge = (nonce: string, ...more: string[]) =>
    run("cas", "attest", address, ...pins, "--offline-report", report, "--nonce", nonce, ...more);
  const good = await judge("4711");
  assert.equal(good.code, 0, good.notes);
  assert.match(good.out, /is trustworthy\nVersion of attested CAS: \d/);
  assert.equal((await run("cas", "show-identification", "-c")).out, cas.running.casKeyHash);
  assert.match((await judge("4712")).notes, /was made for another request/);
  assert.match((await judge("4711", "--verification-time", "2001-01-01")).notes, /certificate is valid from/);
  await assert.rejects(judge("4711", "--verification-time", "soon"), { code: "E-OPTION-VALUE" });
  writeFileSync(report, JSON.stringify({ ...saved, statement: saved.statement.replace("provisioned", "unprovisioned") }));
  assert.match((await judge("4711")).notes, /not signed by its TLS key/);
  writeFileSync(report, "{}");
  assert.match((await judge("4711")).notes, /is no report of a CAS/);
});

test("C-57 a command works with an attested CAS only, by its pinned key; another key at the address is an error that says how to go on", async (t) => {
  const [cas, other] = [await startTestCas(t), await startTestCas(t)];
  const { run, home } = commandLine(t);
  const none = await run("session", "read", "shop");
  assert.match(none.notes, /Caused by: no CAS has been attested yet\nhelp: Attest one with: vouchsafe cas attest ADDRESS -c KEY_HASH\./);
  const attest = await run(
    "cas",
    "attest",
    formatCasAddress(cas.running.clientAddress),
    "-c",
    cas.running.casKeyHash,
    ...TESTING,
    "--name",
    "main",
  );
  assert.equal(attest.code, 0, attest.notes);
  assert.match((await run("session", "read", "shop")).notes, /session shop does not exist/);
  const file = join(home, ".cas", "config.json");
  const moved = readFileSync(file, "utf8").replaceAll(
    formatCasAddress(cas.running.clientAddress),
    formatCasAddress(other.running.clientAddress),
  );
  writeFileSync(file, moved);
  const changed = await run("session", "read", "shop");
  assert.equal(changed.code, 1);
  assert.match(
    changed.notes,
    new RegExp(`CAS key hash is ${other.running.casKeyHash}, expected ${cas.running.casKeyHash}\nhelp: .*attest it again`),
  );
  assert.match(
    (await run("session", "read", "shop", "--cas", "nowhere")).notes,
    /the CAS nowhere has not been attested\nhelp: .*known are main/,
  );
});

test("C-56 the session commands share their options; network errors are repeated as often as was asked, answers never", async (t) => {
  const longNames = (name: string) =>
    SESSION_COMMANDS.find((spec) => spec.name === name)?.options.map(({ long, short }) => long ?? short) ?? [];
  for (const name of ["check", "calculate-hash", "create", "update", "verify"]) {
    for (const option of ["e", "use-env", "name", "fail-on-warning"])
      assert.ok(longNames(`session ${name}`).includes(option), `${name} ${option}`);
  }
  for (const name of ["create", "update", "verify", "read", "list"]) {
    for (const option of ["cas", "identity", "retries"]) assert.ok(longNames(`session ${name}`).includes(option), `${name} ${option}`);
  }
  assert.ok(longNames("session encrypt").includes("cas"));

  const cas = await startTestCas(t);
  const { run, home } = commandLine(t, { SCONE_CLI_RETRIES: "0" });
  const attest = await run("cas", "attest", formatCasAddress(cas.running.clientAddress), "-c", cas.running.casKeyHash, ...TESTING);
  assert.equal(attest.code, 0, attest.notes);
  let connections = 0;
  const broken = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {});
    socket.destroy();
  });
  broken.listen(0, "127.0.0.1");
  await once(broken, "listening");
  t.after(() => broken.close());
  const address = broken.address();
  const file = join(home, ".cas", "config.json");
  const port = typeof address === "object" ? address?.port : 0;
  writeFileSync(file, readFileSync(file, "utf8").replaceAll(formatCasAddress(cas.running.clientAddress), `127.0.0.1:${port}`));
  for (const [options, expected] of [
    [[], 1],
    [["--retries", "1"], 2],
  ] as const) {
    connections = 0;
    assert.equal((await run("session", "read", "shop", ...options)).code, 1);
    assert.equal(connections, expected, options.join(" "));
  }
});
