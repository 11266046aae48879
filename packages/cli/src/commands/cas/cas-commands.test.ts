import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCas } from "@vouchsafe/cas";
import { commandLine } from "../../testing/command-line.ts";

test("an embedded CAS is started, shown, used for sessions and stopped", async (t) => {
  const { run, home } = commandLine(t);
  const file = join(home, "s.yml");
  assert.equal((await run("cas", "status")).code, 1);
  const started = await run("cas", "start", "--json");
  assert.equal(started.code, 0, started.notes);
  const { casKeyHash, client } = JSON.parse(started.out);
  assert.equal((await run("cas", "show-identification", "-c")).out, casKeyHash);
  assert.equal((await run("cas", "status")).code, 0);
  assert.match((await run("cas", "list")).out, /^\* local: https:\/\/127\.0\.0\.1:\d+\/$/);
  const mode = statSync(join(home, ".cas", "config.json")).mode & 0o777;
  assert.equal(mode, 0o600);

  const created = await run("session", "create", "-e", "APP=shop", file);
  assert.match(created.out, /^[0-9a-f]{64}$/, created.notes);
  assert.equal((await run("session", "verify", "-e", "APP=shop", file)).out, created.out);
  writeFileSync(file, 'version: "0.3"\nname: $APP\nsecrets: [{name: b, kind: ascii}]\n');
  const updated = await run("session", "update", "-e", "APP=shop", file);
  assert.match(updated.out, /^[0-9a-f]{64}$/, updated.notes);
  assert.notEqual(updated.out, created.out);
  assert.match((await run("session", "read", "shop")).out, /name: b/);
  const missing = await run("session", "read", "nothing");
  assert.deepEqual([missing.code, missing.out], [1, ""]);
  assert.match(missing.notes, /^Error: session nothing was not read\nCaused by: /);

  const unproven = await run("cas", "attest", `127.0.0.1:${client.port}`);
  assert.match(unproven.notes, /Caused by: expected evidence of hardware, found none/);
  const wrong = await run("cas", "attest", `127.0.0.1:${client.port}`, "-c", "wrong");
  assert.match(wrong.notes, /CAS key hash is .*, expected wrong/);
  const testing = ["--only_for_testing-trust-any", "--only_for_testing-debug"];
  const attested = await run("cas", "attest", `127.0.0.1:${client.port}`, "-c", casKeyHash, ...testing);
  assert.match(attested.out, /is trustworthy\nVersion of attested CAS: /, attested.notes);
  assert.equal((await run("cas", "stop")).code, 0);
  assert.equal((await run("cas", "status")).code, 1);
});

test("C-74, C-78 the owner registers a CAS of another machine, lists and removes it, and starts an upgrade", async (t) => {
  const { run, home } = commandLine(t);
  const listen = { host: "127.0.0.1", port: 0 };
  const [databasePath, platformKeyPath] = [join(home, "other", "cas.db"), join(home, "other", "platform.key")];
  mkdirSync(join(home, "other"));
  const backup = await startCas({ databasePath, platformKeyPath, clientListen: listen, serviceListen: listen, writeLine: () => {} });
  t.after(() => backup[Symbol.asyncDispose]());
  const address = `127.0.0.1:${backup.clientAddress.port}`;
  const started = await run("cas", "start", "--json");
  const unproven = await run("cas", "register-backup", address);
  assert.equal(unproven.code, 1);
  assert.match(
    unproven.notes,
    /^Error: the CAS \S+ was not registered as backup\nCaused by: .*\nCaused by: .*not acceptable\nCaused by: no hardware proves/,
  );
  const registered = await run("cas", "register-backup", `https://${address}/`, "-c", backup.casKeyHash);
  assert.deepEqual([registered.code, registered.out], [0, "Backup CAS registered"], registered.notes);
  assert.match(registered.notes, /warning: no TEE protects the CAS/);
  const named = await run("cas", "register-backup", address, "-c", backup.casKeyHash, "--name", "node-2", "--json");
  assert.deepEqual([JSON.parse(named.out).name, JSON.parse(named.out).purpose], ["node-2", "backup"]);
  const upgrade = await run("cas", "register-upgrade", address, "-c", backup.casKeyHash);
  assert.equal(upgrade.out, "Upgrade CAS registered", upgrade.notes);
  assert.match((await run("cas", "list-backups")).out, /^backup 127.*\nbackup node-2 .*\nupgrade 127/);
  const unready = await run("cas", "start-upgrade", "--yes");
  assert.match(
    unready.notes,
    /^Error: the upgrade was not started\nCaused by: .*\nCaused by: the running software, version \S+, is not registered/,
  );
  await assert.rejects(run("cas", "start-upgrade"), { code: "E-CONFIRM" });
  assert.equal((await run("cas", "remove-backup", "node-2")).code, 0);
  assert.equal((await run("cas", "remove-upgrade", address)).code, 0);
  const left = JSON.parse((await run("cas", "list-backups", "--json")).out);
  assert.deepEqual(
    left.map(({ name }: { name: string }) => name),
    [address],
  );
  const { casKeyHash, client } = JSON.parse(started.out);
  assert.equal((await run("cas", "register-upgrade", `127.0.0.1:${client.port}`, "-c", casKeyHash)).code, 0);
  const upgraded = await run("cas", "start-upgrade", "--yes");
  assert.match(upgraded.out, /^the database of CAS local has a new key, for version \d/, upgraded.notes);
  assert.match(upgraded.notes, new RegExp(`backups of this version keep access: ${address}`));
});

