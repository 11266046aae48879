import { X509Certificate } from "node:crypto";
import { join, resolve } from "node:path";
import {
  type Attested,
  attestCas,
  type CasName,
  type CasWait,
  type Cluster,
  copySnapshot,
  createCas,
  findCas,
  type OwnershipOptions,
  ownCas,
  pinKey,
  readClaim,
  readSnapshot,
  recoverDatabase,
  untilBackups,
  untilHealthy,
  updateBackupPolicy,
  upgradeCas,
  writeTerms,
} from "@vouchsafe/kubernetes";
import { keyHashOf } from "@vouchsafe/policy";
import { openCasConfig } from "../../cas-config/cas-config-file.ts";
import { readIdentityFile } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { casImage, readCasManifest } from "./cas-manifest.ts";
import { findKnown, noteAttested, qualified, rememberAttested } from "./known-cas.ts";
import { type GivenOwnerConfig, readOwnerConfig } from "./owner-config.ts";
import { judgeOf, type ProvisionTerms, provisionTerms } from "./provision-terms.ts";
import { signedImage } from "./signed-image.ts";

/* The actions of `kubectl provision` that change a CAS (cli.md section 9). */

const PROVISION_TIMEOUT_MS = 180_000;
export const READ_TIMEOUT_MS = 60_000;

export const missing = (cas: CasName): CliError =>
  new CliError("E-CAS-MISSING", `there is no CAS ${cas.name} in the namespace ${cas.namespace}`, {
    remedy: `Create it: kubectl provision cas ${cas.name} -n ${cas.namespace}`,
  });

/** Creates what is missing, claims the CAS, and returns when the operator sees it healthy (CL-46). */
export async function takeOwnership(cluster: Cluster, cas: CasName, options: ParsedOptions, shell: Shell): Promise<number> {
  const wait = await casWait(cas, options, shell);
  const manifest = await readCasManifest(cas, options, shell);
  const config = await readOwnerConfig(options, shell);
  const owner = await ownerIdentity(options, shell);
  const attested = await createCas(cluster, { ...wait, ...manifest, terms: termsToWrite(wait) });
  noteAttested(attested, shell);
  const chosen = chooseConfig(config, await findCas(cluster, cas));
  return finish(cluster, { ...wait, owner, ...ownership(options, chosen) }, attested, shell);
}

/** The second half alone: the CAS exists, and may have been claimed elsewhere with the identity that is named here. */
export async function postprovision(cluster: Cluster, cas: CasName, options: ParsedOptions, shell: Shell): Promise<number> {
  const resource = await findCas(cluster, cas);
  if (resource === undefined) throw missing(cas);
  const wait = await casWait(cas, options, shell);
  const owner = await ownerIdentity(options, shell);
  const config = chooseConfig(await readOwnerConfig(options, shell), resource);
  if (wait.isExplicit) await writeTerms(cluster, cas, wait.terms);
  const attested = await attestCas(cluster, wait);
  noteAttested(attested, shell);
  return finish(cluster, { ...wait, owner, ...ownership(options, config) }, attested, shell);
}

/** The first half alone: for whoever may use the cluster and is not the owner. Prints what the owner needs. */
export async function preprovision(cluster: Cluster, cas: CasName, options: ParsedOptions, shell: Shell): Promise<number> {
  const wait = await casWait(cas, options, shell);
  const attested = await createCas(cluster, { ...wait, ...(await readCasManifest(cas, options, shell)), terms: termsToWrite(wait) });
  noteAttested(attested, shell);
  await rememberAttested(cas, attested, wait, shell);
  const { statement, keyHash } = attested;
  if (statement.state !== "unprovisioned") {
    shell.out(
      `CAS ${cas.name} in ${cas.namespace} runs and has an owner: ${statement.ownerKeyHash ?? "nobody, since it provisioned itself"}`,
    );
    return ExitCode.ok;
  }
  const token = await readClaim(cluster, wait, attested);
  shell.note("warning: whoever knows the token can become the owner of the CAS: give it to nobody else");
  shell.out(
    [
      `CAS key hash: ${keyHash}`,
      `CAS provisioning token: ${token}`,
      `Next, the owner: kubectl provision cas ${cas.name} -n ${cas.namespace} --postprovision-only`,
      `  without access to the cluster: scone cas provision ADDRESS -c ${keyHash} --token ${token} --config-file owner.toml`,
    ].join("\n"),
  );
  return ExitCode.ok;
}

interface FinishOptions extends OwnershipOptions, ProvisionTerms {
  readonly waitsForBackups: boolean;
}

async function finish(cluster: Cluster, options: FinishOptions, attested: Attested, shell: Shell): Promise<number> {
  const { cas, owner, signal } = options;
  const owned = await ownCas(cluster, options, attested);
  await rememberAttested(cas, owned, options, shell);
  await pinKey(cluster, cas, owned.keyHash);
  await untilHealthy(cluster, cas, PROVISION_TIMEOUT_MS, signal);
  if (options.waitsForBackups) await untilBackups(cluster, options, owned.statement.version);
  shell.out(`CAS ${cas.name} in ${cas.namespace} is HEALTHY and owned by ${owner.keyHash}; its key is ${owned.keyHash}`);
  return ExitCode.ok;
}

