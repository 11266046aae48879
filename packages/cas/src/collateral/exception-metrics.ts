import { type ExceptionState, exceptionState, listExceptions } from "@vouchsafe/policy";
import { Gauge, type Registry } from "prom-client";
import type { CasContext } from "../cas-context.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";

/** Counts the exceptions of all present policies by their state: `ending` is the alarm. No names of sessions. */
export function exceptionMetrics(registry: Registry, { database, now }: CasContext): void {
  const gauge: Gauge<"state"> = new Gauge({
    name: "vouchsafe_cas_policy_exceptions",
    help: "Exceptions in present policies: active, ending within 14 days, ended",
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      const counts: Record<ExceptionState, number> = { active: 0, ending: 0, ended: 0 };
      for (const name of database.ids("session")) {
        const version = await database.get<SessionVersion>(currentKey(name));
        for (const exception of version === undefined ? [] : listExceptions(version.session))
          counts[exceptionState(exception, now()).state] += 1;
      }
      for (const [state, count] of Object.entries(counts)) gauge.set({ state }, count);
    },
  });
}
