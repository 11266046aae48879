/**
 * `killed-upgrade.ts FILE`: starts a CAS on the files that FILE names, starts an upgrade as its owner, and kills itself (SIGKILL) before the n-th
 * time that the upgrade writes to a file or to the database. Prints `done` when there are fewer. For tests of C-79.
 */
import fs, { readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { CasClient } from "@vouchsafe/protocol";
import { startCas } from "../start-cas.ts";
import type { TestClient } from "./test-cas.ts";

export interface KilledUpgrade {
  readonly databasePath: string;
  readonly platformKeyPath: string;
  readonly owner: TestClient;
  /** From 1. */
  readonly killBefore: number;
}

type Functions = Record<string, (...given: unknown[]) => unknown>;

/** Every one of these functions counts, and the process ends before the n-th call. */
function killBefore(count: number, parts: readonly { readonly of: object; readonly names: readonly string[] }[]): void {
  let calls = 0;
  for (const { of, names } of parts) {
    const functions = of as Functions; // any function can be wrapped without knowing what it takes
    for (const name of names) {
      const original = functions[name];
      if (original === undefined) throw new TypeError(`there is no function ${name}`);
      functions[name] = function counted(this: unknown, ...given) {
        calls += 1;
        if (calls === count) process.kill(process.pid, "SIGKILL");
        return original.apply(this, given);
      };
    }
  }
  syncBuiltinESMExports();
}

const { databasePath, platformKeyPath, owner, killBefore: count }: KilledUpgrade = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
const listen = { host: "127.0.0.1", port: 0 };
const cas = await startCas({ databasePath, platformKeyPath, clientListen: listen, serviceListen: listen, writeLine: () => {} });
const client = new CasClient({ ...cas.clientAddress, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: owner });
await client.version();
killBefore(count, [
  { of: fs, names: ["openSync", "writeSync", "fsyncSync", "renameSync"] },
  { of: DatabaseSync.prototype, names: ["exec"] },
  { of: StatementSync.prototype, names: ["run"] },
]);
await client.startUpgrade();
process.stdout.write("done\n");
process.exit(0);
