import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keyHashOf } from "@vouchsafe/policy";
import { CasTerms } from "@vouchsafe/protocol";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { z } from "zod";
import { CliError } from "../cli-error.ts";
import { obtainClientIdentity } from "../client-identity.ts";
import type { Shell } from "../shell.ts";

/** A CAS that this client attested (cas.md §11). */
const KnownCas = z.strictObject({
  /** `host:port` of the client API. */
  address: z.string(),
  /** Key hash of the CAS key: what is pinned from now on (C-57). */
  cas_key: z.string(),
  cas_software_key: z.string(),
  /** PEM: TLS, software and CAS certificate, as they were when it was attested. */
  chain: z.array(z.string()),
  session_encryption_key: z.string(),
  attested_at: z.string(),
  /** What its evidence proved then; absent where only its key was known. */
  evidence: z.strictObject({ kind: z.string(), code_identity: z.string(), platform: z.string() }).optional(),
  /** What this client accepts of its evidence, where somebody said so: counts again whenever nothing else is said. */
  terms: CasTerms.optional(),
});
export type KnownCas = z.infer<typeof KnownCas>;
/** As earlier versions of `kubectl provision` wrote it, in a file that holds the key of an owner. */
const FormerKnownCas = z
  .object({
    url: z.string(),
    key_hash: z.string(),
    software_key_hash: z.string(),
    chain: z.array(z.string()),
    session_encryption_key: z.string(),
  })
  .transform(
    ({ url, key_hash, software_key_hash, chain, session_encryption_key }): KnownCas => ({
      ...{ address: url.replace(/^https:\/\//, ""), cas_key: key_hash, cas_software_key: software_key_hash, chain, session_encryption_key },
      attested_at: new Date(0).toISOString(),
    }),
  );

const FORMAT = 1;
const ConfigFile = z.looseObject({
  format: z.int().default(FORMAT),
  identity_key: z.string(),
  signing_key: z.string(),
  certificate: z.string().optional(),
  default_cas: z.string().optional(),
  cas_db: z.record(z.string(), z.union([KnownCas, FormerKnownCas])).default({}),
});
type ConfigFile = z.infer<typeof ConfigFile>;

/** The client's own state: who it is, and which CAS it trusts. */
export interface CasConfig {
  /** TLS client identity, PEM. */
  readonly identity: { readonly certificate: string; readonly privateKey: string };
  readonly keyHash: string;
  readonly signingKey: KeyObject;
  readonly defaultCas: string | undefined;
  readonly known: ReadonlyMap<string, KnownCas>;
}

const LOCK_WAIT_MS = 10_000;
const LOCK_STALE_MS = 30_000;
const LOCK_POLL_MS = 25;

export function casConfigFile({ casConfig, environment }: Pick<Shell, "casConfig" | "environment">): string {
  return environment["SCONE_CLI_CONFIG"] || join(casConfig, "config.json");
}

/** Reads the client's state; keys and certificate are made at first use (C-20). Throws E-CAS-CONFIG. */
export async function openCasConfig(shell: Shell): Promise<CasConfig> {
  await obtainClientIdentity(shell);
  const file = await readConfig(casConfigFile(shell));
  const certificate =
    file.certificate ?? (await change(shell, (content) => ({ ...content, certificate: issue(content.identity_key) }))).certificate;
  if (certificate === undefined) throw new TypeError("a certificate was just written");
  return {
    identity: { certificate, privateKey: file.identity_key },
    keyHash: keyHashOf(createPublicKey(createPrivateKey(file.identity_key))),
    signingKey: createPrivateKey(file.signing_key),
    defaultCas: file.default_cas,
    known: new Map(Object.entries(file.cas_db)),
  };
}

/** Remembers an attested CAS; the first one becomes the default. */
export async function rememberCas(shell: Shell, name: string, cas: KnownCas): Promise<void> {
  await obtainClientIdentity(shell); // this may be the first command of all (C-20)
  await change(shell, (content) => ({
    ...content,
    default_cas: content.default_cas ?? name,
    cas_db: { ...content.cas_db, [name]: cas },
  }));
}

/** What is known under this very name. */
export async function findRememberedCas(shell: Shell, name: string): Promise<KnownCas | undefined> {
  await obtainClientIdentity(shell);
  return (await readConfig(casConfigFile(shell))).cas_db[name];
}

export async function setDefaultCas(shell: Shell, name: string): Promise<void> {
  await obtainClientIdentity(shell);
  await change(shell, (content) => {
    if (content.cas_db[name] === undefined) throw unknownCas(name, Object.keys(content.cas_db));
    return { ...content, default_cas: name };
  });
}

/** The CAS of this name or address, or the default one. Throws E-CAS-UNKNOWN. */
export function findKnownCas(config: CasConfig, name: string | undefined): { readonly name: string; readonly cas: KnownCas } {
  const wanted = name ?? config.defaultCas;
  if (wanted === undefined) {
    throw new CliError("E-CAS-UNKNOWN", "no CAS has been attested yet", {
      remedy: "Attest one with: vouchsafe cas attest ADDRESS -c KEY_HASH.",
    });
  }
  const byName = config.known.get(wanted);
  if (byName !== undefined) return { name: wanted, cas: byName };
  for (const [known, cas] of config.known) if (cas.address === wanted) return { name: known, cas };
  throw unknownCas(wanted, [...config.known.keys()]);
}

function unknownCas(name: string, known: readonly string[]): CliError {
  const remedy =
    known.length === 0 ? "Attest it with: vouchsafe cas attest." : `Attest it with: vouchsafe cas attest; known are ${known.join(", ")}.`;
  return new CliError("E-CAS-UNKNOWN", `the CAS ${name} has not been attested`, { remedy });
}

async function readConfig(path: string): Promise<ConfigFile> {
  const damaged = (detail: string, cause?: unknown) =>
    new CliError("E-CAS-CONFIG", `${path} ${detail}`, { cause, remedy: "Move it away; a new identity is made then." });
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch {
    throw damaged("cannot be read as JSON"); // the parser's message would quote keys
  }
  const parsed = ConfigFile.safeParse(value);
  if (!parsed.success) throw damaged("is no client configuration");
  if (parsed.data.format > FORMAT) {
    throw new CliError("E-CAS-CONFIG", `${path} was written by a newer program (format ${parsed.data.format})`, {
      remedy: "Update this program.",
    });
  }
  return parsed.data;
}

/** Read, change, write, with a lock: several programs may work at once. */
async function change(shell: Shell, edit: (content: ConfigFile) => ConfigFile): Promise<ConfigFile> {
  const path = casConfigFile(shell);
  const unlock = await lock(`${path}.lock`);
  try {
    const next = edit(await readConfig(path));
    await replaceFile(path, `${JSON.stringify({ ...next, format: FORMAT }, null, 2)}\n`);
    return next;
  } finally {
    await unlock();
  }
}

/** Atomic where the directory allows it; a single mounted file is overwritten in place. */
async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.${process.pid}.new`;
  try {
    await writeFile(fresh, text, { mode: 0o600 });
    await rename(fresh, path);
  } catch {
    await rm(fresh, { force: true }); // the directory cannot be written or renamed into: the file itself may still be
    await writeFile(path, text, { mode: 0o600 });
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  for (const deadline = Date.now() + LOCK_WAIT_MS; ; await sleep(LOCK_POLL_MS)) {
    try {
      const handle = await open(path, "wx", 0o600);
      await handle.close();
      return () => rm(path, { force: true });
    } catch (cause) {
      if (!isExisting(cause)) return async () => {}; // no lock can be made here (read-only directory): go on alone
    }
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0, // gone meanwhile
    );
    if (age > LOCK_STALE_MS) await rm(path, { force: true });
    if (Date.now() > deadline)
      throw new CliError("E-CAS-CONFIG", `${path} is held by another program`, { remedy: "Wait for it, or remove the file." });
  }
}

const isExisting = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "EEXIST";

/** Self-signed, subject alternative name `vouchsafe-cli`, practically without end (C-20). */
function issue(privateKey: string): string {
  const request = {
    isCa: false,
    commonName: "vouchsafe-cli",
    san: [{ kind: "dns" as const, value: "vouchsafe-cli" }],
    endpoint: undefined,
    validForSeconds: undefined,
    control: undefined,
  };
  const epoch = new Date("1975-01-01T00:05:00Z");
  return issueCertificate(request, { ownKey: createPrivateKey(privateKey) }, { now: epoch, random: systemRandomness }).pem;
}
