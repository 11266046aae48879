import { CAS_TOLERANCES, type RegisteredInstance } from "@vouchsafe/protocol";
import { withCasSession } from "../../cas-config/cas-session.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";

type Purpose = RegisteredInstance["purpose"];

/** `cas register-backup ADDRESS`: lets a CAS on another machine open the database of this one (C-74). */
export const casRegisterBackup = (options: ParsedOptions, shell: Shell): Promise<number> => register("backup", options, shell);

/** `cas register-upgrade ADDRESS`: the same for a CAS with newer software (C-78). */
export const casRegisterUpgrade = (options: ParsedOptions, shell: Shell): Promise<number> => register("upgrade", options, shell);

/** `cas remove-backup NAME`: what is written from now on is not for that instance any more. */
export const casRemoveBackup = (options: ParsedOptions, shell: Shell): Promise<number> => remove("backup", options, shell);

export const casRemoveUpgrade = (options: ParsedOptions, shell: Shell): Promise<number> => remove("upgrade", options, shell);

/** `cas list-backups`: who may open the database besides the CAS itself. */
export async function casListBackups(options: ParsedOptions, shell: Shell): Promise<number> {
  return withCasSession(options, shell, "the registered instances were not listed", async ({ client, retry }) => {
    const instances = await retry(() => client.registeredInstances());
    if (hasFlag(options, "json")) shell.out(JSON.stringify(instances));
    else
      for (const { purpose, name, address, version, at } of instances)
        shell.out(`${purpose} ${name}  ${address}  version ${version}  ${at}`);
    return ExitCode.ok;
  });
}

/** `cas start-upgrade`: gives the database a new key, which the former software does not get (C-78). */
export async function casStartUpgrade(options: ParsedOptions, shell: Shell): Promise<number> {
  if (!hasFlag(options, "yes")) {
    throw usage(
      "E-CONFIRM",
      "this ends the former software's access to the database; it cannot be undone",
      "Say --yes when you want that.",
    );
  }
  return withCasSession(options, shell, "the upgrade was not started", async ({ client, name }) => {
    const upgrade = await client.startUpgrade();
    if (hasFlag(options, "json")) shell.out(JSON.stringify(upgrade));
    else shell.out(`the database of CAS ${name} has a new key, for version ${upgrade.version}`);
    if (upgrade.kept.length > 0) shell.note(`backups of this version keep access: ${upgrade.kept.join(", ")}`);
    if (upgrade.removed.length > 0) {
      shell.note(
        `warning: of another version, and without access now: ${upgrade.removed.join(", ")}. Register them again once they are upgraded.`,
      );
    }
    return ExitCode.ok;
  });
}

async function register(purpose: Purpose, options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = ""] = options.operands;
  const casKeyHash = givenValue(options, "cas-key-hash");
  const softwareKeyHash = givenValue(options, "cas-software-key-hash");
  const name = givenValue(options, "name");
  const mrenclave = givenValues(options, "mrenclave").map((text) => text.toLowerCase());
  const tolerate = CAS_TOLERANCES.filter((tolerance) => hasFlag(options, tolerance));
  return withCasSession(options, shell, `the CAS ${address} was not registered as ${purpose}`, async ({ client, retry }) => {
    const request = {
      address: address.replace(/^https:\/\//, "").replace(/\/$/, ""),
      ...(casKeyHash === undefined ? {} : { casKeyHash }),
      ...(softwareKeyHash === undefined ? {} : { softwareKeyHash }),
      ...(name === undefined ? {} : { name }),
      ...(mrenclave.length === 0 ? {} : { mrenclave }),
      ...(tolerate.length === 0 ? {} : { tolerate }),
    };
    const registered = await retry(() => client.registerInstance(purpose, request));
    if (registered.evidence === undefined)
      shell.note(`warning: no TEE protects the CAS ${address}: the root user of its machine can read what this CAS keeps`);
    else shell.note(`notice: evidence of kind ${registered.evidence} proves what the CAS ${address} is`);
    if (hasFlag(options, "json")) shell.out(JSON.stringify(registered));
    else shell.out(purpose === "backup" ? "Backup CAS registered" : "Upgrade CAS registered");
    return ExitCode.ok;
  });
}

async function remove(purpose: Purpose, options: ParsedOptions, shell: Shell): Promise<number> {
  const [name = ""] = options.operands;
  return withCasSession(options, shell, `the ${purpose} ${name} was not removed`, async ({ client }) => {
    await client.removeInstance(purpose, name);
    shell.out(`the ${purpose} ${name} is removed`);
    shell.note("notice: it still opens copies of the key store that were made before; a new database key comes with cas start-upgrade");
    return ExitCode.ok;
  });
}
