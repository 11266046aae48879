import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  addRawSignature,
  encodeSignedSession,
  encryptSessionFile,
  isSignedSession,
  readSessionFile,
  sessionSigningMessage,
  signSessionFile,
  textToSign,
  verifySignedSession,
} from "@vouchsafe/policy";
import { findKnownCas, openCasConfig } from "../../cas-config/cas-config-file.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { findNearestWord } from "../../nearest-word.ts";
import { usage } from "../../parse-options.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { checkOptions, readSessionText, showDiagnostics } from "./session-document.ts";

const WAYS = ["sign-with-cli-identity", "generate-message-to-be-signed", "add-signature"] as const;

/** `session sign FILE [WAY …]`: with this client's key, or in two steps with another tool's. */
export async function sessionSign(options: ParsedOptions, shell: Shell): Promise<number> {
  const [, way = "sign-with-cli-identity"] = options.operands;
  switch (way) {
    case "sign-with-cli-identity":
      expectOperands(options, 2);
      return signWithKey(options, shell);
    case "generate-message-to-be-signed":
      expectOperands(options, 3);
      return generateMessage(options, shell);
    case "add-signature":
      return addSignature(options, shell);
    default: {
      const near = findNearestWord(way, WAYS, 6);
      throw usage("E-ARGUMENT", `${JSON.stringify(way)} is no way to sign; expected ${WAYS.join(", ")}`, near && `Did you mean ${near}?`);
    }
  }
}

function expectOperands({ operands }: ParsedOptions, most: number): void {
  const extra = operands[most];
  if (extra !== undefined) throw usage("E-ARGUMENT", `the argument ${JSON.stringify(extra)} is not expected`);
}

async function signWithKey(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readSessionText(file, shell);
  const { exitCode, output, diagnostics } = signSessionFile(text, await signingKey(options, shell), checkOptions(options, shell));
  showDiagnostics(diagnostics, text, shell);
  if (exitCode === 0) shell.out(output.trimEnd());
  return exitCode;
}

async function signingKey(options: ParsedOptions, shell: Shell): Promise<KeyObject> {
  const file = givenValue(options, "key");
  if (file === undefined) return (await openCasConfig(shell)).signingKey;
  const pem = await readFile(file, "utf8").catch((cause: unknown) => Promise.reject(unreadable(file, cause)));
  try {
    return createPrivateKey(pem);
  } catch {
    throw new CliError("E-IDENTITY", `${file} is no PEM private key`, { remedy: "Give an unencrypted PKCS#8 key, Ed25519 or P-384." });
  }
}

/** The exact bytes that another tool signs (SL-189). */
async function generateMessage(options: ParsedOptions, shell: Shell): Promise<number> {
  const policy = await policyToSign(options, shell);
  if (policy === undefined) return ExitCode.failed;
  if (shell.isOutTerminal && !hasFlag(options, "force")) {
    throw new CliError("E-TERMINAL", "the message is binary and standard output is a terminal", { remedy: "Redirect it, or give -f." });
  }
  shell.outBytes(sessionSigningMessage(policy));
  return ExitCode.ok;
}

/** Adds a signature that another tool made over the message (SL-190). */
async function addSignature(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = "", , signerFile, base64] = options.operands;
  if (signerFile === undefined) throw usage("E-ARGUMENT", "the signer is missing", "Give the file of its PEM public key.");
  const signer = await readFile(signerFile, "utf8").catch((cause: unknown) => Promise.reject(unreadable(signerFile, cause)));
  const signature = base64 === undefined ? await shell.readInput() : fromBase64(base64);
  const text = await readSessionText(file, shell);
  if (isSignedSession(text)) {
    shell.out(encodeSignedSession(addRawSignature(verifySignedSession(text), signer, signature)).trimEnd());
    return ExitCode.ok;
  }
  const policy = await policyToSign(options, shell, text);
  if (policy === undefined) return ExitCode.failed;
  shell.out(encodeSignedSession(addRawSignature({ policy, signatures: [] }, signer, signature)).trimEnd());
  return ExitCode.ok;
}

/** The text a signature covers; undefined after its errors were shown. */
async function policyToSign(options: ParsedOptions, shell: Shell, given?: string): Promise<string | undefined> {
  const [file = ""] = options.operands;
  const text = given ?? (await readSessionText(file, shell));
  const checking = checkOptions(options, shell);
  const read = readSessionFile(text, checking);
  showDiagnostics(read.diagnostics, read.policy, shell);
  if (read.session === undefined) return undefined;
  return read.form === "signed" ? read.policy : textToSign(read, read.session, checking);
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw usage("E-ARGUMENT", "the signature is no base64");
  }
}

/** `session encrypt FILE`: for one CAS, signed first if needed (SL-194). */
export async function sessionEncrypt(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const text = await readSessionText(file, shell);
  const config = await openCasConfig(shell);
  const [key, cas] = [givenValue(options, "key"), givenValue(options, "cas")];
  if (key !== undefined && cas !== undefined) throw usage("E-OPTION-VALUE", "--key with --cas", "Give one of them.");
  const { exitCode, output, diagnostics } = encryptSessionFile(text, {
    ...checkOptions(options, shell),
    casEncryptionKey: key ?? findKnownCas(config, cas).cas.session_encryption_key,
    ephemeralSeed: randomBytes(32),
    signingKey: config.signingKey,
  });
  showDiagnostics(diagnostics, text, shell);
  if (exitCode === 0) shell.out(output.trimEnd());
  return exitCode;
}

const unreadable = (file: string, cause: unknown) => new CliError("E-FILE", `${file} cannot be read`, { cause });
