/**
 * Commits numbers into a database, one after the other, and says each on standard output once it is durable:
 * `commit-child.ts PATH COUNT [SINK]`. Each number goes into two rows and into the log, and before that into the audit log SINK.
 */
import { writeSync } from "node:fs";
import { openAuditSink } from "../audit/log-sinks.ts";
import { parseOwnerConfig } from "../config/owner-config.ts";
import { Database } from "../database/database.ts";
import { RowSeal } from "../store/row-seal.ts";
import { openSqliteRowStore } from "../store/sqlite-row-store.ts";

export const COMMIT_KEY = new Uint8Array(32).fill(5);
const [path = "", count = "0", sink] = process.argv.slice(2);

if (path !== "") {
  const store = await openSqliteRowStore(path);
  const database = await Database.open(store, new RowSeal(COMMIT_KEY));
  if (sink !== undefined) database.sink = openAuditSink(parseOwnerConfig('audit_log = {mode = "unsigned"}', "test"), sink);
  for (let n = 1; n <= Number(count); n += 1) {
    const written = database.transact((tx) => {
      for (const id of ["a", "b"]) tx.put({ kind: "number", id }, { n, padding: "x".repeat(n * 700) });
      tx.append({ time: "2026-01-01T00:00:00Z", cas: "c", event: "e", data: { n } });
    });
    const said = await written.then(
      () => `done ${n}\n`,
      (error: { code?: string }) => `refused ${n} ${error.code}\n`,
    );
    writeSync(1, said);
  }
  await store[Symbol.asyncDispose]();
  writeSync(1, "closed\n");
}
