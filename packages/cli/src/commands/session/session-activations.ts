import { withCasSession } from "../../cas-config/cas-session.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `session activations SESSION`: counts of starts and running instances, beside their limits. */
export async function sessionActivations(options: ParsedOptions, shell: Shell): Promise<number> {
  const [session = ""] = options.operands;
  return withCasSession(options, shell, `the activations of session ${session} were not read`, async ({ client, retry }) => {
    const { services } = await retry(() => client.activations(session));
    if (hasFlag(options, "json")) shell.out(JSON.stringify(services));
    else {
      const of = (limit: number | null) => (limit === null ? "" : ` of ${limit}`);
      for (const { name, activations, maxActivations, running, maxRunning } of services)
        shell.out(`${name}: started ${activations}${of(maxActivations)}, running ${running}${of(maxRunning)}`);
    }
    return ExitCode.ok;
  });
}
