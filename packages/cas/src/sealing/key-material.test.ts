import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startCasProcess, stopCasProcess } from "../process/cas-process.ts";
import { CAS_SOFTWARE } from "../version.ts";
import { keyStorePath, openKeyStore } from "./key-store.ts";
import { openPlatformKeyFile } from "./platform-key.ts";

const CHUNK = 16 * 1024 * 1024;

/** Counts where `needle` lies in the writable memory of another process. */
function occurrences(pid: number, needles: readonly Buffer[]): number[] {
  const counts = needles.map(() => 0);
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (match === null || /\[v(?:var|syscall)/.test(line)) continue;
      const [from, to] = [BigInt(`0x${match[1]}`), BigInt(`0x${match[2]}`)];
      const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
      for (let at = from; at < to; at += BigInt(CHUNK)) {
        const chunk = Buffer.alloc(Number(to - at < CHUNK + overlap ? to - at : BigInt(CHUNK + overlap)));
        try {
          readSync(memory, chunk, 0, chunk.length, at);
        } catch {
          continue; // a region that went away meanwhile, or that cannot be read
        }
        for (const [which, needle] of needles.entries()) if (chunk.includes(needle)) counts[which] = (counts[which] ?? 0) + 1;
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}

function mayLookInto(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, "r"));
    return true;
  } catch {
    return false;
  }
}

test("hazard D9: of the keys that open the database nothing is left in memory once it is open", { timeout: 120_000 }, async (t) => {
  const stateDir = mkdtempSync(join(tmpdir(), "vouchsafe-key-material-"));
  t.after(async () => {
    await stopCasProcess(stateDir);
    rmSync(stateDir, { recursive: true, force: true });
  });
  const listen = { host: "127.0.0.1", port: 0 };
  const { pid, casKeyHash } = await startCasProcess({ stateDir, clientListen: listen, serviceListen: listen });
  if (!mayLookInto(pid)) return t.skip("this machine does not let a process look into the memory of another");
  const platformPath = join(stateDir, "platform.key");
  const databasePath = join(stateDir, "cas.db");
  const platformKey = Buffer.from(readFileSync(platformPath, "utf8").trim(), "hex");
  const provider = openPlatformKeyFile(platformPath, CAS_SOFTWARE.securityVersion);
  const databaseKey = openKeyStore(databasePath, keyStorePath(databasePath), provider).present?.bytes ?? assert.fail();
  const forms = [platformKey, databaseKey].flatMap((key) => [Buffer.from(key), Buffer.from(Buffer.from(key).toString("hex"))]);
  assert.deepEqual(occurrences(pid, [...forms, Buffer.from(casKeyHash)]).slice(0, forms.length), [0, 0, 0, 0]);
  assert.ok((occurrences(pid, [Buffer.from(casKeyHash)])[0] ?? 0) > 0, "the search finds what is there");
});
