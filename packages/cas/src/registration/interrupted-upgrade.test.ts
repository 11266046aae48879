import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { CasClient } from "@vouchsafe/protocol";
import { startCas } from "../start-cas.ts";
import type { KilledUpgrade } from "../testing/killed-upgrade.ts";
import { testPolicy } from "../testing/policies.ts";
import { platformKeyOf, registrationOf, startOwnedCas, startWaitingCas } from "../testing/two-machines.ts";

const LISTEN = { host: "127.0.0.1", port: 0 };
const CHILD = join(import.meta.dirname, "..", "testing", "killed-upgrade.ts");
const OPERATIONS_MAX = 400;

const sealedKeys = (directory: string): unknown => JSON.parse(readFileSync(join(directory, "cas.key-store"), "utf8"));

/** Runs the upgrade in a process of its own; tells whether it came to its end before it was killed. */
async function isCompleted(job: KilledUpgrade, file: string): Promise<boolean> {
  writeFileSync(file, JSON.stringify(job));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, file]);
    return stdout === "done\n";
  } catch (error) {
    const { signal, stderr } = error as { signal?: string; stderr?: string }; // as execFile rejects
    assert.equal(signal, "SIGKILL", stderr ?? "no words");
    return false;
  }
}

test("C-79 a roll-over of the key that is killed before any of its operations is finished or undone at the next start", {
  timeout: 3_600_000,
}, async (t) => {
  const { cas, owner } = await startOwnedCas(t);
  const backup = await startWaitingCas(t);
  const rest = "secrets: [{name: a, kind: ascii, export_public: true}]";
  for (const name of ["one", "two", "three"]) await cas.client(owner).uploadSession(testPolicy({ name, rest }));
  const expected = await Promise.all(["one", "two", "three"].map((name) => cas.client(owner).publicValues(name)));
  await cas.client(owner).registerInstance("upgrade", { ...registrationOf(cas), name: "self" });
  await cas.client(owner).registerInstance("backup", { ...registrationOf(backup), name: "other" });
  const { casKeyHash } = cas.running;
  await cas.stop();
  const before = sealedKeys(cas.directory);
  const outcomes = new Set<string>();
  for (let killBefore = 1; ; killBefore += 1) {
    assert.ok(killBefore < OPERATIONS_MAX, "the upgrade comes to an end");
    const directory = join(cas.directory, "trial");
    mkdirSync(join(directory, "platform"), { recursive: true });
    for (const name of ["cas.db", "cas.key-store"]) cpSync(join(cas.directory, name), join(directory, name));
    for (const suffix of ["", ".anchor"]) cpSync(platformKeyOf(cas) + suffix, join(directory, "platform", `key${suffix}`));
    const files = { databasePath: join(directory, "cas.db"), platformKeyPath: join(directory, "platform", "key") };
    const isDone = await isCompleted({ ...files, owner, killBefore }, join(directory, "job.json"));

    const lines: string[] = [];
    const running = await startCas({ ...files, clientListen: LISTEN, serviceListen: LISTEN, writeLine: (line) => lines.push(line) });
    using client = new CasClient({ ...running.clientAddress, pin: { casKeyHash }, clientIdentity: owner });
    assert.equal((await client.version()).state, "provisioned", `killed before ${killBefore}: ${lines.join("\n")}`);
    assert.deepEqual(await Promise.all(["one", "two", "three"].map((name) => client.publicValues(name))), expected);
    const left = (await client.registeredInstances()).map(({ purpose, name }) => `${purpose} ${name}`);
    const isUndone = left.length === 2;
    assert.deepEqual(left, isUndone ? ["backup other", "upgrade self"] : ["backup other"]);
    assert.equal(isUndone && isDone, false);
    const after = sealedKeys(directory);
    if (isUndone) assert.deepEqual(after, before, "of an undone roll-over nothing is left");
    else assert.equal(JSON.stringify(after).includes('"next"'), false, "of a finished one only the new key");
    outcomes.add(isUndone ? "undone" : "finished");
    await client.uploadSession(testPolicy({ name: "later" }));
    client.close();
    await running[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
    if (isDone) break;
  }
  assert.deepEqual(outcomes, new Set(["undone", "finished"]));
});
