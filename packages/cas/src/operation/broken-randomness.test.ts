import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { createTestClient } from "../testing/test-cas.ts";

/** Breaks the generator of the process that loads it, as soon as the file named by BREAK exists. */
const PRELOAD = `
import crypto from "node:crypto";
import { existsSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const { randomBytes } = crypto;
crypto.randomBytes = (count) => (existsSync(process.env.BREAK) ? Buffer.alloc(count) : randomBytes(count));
syncBuiltinESMExports();
`;

interface Started {
  readonly child: ChildProcess;
  readonly directory: string;
  readonly said: () => string;
  readonly breakGenerator: () => void;
}

function startProcess(t: TestContext, isBroken: boolean): Started {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-randomness-"));
  const file = join(directory, "break");
  const breakGenerator = () => writeFileSync(file, "");
  if (isBroken) breakGenerator();
  writeFileSync(join(directory, "preload.mjs"), PRELOAD);
  const options = ["--state", directory, "--status-file", join(directory, "status"), "--self-provision"];
  const listen = ["--client-listen", "127.0.0.1:0", "--service-listen", "127.0.0.1:0"];
  const main = join(import.meta.dirname, "..", "main.ts");
  const child = spawn(process.execPath, ["--import", join(directory, "preload.mjs"), main, ...options, ...listen], {
    env: { ...process.env, BREAK: file },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });
  return { child, directory, said: () => text, breakGenerator };
}

test("hazard D7: a CAS does not start with a broken random generator", async (t) => {
  const { child, said, directory } = startProcess(t, true);
  const [code] = await once(child, "exit");
  assert.notEqual(code, 0);
  assert.match(said(), /random generator gives the same byte again and again/);
  assert.equal(existsSync(join(directory, "cas.db")), false, "nothing was made");
});

test("hazard D7: a CAS whose random generator breaks stops, and nothing made with it is acknowledged", { timeout: 60_000 }, async (t) => {
  const { child, said, directory, breakGenerator } = startProcess(t, false);
  const exited = once(child, "exit");
  while (!existsSync(join(directory, "status"))) await sleep(50);
  const status = JSON.parse(readFileSync(join(directory, "status"), "utf8"));
  using client = new CasClient({ ...status.client, pin: { casKeyHash: status.casKeyHash }, clientIdentity: createTestClient() });
  const text = (name: string) => `version: "0.3"\nname: ${name}\nsecrets: [{name: a, kind: binary, size: 32}]\n`;
  await client.uploadSession(text("before"));
  breakGenerator();
  await assert.rejects(client.uploadSession(text("after")));
  const [code] = await exited;
  assert.equal(code, 1);
  assert.match(said(), /the same byte again and again: the CAS stops/);
});
