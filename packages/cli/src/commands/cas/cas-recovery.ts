import { createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CasError, signShare } from "@vouchsafe/cas";
import { CasAttestation, RecoveryRequest, requestCasStatement, SignedShare, verifyCasStatement } from "@vouchsafe/protocol";
import { z } from "zod";
import { openCasConfig } from "../../cas-config/cas-config-file.ts";
import { reportCasFailure } from "../../cas-config/cas-failure.ts";
import { clientIdentity, withClient } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** What a holder gets from whoever operates the CAS: its signed statement with the recovery key, and the encrypted shares. */
const RecoveryFile = z.strictObject({
  format: z.literal("vouchsafe/recovery-request/1"),
  attestation: CasAttestation,
  /** What the statement was asked for with. */
  nonce: z.string().max(256),
  request: RecoveryRequest,
});

/** `cas recovery export-key ADDRESS -c HASH`: the recovery key of a CAS that waits for holders, with their encrypted shares. */
export async function casRecoveryExportKey(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = ""] = options.operands;
  const casKeyHash = requiredHash(options);
  try {
    return await withClient(address, { casKeyHash }, undefined, async (client) => {
      const { signedStatement, signature, evidence, statement } = await requestCasStatement(client, { casKeyHash }, new Date());
      if (statement.recoveryKey === null) throw new CliError("E-CAS-RECOVERY", `the CAS is ${statement.state}: nothing is to be recovered`);
      const request = await client.recovery();
      const file = {
        format: "vouchsafe/recovery-request/1",
        attestation: { statement: signedStatement, signature, evidence },
        nonce: statement.nonce,
        request,
      };
      shell.out(JSON.stringify(file, undefined, 2));
      shell.note(
        `${request.threshold} of ${new Set(request.shares.map(({ holder }) => holder)).size} holders are needed for the CAS ${request.cas}`,
      );
      return ExitCode.ok;
    });
  } catch (error) {
    return reportCasFailure(error, `the recovery key of the CAS ${address} was not exported`, shell);
  }
}

/** `cas recovery sign-share FILE -c HASH`: the holder's part, without network. */
export async function casRecoverySignShare(options: ParsedOptions, shell: Shell): Promise<number> {
  const [path = ""] = options.operands;
  const casKeyHash = requiredHash(options);
  try {
    const { attestation, nonce, request } = await readJson(RecoveryFile, path);
    const { statement } = verifyCasStatement(attestation, nonce, { casKeyHash }, new Date());
    if (statement.recoveryKey === null) throw new CliError("E-CAS-RECOVERY", `the statement in ${path} is not that of a CAS in recovery`);
    const { privateKey } = await clientIdentity(givenValue(options, "identity"), await openCasConfig(shell));
    const share = await signShare(request, statement.recoveryKey, createPrivateKey(privateKey)).catch((error: unknown) => {
      throw error instanceof CasError ? asCliError(error) : error;
    });
    shell.note(`warning: no TEE protects the CAS with the key ${casKeyHash}: whoever operates it gets what the CAS ${request.cas} keeps`);
    shell.out(JSON.stringify(share, undefined, 2));
    return ExitCode.ok;
  } catch (error) {
    return reportCasFailure(error, "the share was not signed", shell);
  }
}

/** `cas recovery submit-share ADDRESS FILE -c HASH`: hands a signed share in; who hands it in does not matter. */
export async function casRecoverySubmitShare(options: ParsedOptions, shell: Shell): Promise<number> {
  const [address = "", path = ""] = options.operands;
  const casKeyHash = requiredHash(options);
  try {
    const share = await readJson(SignedShare, path);
    return await withClient(address, { casKeyHash }, undefined, async (client) => {
      const accepted = await client.submitShare(share);
      if (hasFlag(options, "json")) shell.out(JSON.stringify(accepted));
      else if (accepted.missing > 0) shell.out(`the share is accepted; ${accepted.missing} more needed`);
      else shell.out("the share is accepted; the database key is recovered, and the CAS starts");
      return ExitCode.ok;
    });
  } catch (error) {
    return reportCasFailure(error, `the share was not handed in to the CAS ${address}`, shell);
  }
}

function requiredHash(options: ParsedOptions): string {
  const hash = givenValue(options, "cas-key-hash");
  if (hash !== undefined) return hash;
  throw usage("E-OPTION-MISSING", "-c HASH is needed", "A CAS that waits for holders prints it: CAS recovery key hash.");
}

async function readJson<T>(schema: z.ZodType<T>, path: string): Promise<T> {
  const unreadable = (cause: unknown) => new CliError("E-CAS-RECOVERY", `${path} is not the file that is needed here`, { cause });
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new CliError("E-CAS-RECOVERY", `${path} cannot be read`, { cause });
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw unreadable(cause);
  }
}

const asCliError = ({ message, remedy, cause }: CasError): CliError =>
  new CliError("E-CAS-RECOVERY", message, { cause, ...(remedy === undefined ? {} : { remedy }) });