/** Copies the last snapshot of the database below --target; of a CAS that runs. */
export async function localBackup(cluster: Cluster, cas: CasName, shell: Shell): Promise<number> {
  const directory = await copySnapshot(cluster, cas, join(shell.casConfig, "snapshots", qualified(cas)), shell.signal);
  shell.note("a snapshot is encrypted; it opens only with the platform key of its CAS, which is not in it, or on a registered backup");
  shell.out(directory);
  return ExitCode.ok;
}

/** Starts the CAS from a snapshot, in the name of its owner. */
export async function recover(cluster: Cluster, cas: CasName, directory: string, options: ParsedOptions, shell: Shell): Promise<number> {
  const snapshot = await readSnapshot(resolve(shell.directory, directory));
  const { spec } = await readCasManifest(cas, options, shell);
  const owner = await ownerIdentity(options, shell);
  const wait = await casWait(cas, options, shell);
  const terms = termsToWrite(wait);
  const attested = await recoverDatabase(cluster, {
    ...wait,
    snapshot,
    spec: terms === undefined ? spec : { ...spec, attestation: terms },
    owner,
  });
  noteAttested(attested, shell);
  await rememberAttested(cas, attested, wait, shell);
  await untilHealthy(cluster, cas, PROVISION_TIMEOUT_MS, shell.signal);
  shell.out(`CAS ${cas.name} in ${cas.namespace} is HEALTHY on the snapshot ${snapshot.directory}; its key is ${attested.keyHash}`);
  return ExitCode.ok;
}

/** Replaces the software of the CAS; its key and its data stay. */
export async function upgrade(cluster: Cluster, cas: CasName, version: string, options: ParsedOptions, shell: Shell): Promise<number> {
  const image = await signedImage(casImage(options, shell, version), options, shell);
  if (image === undefined) {
    throw new CliError("E-OPTION-VALUE", "no repository of the platform images is named", {
      remedy: "Set SCONECTL_REPO, or give --image-registry or --image-overwrite.",
    });
  }
  const owner = await ownerIdentity(options, shell);
  const resource = await findCas(cluster, cas);
  if (resource === undefined) throw missing(cas);
  const wait = await casWait(cas, options, shell);
  // Other software has another code identity: until the former one is gone, both count.
  const named = (await findKnown(cas, shell))?.terms?.mrenclave ?? [];
  const both = { ...wait.terms, mrenclave: [...new Set([...wait.terms.mrenclave, ...named])] };
  if (wait.isExplicit) await writeTerms(cluster, cas, both);
  let upgraded: Attested;
  try {
    upgraded = await upgradeCas(cluster, {
      ...wait,
      judge: judgeOf(both, wait.trustsAny, options, shell),
      version,
      image,
      ownerKeyHash: owner.keyHash,
      updateBackupPolicy: () => updateBackupPolicy(cluster, { ...wait, owner, allowsBackups: !hasFlag(options, "no-backup") }),
      isForced: hasFlag(options, "force"),
    });
  } catch (error) {
    if (wait.isExplicit) await writeTerms(cluster, cas, resource.spec.attestation);
    throw error;
  }
  noteAttested(upgraded, shell);
  if (wait.isExplicit) await writeTerms(cluster, cas, wait.terms);
  await rememberAttested(cas, upgraded, wait, shell);
  const { statement, keyHash: casKey } = upgraded;
  shell.out(`CAS ${cas.name} in ${cas.namespace} is HEALTHY with version ${statement.version}; its key is ${casKey} as before`);
  return ExitCode.ok;
}

async function casWait(cas: CasName, options: ParsedOptions, shell: Shell): Promise<CasWait & ProvisionTerms> {
  const known = await findKnown(cas, shell);
  const pin = givenValue(options, "cas-key-hash") ?? known?.cas_key;
  const judged = await provisionTerms(options, known, shell);
  return { cas, pin, ...judged, timeoutMs: PROVISION_TIMEOUT_MS, log: shell.note, signal: shell.signal };
}

const termsToWrite = ({ terms, isExplicit }: ProvisionTerms) => (isExplicit ? terms : undefined);

/** What an option names comes before what the resource says (`spec.ownerConfig`), and that before the default. */
const chooseConfig = (given: GivenOwnerConfig, resource: Awaited<ReturnType<typeof findCas>>): GivenOwnerConfig =>
  given.isExplicit ? given : { ...given, text: resource?.spec.ownerConfig ?? given.text };

const ownership = (options: ParsedOptions, config: GivenOwnerConfig) => ({
  ownerConfig: config.text,
  isConfigExplicit: config.isExplicit,
  allowsNodeEnrolment: !hasFlag(options, "no-node-enrolment"),
  allowsBackups: !hasFlag(options, "no-backup"),
  waitsForBackups: hasFlag(options, "wait"),
});

/** The client's own identity, or the PEM file of --postprovision-owner-identity. */
async function ownerIdentity(options: ParsedOptions, shell: Shell): Promise<OwnershipOptions["owner"]> {
  const file = givenValue(options, "postprovision-owner-identity");
  if (file === undefined) {
    const { identity, keyHash } = await openCasConfig(shell);
    return { ...identity, keyHash };
  }
  const identity = await readIdentityFile(resolve(shell.directory, file));
  return { ...identity, keyHash: keyHashOf(new X509Certificate(identity.certificate).publicKey) };
}
