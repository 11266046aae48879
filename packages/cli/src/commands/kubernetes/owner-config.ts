import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "../../cli-error.ts";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

const DEFAULT_COLLATERAL_KEY = "0".repeat(32);

/** Key of --dcap-api or DCAP_KEY; undefined where nobody has one, which 32 zeros say too. Throws E-OPTION-VALUE. */
export function collateralKey(options: ParsedOptions, { environment }: Pick<Shell, "environment">): string | undefined {
  const given = givenValue(options, "dcap-api");
  const key = given ?? (environment["DCAP_KEY"] || DEFAULT_COLLATERAL_KEY);
  if (!/^[0-9a-fA-F]{32}$/.test(key)) {
    const source = given === undefined ? "DCAP_KEY" : "--dcap-api";
    throw new CliError("E-OPTION-VALUE", `${source} needs 32 hex digits`, { isUsage: true });
  }
  return key === DEFAULT_COLLATERAL_KEY ? undefined : key;
}

export interface GivenOwnerConfig {
  /** TOML. */
  readonly text: string;
  /** An option named it: it replaces the configuration of a CAS that is owned already. */
  readonly isExplicit: boolean;
}

/** Owner configuration from --owner-config, or made of --dcap-api and --webhook (cas.md section 4). Throws E-OPTION-VALUE, E-FILE-MISSING. */
export async function readOwnerConfig(options: ParsedOptions, { directory, environment }: Shell): Promise<GivenOwnerConfig> {
  const file = givenValue(options, "owner-config");
  const webhook = givenValue(options, "webhook");
  const key = givenValue(options, "dcap-api");
  if (file !== undefined) {
    if (webhook !== undefined || key !== undefined) {
      throw new CliError(
        "E-OPTION-VALUE",
        `--owner-config says everything: ${webhook === undefined ? "--dcap-api" : "--webhook"} cannot be added`,
        {
          remedy: webhook === undefined ? "Write it into the file as dcap.subscription_key." : "Write it into the file as audit_log.url.",
          isUsage: true,
        },
      );
    }
    const text = await readFile(resolve(directory, file), "utf8").catch((cause: unknown) => {
      throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause });
    });
    return { text, isExplicit: true };
  }
  const collateral = collateralKey(options, { environment }) ?? DEFAULT_COLLATERAL_KEY;
  const sections = [`[dcap]\nsubscription_key = "${collateral}"\n`];
  if (webhook !== undefined)
    sections.push(`[audit_log]\nmode = "signed"\nsink = "network"\nurl = ${JSON.stringify(auditAddress(webhook))}\n`);
  return { text: sections.join("\n"), isExplicit: webhook !== undefined || key !== undefined };
}

function auditAddress(given: string): string {
  if (URL.canParse(given) && given.startsWith("https://")) return new URL(given).href;
  throw new CliError("E-OPTION-VALUE", `--webhook does not take ${JSON.stringify(given)}: it needs an https address`, { isUsage: true });
}
