import { withCasSession } from "../../cas-config/cas-session.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `session exceptions SESSION`: what is accepted for a time, the soonest end first. Exits 3 when something needs attention. */
export async function sessionExceptions(options: ParsedOptions, shell: Shell): Promise<number> {
  const [name = ""] = options.operands;
  return withCasSession(options, shell, `the exceptions of session ${name} were not read`, async ({ client, retry }) => {
    const { exceptions } = await retry(() => client.sessionExceptions(name));
    const sorted = exceptions.toSorted((a, b) => (a.until < b.until ? -1 : 1));
    if (hasFlag(options, "json")) shell.out(JSON.stringify({ exceptions: sorted }));
    else if (sorted.length === 0) shell.note(`session ${name} makes no exceptions`);
    else {
      for (const { service, tolerate, ignoreAdvisories, until, because, state, daysLeft } of sorted) {
        const left = state === "ended" ? "ended" : `${daysLeft} days left`;
        const where = service === null ? "" : ` (service ${service})`;
        shell.out(`${until}  ${left}: ${[...tolerate, ...ignoreAdvisories].join(", ")}${where}: ${JSON.stringify(because)}`);
      }
    }
    return sorted.some(({ state }) => state !== "active") ? ExitCode.refused : ExitCode.ok;
  });
}
