import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { createTestClient } from "../testing/test-cas.ts";
import { findCasProcess, startCasProcess, stopCasProcess } from "./cas-process.ts";

const LISTEN = { host: "127.0.0.1", port: 0 };
const ROUNDS = 3;
const WRITERS = 8;

function stateDirectory(t: { after(run: () => Promise<void>): void }): string {
  const stateDir = mkdtempSync(join(tmpdir(), "vouchsafe-cas-process-"));
  t.after(async () => {
    await stopCasProcess(stateDir);
    rmSync(stateDir, { recursive: true, force: true });
  });
  return stateDir;
}

test("hazard E1: a CAS killed in the middle of writes has every session it acknowledged", async (t) => {
  const stateDir = stateDirectory(t);
  const identity = createTestClient();
  const acknowledged = new Map<string, string>();
  let casKeyHash: string | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    const status = await startCasProcess({ stateDir, clientListen: LISTEN, serviceListen: LISTEN });
    casKeyHash ??= status.casKeyHash;
    assert.equal(status.casKeyHash, casKeyHash, "the identity survives");
    const client = new CasClient({ ...status.client, pin: { casKeyHash }, clientIdentity: identity });
    for (const [name, hash] of acknowledged) assert.equal((await client.readSessionHash(name)).hash, hash, name);
    let isRunning = true;
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let count = 0; isRunning; count += 1) {
        const name = `r${round}-w${writer}-${count}`;
        try {
          const { hash } = await client.uploadSession(`version: "0.3"\nname: ${name}\nsecrets: [{name: a, kind: ascii}]\n`);
          acknowledged.set(name, hash);
        } catch {
          return; // killed: this one was not acknowledged
        }
      }
    });
    await sleep(150 + round * 100);
    process.kill(status.pid, "SIGKILL");
    isRunning = false;
    await Promise.all(writers);
    client.close();
    while (findCasProcess(stateDir) !== undefined) await sleep(10);
  }
  assert.ok(acknowledged.size > ROUNDS, `${acknowledged.size} sessions were written`);
  const status = await startCasProcess({ stateDir, clientListen: LISTEN, serviceListen: LISTEN });
  const client = new CasClient({ ...status.client, pin: { casKeyHash }, clientIdentity: identity });
  for (const [name, hash] of acknowledged) assert.equal((await client.readSession(name)).hash, hash, name);
  client.close();
});

test("hazard E7: a second CAS on the same state finds the first one, and one that is forced is refused", async (t) => {
  const stateDir = stateDirectory(t);
  const first = await startCasProcess({ stateDir, clientListen: LISTEN, serviceListen: LISTEN });
  assert.deepEqual(await startCasProcess({ stateDir, clientListen: LISTEN, serviceListen: LISTEN }), first);
  rmSync(join(stateDir, "cas.json"));
  await assert.rejects(startCasProcess({ stateDir, clientListen: LISTEN, serviceListen: LISTEN }), /another process uses the database/);
  process.kill(first.pid, "SIGTERM");
});
