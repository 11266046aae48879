import type { Configuration } from "@vouchsafe/protocol";
import type { ImageDescription } from "./image-description.ts";
import { RuntimeError } from "./runtime-error.ts";

/** Exactly the policy's variables, and what the image's kind needs (MF-34). A variable of the container gets through only where the policy names it. */
export function programEnvironment(
  configuration: Pick<Configuration, "environment" | "hostVariables">,
  image: Pick<ImageDescription, "environment">,
  host: Readonly<Record<string, string>>,
): Record<string, string> {
  const fromHost = Object.fromEntries(configuration.hostVariables.map((name) => [name, host[name] ?? ""]));
  return { ...image.environment, ...configuration.environment, ...fromHost };
}

/** The policy's arguments; host arguments stand only where the policy has a marker for them (SL-66). */
export function programArgv(
  { arguments: given, hostArguments: markers }: Pick<Configuration, "arguments" | "hostArguments">,
  host: readonly string[],
): string[] {
  const replaced = [...given];
  for (const { at, hostArgument } of markers) {
    const value = host[hostArgument];
    if (value === undefined)
      throw new RuntimeError("R-PROGRAM", `the policy wants argument ${hostArgument} of the container, which has ${host.length - 1}`);
    replaced[at] = value;
  }
  return replaced;
}
