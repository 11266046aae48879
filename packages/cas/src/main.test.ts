import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CasStatement } from "@vouchsafe/protocol";
import { parseAvailabilityConfig } from "./config/availability-config.ts";
import { parseOwnerConfig } from "./config/owner-config.ts";
import { HELP, readOptions } from "./process/read-options.ts";
import { LOOPBACK, runCas, startCasCommand, testDirectory } from "./testing/cas-command.ts";
import { createTestClient } from "./testing/test-cas.ts";

test("C-16 `cas provision --owner-config` provisions once, says what that costs, and goes on with --skip-if-already-provisioned only", async (t) => {
  const directory = testDirectory(t);
  const owner = createTestClient();
  const files = { config: join(directory, "owner.toml"), certificate: join(directory, "owner.pem"), status: join(directory, "status") };
  writeFileSync(files.config, "[api_identity]\ncommon_name = 'cas.example.org'\n");
  writeFileSync(files.certificate, owner.certificate);
  const options = ["provision", "--state", join(directory), "--owner-config", files.config, "--owner-identity", files.certificate];
  const first = await startCasCommand(t, { options, statusFile: files.status });
  const statement = CasStatement.parse(JSON.parse((await first.client().attest("n")).statement));
  assert.deepEqual([statement.selfProvisioned, statement.ownerKeyHash], [true, owner.keyHash]);
  await first.client(owner).updateConfig("");
  await first.end();
  const again = await runCas([...options, ...LOOPBACK]);
  assert.equal(again.code, 1);
  assert.match(again.said, new RegExp(`error: the CAS is provisioned already; its owner is ${owner.keyHash}`));
  await startCasCommand(t, { options: [...options, "--skip-if-already-provisioned"], statusFile: files.status });
  assert.match(
    HELP.replace(/\s+/g, " "),
    /can read and replace the configuration, ownership can be taken, an old instance can pass as new/,
  );
});

test("C-75: a CAS that only waits to be registered ends by itself, as if it had been told to", async (t) => {
  const directory = testDirectory(t);
  const platformKey = join(directory, "platform.key");
  const { code, said } = await runCas([
    "--state",
    join(directory, "waiting"),
    "--platform-key",
    platformKey,
    ...LOOPBACK,
    "--stop-after",
    "1",
  ]);
  assert.equal(code, 0, said);
  assert.match(said, /CAS key hash: \S+/);
  assert.equal(existsSync(platformKey), true);
});

test("hazard L3: a CAS with a mistake in its options or files does not start, names the mistake, and makes nothing", async (t) => {
  const directory = testDirectory(t);
  const config = join(directory, "cas.toml");
  const database = join(directory, "cas.db");
  writeFileSync(config, `[database]\npath = "${database}"\n[api]\napi_listne = "127.0.0.1:0"\n`);
  const state = ["--state", directory];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /neither --config nor --state was given/],
    [["--config", config], /cas\.toml:4:1: api\.api_listne: unknown key/],
    [["--config", join(directory, "none.toml")], /none\.toml cannot be read/],
    [[...state, "--self-provisoin"], /Unknown option '--self-provisoin'/],
    [[...state, "--client-listen", "8081"], /"8081" is not address:port/],
    [[...state, "--stop-after", "0"], /--stop-after does not take "0"/],
    [[...state, "provision"], /provision needs --owner-config FILE/],
    [[...state, "start"], /"start" is not expected/],
    [[...state, "--enrol-node-key", config], /cas\.toml holds no PEM public key/],
    [[...state, "--owner-identity", config], /cas\.toml holds no PEM certificate/],
  ];
  for (const [options, message] of cases) assert.throws(() => readOptions(options), { code: "CONFIGURATION", message }, options.join(" "));
  const { code, said } = await runCas([...state, "--owner-config", config]);
  assert.equal(code, 1);
  assert.match(said, /^error: owner configuration:[\s\S]*\nowner configuration:1:2: database: unknown key\n/);
  assert.equal(/\n\s+at /.test(said), false, `no stack: ${said}`);
  assert.equal(existsSync(database), false);
});

const OWNER = `[api_identity]
common_name = "cas"
alt_names = ["cas"]
[dcap]
subscription_key = "00112233445566778899aabbccddeeff"
[tpm]
endorsement_keys = []
[audit_log]
mode = "signed"
sink = "file"
[policy]
allow_advisory_wildcard = true
[verify_evidence]
enabled = true
[imports]
networks = ["10.0.0.0/8"]
`;
const AVAILABILITY = `[database]
path = "cas.db"
[api]
api_listen = "0.0.0.0:8081"
enclave_listen = "0.0.0.0:18765"
[audit_log]
path = "log"
[metrics]
listen = "127.0.0.1:9000"
[database_snapshots]
target_directory = "snapshots"
interval = "60s"
`;
/** Files that their reader takes whole; each key has a line of its own. */
const CONFIGS = [
  { name: "owner configuration", text: OWNER, parse: parseOwnerConfig },
  { name: "availability configuration", text: AVAILABILITY, parse: parseAvailabilityConfig },
];
for (const { name, text, parse } of CONFIGS) {
  test(`C-10, hazard L3: each key of the ${name}, misspelt or of another type, is an error at its line and column`, () => {
    parse(text, "f");
    const lines = text.split("\n");
    for (const [at, line] of lines.entries()) {
      const key = /^\[?([a-z_]+)/.exec(line)?.[1];
      if (key === undefined) continue;
      const column = line.indexOf(key) + 1;
      const changes = [line.replace(key, `${key}x`), ...(line.startsWith("[") ? [] : [`${key} = {}`, `${key} = 3`])];
      for (const change of changes) {
        const where = `f:${at + 1}:${column}: `;
        assert.throws(
          () => parse(lines.with(at, change).join("\n"), "f"),
          (error: Error) => {
            assert.ok(
              error.message.split("\n").some((each) => each.startsWith(where)),
              `${change}: ${error.message}, expected ${where}`,
            );
            return true;
          },
        );
      }
    }
  });
}
