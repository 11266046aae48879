import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { keyHashOf, keyHashOfPem } from "@vouchsafe/policy";
import { openCasConfig } from "../../cas-config/cas-config-file.ts";
import { CliError } from "../../cli-error.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

interface Self {
  readonly certificate: string;
  readonly keyHash: string;
  readonly sessionSigningKey: string;
}

async function self(shell: Shell): Promise<Self> {
  const { identity, keyHash, signingKey } = await openCasConfig(shell);
  return { certificate: identity.certificate.trimEnd(), keyHash, sessionSigningKey: publicKeyPem(signingKey).pem.trimEnd() };
}

/** Public half of a signing key as policies name it: PEM, and its key hash. */
export function publicKeyPem(privateKey: KeyObject): { readonly pem: string; readonly hash: string } {
  const key = createPublicKey(privateKey);
  return { pem: key.export({ type: "spki", format: "pem" }).toString(), hash: keyHashOf(key) };
}

/** `self show`: certificate, key hash and session-signing key of this client, made at first use. */
export async function selfShow(options: ParsedOptions, shell: Shell): Promise<number> {
  const found = await self(shell);
  if (hasFlag(options, "json")) shell.out(JSON.stringify(found));
  else shell.out([found.certificate, `key hash: ${found.keyHash}`, found.sessionSigningKey].join("\n"));
  return ExitCode.ok;
}

/** One of them alone, for scripts. */
export const selfShowPart = (part: keyof Self) => async (_options: ParsedOptions, shell: Shell) => {
  shell.out((await self(shell))[part]);
  return ExitCode.ok;
};

/** `self show-certificate-hash`: the form of language 0.2, which policies no longer take. */
export async function selfShowCertificateHash(_options: ParsedOptions, shell: Shell): Promise<number> {
  const { certificate } = await self(shell);
  shell.note("warning: certificate hashes are deprecated; policies take the key hash (self show-key-hash)");
  shell.out(createHash("sha256").update(new X509Certificate(certificate).raw).digest("hex"));
  return ExitCode.ok;
}

/** `cert show-key-hash FILE`: how policies name the key of a certificate. */
export async function certShowKeyHash(options: ParsedOptions, shell: Shell): Promise<number> {
  const [file = ""] = options.operands;
  const bytes =
    file === "-" ? await shell.readInput() : await readFile(file).catch((cause: unknown) => Promise.reject(unreadable(file, cause)));
  const keyHash = keyHashOfPem(Buffer.from(bytes).toString("latin1"));
  shell.out(hasFlag(options, "json") ? JSON.stringify({ keyHash }) : keyHash);
  return ExitCode.ok;
}

const unreadable = (file: string, cause: unknown) => new CliError("E-FILE", `${file} cannot be read`, { cause });
