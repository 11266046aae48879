import {
  type CreatorOption,
  calculateSessionHash,
  checkSessionFile,
  explainAttestation,
  PolicyError,
  readSessionFile,
  renderDiagnostics,
} from "@vouchsafe/policy";
import { openCasConfig } from "../../cas-config/cas-config-file.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { publicKeyPem } from "../self/self-show.ts";
import { checkOptions, readSessionText, showDiagnostics } from "./session-document.ts";

/** `session check FILE`: the session in normal form on standard output, and nothing else there. */
export async function sessionCheck(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readSessionText(file, shell);
  const { exitCode, output, diagnostics } = checkSessionFile(text, checkOptions(options, shell));
  if (hasFlag(options, "json")) {
    if (diagnostics.length > 0) shell.out(renderDiagnostics(diagnostics, { source: text, json: true }).trimEnd());
    return exitCode;
  }
  showDiagnostics(diagnostics, text, shell);
  if (exitCode !== 0) return exitCode;
  if (hasFlag(options, "explain")) {
    for (const service of readSessionFile(text, checkOptions(options, shell)).session?.services ?? []) {
      shell.note(`service ${service.name} ${explainAttestation(service)}`);
    }
  }
  shell.out(output.trimEnd());
  return ExitCode.ok;
}

/** `session calculate-hash FILE`: what `create` or `update` of this file would print (C-32). */
export async function sessionCalculateHash(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readSessionText(file, shell);
  const creator = await ownCreator(givenValue(options, "with-self-as-creator"), shell);
  try {
    const { exitCode, output, diagnostics } = calculateSessionHash(text, { ...checkOptions(options, shell), ...creator });
    showDiagnostics(diagnostics, text, shell);
    if (exitCode !== 0) return exitCode;
    const hash = output.trimEnd();
    shell.out(hasFlag(options, "json") ? JSON.stringify({ hash }) : hash);
    return ExitCode.ok;
  } catch (error) {
    if (!(error instanceof PolicyError) || error.code !== "CREATOR_NEEDED") throw error;
    throw new CliError("E-SESSION-CREATOR", error.message, { cause: error, remedy: "Give --with-self-as-creator tls (or signer)." });
  }
}

/** Who this client is as a creator (SL-53). */
async function ownCreator(kind: string | undefined, shell: Shell): Promise<CreatorOption> {
  if (kind === undefined) return {};
  const { keyHash, identity, signingKey } = await openCasConfig(shell);
  if (kind === "tls") return { creator: { kind: "certificate", keyHash, pem: identity.certificate } };
  const { pem, hash } = publicKeyPem(signingKey);
  return { creator: { kind: "signer", keyHash: hash, publicKey: pem } };
}
