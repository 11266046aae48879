import { X509Certificate } from "node:crypto";
import { CAS_VERSION } from "@vouchsafe/cas";
import { findKnownCas, openCasConfig, setDefaultCas } from "../../cas-config/cas-config-file.ts";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";

/** `cas list`: one line for each attested CAS, `* ` before the default. */
export async function casList(options: ParsedOptions, shell: Shell): Promise<number> {
  const { known, defaultCas } = await openCasConfig(shell);
  if (hasFlag(options, "json")) {
    const list = [...known].map(([name, cas]) => ({ name, url: urlOf(cas.address), key: cas.cas_key, isDefault: name === defaultCas }));
    shell.out(JSON.stringify(list));
    return ExitCode.ok;
  }
  for (const [name, { address }] of known) shell.out(`${name === defaultCas ? "* " : "  "}${name}: ${urlOf(address)}`);
  return ExitCode.ok;
}

/** `cas set-default NAME`. */
export async function casSetDefault({ operands: [name = ""] }: ParsedOptions, shell: Shell): Promise<number> {
  await setDefaultCas(shell, name);
  return ExitCode.ok;
}

/** `cas show-identification [CAS]`: chain, or one of its parts. */
export async function casShowIdentification(options: ParsedOptions, shell: Shell): Promise<number> {
  const { cas } = findKnownCas(await openCasConfig(shell), options.operands[0]);
  const [tls = "", software = "", root = ""] = cas.chain;
  if (hasFlag(options, "cas-key-hash")) shell.out(cas.cas_key);
  else if (hasFlag(options, "cas-certificate")) shell.out(root.trimEnd());
  else if (hasFlag(options, "software-key-hash")) shell.out(cas.cas_software_key);
  else if (hasFlag(options, "software-certificate")) shell.out(software.trimEnd());
  else if (hasFlag(options, "session-encryption-key")) shell.out(cas.session_encryption_key);
  else shell.out([tls, software, root].join("").trimEnd());
  return ExitCode.ok;
}

/** `cas show-certificate [CAS]`: instance certificate, then root. */
export async function casShowCertificate(options: ParsedOptions, shell: Shell): Promise<number> {
  const { cas } = findKnownCas(await openCasConfig(shell), options.operands[0]);
  const [, software = "", root = ""] = cas.chain;
  shell.out(`${new X509Certificate(software).toString()}${root}`.trimEnd());
  return ExitCode.ok;
}

/** `cas version`: of the CAS software that this program brings. */
export async function casVersion(_options: ParsedOptions, shell: Shell): Promise<number> {
  shell.out(CAS_VERSION);
  return ExitCode.ok;
}

const urlOf = (address: string): string => `https://${address.includes(":") ? address : `${address}:8081`}/`;
