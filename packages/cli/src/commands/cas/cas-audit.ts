import { readFile } from "node:fs/promises";
import { type LogExpectations, type LogVerdict, provenLogKeys, verifyAuditLog } from "@vouchsafe/cas";
import { ProtocolError } from "@vouchsafe/protocol";
import { findKnownCas, type KnownCas, openCasConfig } from "../../cas-config/cas-config-file.ts";
import { clientIdentity, withClient } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import type { Shell } from "../../shell.ts";

const VERDICTS: Readonly<Record<LogVerdict["exit"], string>> = {
  20: "the log cannot be read, or a signature is wrong",
  19: "the log belongs to another CAS",
  18: "roll-back",
  17: "roll-back or missing entries",
  16: "a roll-back cannot be excluded",
  15: "the oldest entries are missing",
  14: "the newest entries are missing",
  10: "correct, with an entry that was written and not committed",
  0: "correct and complete",
};

/** `cas verify-audit-log FILE`: verdict on standard error, with `-p` the entries on standard output; exit codes of cas.md §15. */
export async function casVerifyAuditLog(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readLog(file);
  const config = await openCasConfig(shell);
  const { cas } = findKnownCas(config, givenValue(options, "cas"));
  const identity = await clientIdentity(givenValue(options, "identity"), config);
  const asked = await askCas(cas, givenValue(options, "cas-key-hash"), identity, shell);
  const [, , root = ""] = cas.chain;
  const verdict = verifyAuditLog(text, {
    casKeyHash: cas.cas_key,
    verifierKeys: asked?.keys ?? provenLogKeys(text, root),
    checkpoints: asked?.checkpoints,
    ...rotation(options),
  });
  return reportVerdict(file, verdict, options, shell);
}

export function readLog(file: string): Promise<string> {
  return readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE", `${file} cannot be read`, { cause });
  });
}

/** Where a file of a rotated log begins and has to end (C-88). */
export function rotation(options: ParsedOptions): Pick<LogExpectations, "predecessor" | "last"> {
  const [predecessor, last] = [count(options, "predecessor"), count(options, "last")];
  return { ...(predecessor === undefined ? {} : { predecessor }), ...(last === undefined ? {} : { last }) };
}

/** Says the verdict and its reasons, and with `-p` the entries (C-89). Its exit code. */
export function reportVerdict(file: string, verdict: LogVerdict, options: ParsedOptions, shell: Shell): number {
  if (hasFlag(options, "print")) {
    for (const { sequence, time, event, data } of verdict.entries) shell.out(`${sequence} ${time} ${event} ${JSON.stringify(data)}`);
  }
  shell.note(`${file}: ${VERDICTS[verdict.exit]}`);
  for (const reason of verdict.reasons) shell.note(`  ${reason}`);
  return verdict.exit;
}

/** Keys and checkpoints of the CAS now; undefined where it does not answer, which the verdict then says. */
export async function askCas(
  cas: KnownCas,
  pinned: string | undefined,
  identity: { certificate: string; privateKey: string },
  { note }: Shell,
) {
  if (pinned !== undefined && pinned !== cas.cas_key)
    throw usage("E-OPTION-VALUE", `the attested CAS has the key ${cas.cas_key}, not ${pinned}`);
  try {
    return await withClient(cas.address, { casKeyHash: cas.cas_key }, identity, (client) =>
      client.auditCheckpoints(1, Number.MAX_SAFE_INTEGER),
    );
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    note(`warning: the CAS gave no checkpoints: ${error.message}`);
    return undefined;
  }
}

function count(options: ParsedOptions, name: string): number | undefined {
  const text = givenValue(options, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw usage("E-OPTION-VALUE", `--${name} is the number of an entry`);
  return Number(text);
}