test("C-80 a holder of a recovery key opens the database of a CAS whose platform key is lost", async (t) => {
  const { run, home } = commandLine(t);
  const started = JSON.parse((await run("cas", "start", "--json")).out);
  const { certificate } = JSON.parse(readFileSync(join(home, ".cas", "config.json"), "utf8"));
  writeFileSync(join(home, "owner.toml"), `[recovery]\nthreshold = 1\nkeys = ["""\n${certificate}"""]\n`);
  assert.equal((await run("cas", "update-config", "--config-file", join(home, "owner.toml"))).code, 0);
  await run("cas", "stop");
  const state = readdirSync(home, { recursive: true, withFileTypes: true }).find(({ name }) => name === "cas.db")?.parentPath;
  assert(state !== undefined);
  const lines: string[] = [];
  const listen = { host: "127.0.0.1", port: 0 };
  const files = { databasePath: join(state, "cas.db"), platformKeyPath: join(home, "new-platform.key") };
  const starting = startCas({ ...files, clientListen: listen, serviceListen: listen, writeLine: (line) => lines.push(line) });
  t.after(async () => (await starting)[Symbol.asyncDispose]());
  const find = (pattern: RegExp) => lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
  while (find(/serving recovery on (\S+)/) === undefined) await Promise.race([sleep(20), starting]);
  const [address, hash] = [find(/serving recovery on (\S+)/) ?? "", find(/CAS recovery key hash: (\S+)/) ?? ""];
  await assert.rejects(run("cas", "recovery", "export-key", address), { code: "E-OPTION-MISSING" });
  const exported = await run("cas", "recovery", "export-key", address, "-c", hash);
  assert.match(exported.notes, new RegExp(`1 of 1 holders are needed for the CAS ${started.casKeyHash}`));
  writeFileSync(join(home, "request.json"), exported.out);
  const misled = await run("cas", "recovery", "sign-share", join(home, "request.json"), "-c", started.casKeyHash);
  assert.match(misled.notes, /^Error: the share was not signed\nCaused by: CAS key hash is .*, expected/);
  const signed = await run("cas", "recovery", "sign-share", join(home, "request.json"), "-c", hash);
  assert.equal(signed.code, 0, signed.notes);
  writeFileSync(join(home, "share.json"), signed.out);
  const wrong = await run("cas", "recovery", "submit-share", address, join(home, "request.json"), "-c", hash);
  assert.match(wrong.notes, /Caused by: .*request\.json is not the file that is needed here/);
  const submitted = await run("cas", "recovery", "submit-share", address, join(home, "share.json"), "-c", hash, "--json");
  assert.deepEqual(JSON.parse(submitted.out), { threshold: 1, missing: 0 }, submitted.notes);
  assert.equal((await starting).casKeyHash, started.casKeyHash);
  const late = await run("cas", "recovery", "export-key", `127.0.0.1:${(await starting).clientAddress.port}`, "-c", started.casKeyHash);
  assert.match(late.notes, /Caused by: the CAS is rollback-suspected: nothing is to be recovered/);
});

test("the owner asks the CAS for exceptions and for the forecast of the platforms that it has seen", async (t) => {
  const { run, home } = commandLine(t);
  assert.equal((await run("cas", "start")).code, 0);
  const exception = '{tolerate: [outdated-tcb], until: 2020-01-31, because: "long over"}';
  writeFileSync(join(home, "e.yml"), `version: "0.3"\nname: shop\nsecurity: {attestation: {exceptions: [${exception}]}}\n`);
  assert.equal((await run("session", "create", join(home, "e.yml"))).code, 0);
  const listed = await run("session", "exceptions", "shop");
  assert.equal(listed.out, '2020-01-31T23:59:59Z  ended: outdated-tcb: "long over"');
  assert.equal(listed.code, 3);
  const forecast = await run("collateral", "forecast");
  assert.equal(forecast.code, 0, forecast.notes);
  assert.match(forecast.notes, /no platform with hardware evidence has been seen yet/);
});
