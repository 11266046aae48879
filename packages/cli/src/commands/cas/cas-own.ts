import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { casConfigFile, openCasConfig } from "../../cas-config/cas-config-file.ts";
import { reportCasFailure } from "../../cas-config/cas-failure.ts";
import { clientIdentity, withCasSession, withClient } from "../../cas-config/cas-session.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { attestRules } from "./attest-rules.ts";
import { attestCas } from "./cas-attest.ts";

/** `cas provision ADDRESS -c HASH --token T --config-file F`: makes this client the owner. Nothing secret is sent before the CAS was verified (C-12). */
export async function casProvision(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = "", mode] = options.operands;
  const token = givenValue(options, "token");
  const file = givenValue(options, "config-file");
  const rules = attestRules(options);
  if (rules.casKeyHash === undefined || token === undefined || file === undefined) {
    throw usage(
      "E-OPTION-MISSING",
      "-c HASH, --token TOKEN and --config-file FILE are needed",
      "The CAS prints hash and token at its start.",
    );
  }
  const isUnattested = mode === "only_for_testing-without-attestation";
  if (mode !== undefined && !isUnattested && mode !== "with-attestation") {
    throw usage("E-ARGUMENT", `${JSON.stringify(mode)} is not expected`, "Say with-attestation or only_for_testing-without-attestation.");
  }
  if (givenValue(options, "database-key") !== undefined) {
    const remedy =
      "Leave it out: the CAS makes the key itself, and recovery keys in the owner configuration open the database when it is lost.";
    throw usage("E-OPTION-UNSUPPORTED", "this build forbids to bring a database key: its owner could read all secrets", remedy);
  }
  const config = await openCasConfig(shell);
  const identity = await clientIdentity(givenValue(options, "identity"), config);
  shell.note(
    "notice: the holder of this client's key becomes the owner of the CAS. Whoever loses it can never again change the configuration.",
  );
  if (isContainer(shell)) shell.note(`warning: this runs in a container: keep ${casConfigFile(shell)} where it outlives it`);
  try {
    return await withClient(address, rules, identity, async (client) => {
      if (isUnattested) shell.note("warning: the CAS is not attested, only its key is verified");
      else await attestCas(client, { ...rules, allowsUnprovisioned: true }, shell);
      const { ownerKeyHash } = await client.provision(token, await readFile(file, "utf8"));
      shell.out(`CAS ${address} is provisioned; its owner is ${ownerKeyHash}`);
      return ExitCode.ok;
    });
  } catch (error) {
    return reportCasFailure(error, `provisioning of CAS ${address} failed`, shell);
  }
}

/** As far as container engines say so. */
const isContainer = ({ environment }: Pick<Shell, "environment">): boolean =>
  Boolean(environment["container"] || environment["KUBERNETES_SERVICE_HOST"]) ||
  existsSync("/.dockerenv") ||
  existsSync("/run/.containerenv");

/** `cas update-config --config-file F`: replaces the owner configuration. */
export async function casUpdateConfig(options: ParsedOptions, shell: Shell): Promise<number> {
  const file = givenValue(options, "config-file");
  if (file === undefined) throw usage("E-OPTION-MISSING", "--config-file FILE is needed");
  return withCasSession(options, shell, "the configuration of the CAS was not changed", async ({ client, name, retry }) => {
    const text = await readFile(file, "utf8");
    await retry(() => client.updateConfig(text));
    shell.out(`the configuration of CAS ${name} was updated`);
    return ExitCode.ok;
  });
}

/** `cas accept-rollback`: confirms, as the owner, that the CAS lost its newest changes (C-5). */
export async function casAcceptRollback(options: ParsedOptions, shell: Shell): Promise<number> {
  if (!hasFlag(options, "yes")) {
    throw usage("E-CONFIRM", "this makes the loss of the newest sessions, secrets and tags final", "Say --yes when you want that.");
  }
  return withCasSession(options, shell, "the roll-back of the CAS was not accepted", async ({ client }) => {
    shell.out(await client.acceptRollback());
    return ExitCode.ok;
  });
}
