import { setTimeout as sleep } from "node:timers/promises";
import { CasProblemError, type CasTerms } from "@vouchsafe/protocol";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { Condition } from "../custom-resources/resources.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { culpritOf } from "../operator/conditions.ts";
import { ownerOf } from "../operator/judge-cas-fields.ts";
import { updateBackupPolicy } from "./backup-policy.ts";
import { podUid, untilPodRuns } from "./cas-pod.ts";
import {
  type Attested,
  attestCas,
  type CasAccess,
  type CasName,
  type ClientCredentials,
  casHeader,
  findCas,
  withCasClient,
} from "./inspect-cas.ts";
import { enrolNodes } from "./node-enrolment.ts";

/** How long to wait for a CAS, and what is accepted of it. */
export interface CasWait extends CasAccess {
  readonly timeoutMs: number;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What the CAS resource shall be. */
export interface CasWish extends CasWait {
  readonly spec: object;
  /** The user named what the resource shall be: it is applied although the resource exists. */
  readonly isExplicit: boolean;
  /** The user named the image: a resource that exists gets it, and stays as it is otherwise. */
  readonly image: string | undefined;
  /** What the operator shall accept of the CAS from now on; undefined: as the resource says. */
  readonly terms: CasTerms | undefined;
}

export interface OwnershipOptions extends CasWait {
  readonly owner: ClientCredentials & { readonly keyHash: string };
  /** Owner configuration, TOML or JSON. */
  readonly ownerConfig: string;
  /** The user named the configuration: it replaces that of a CAS which is owned already. */
  readonly isConfigExplicit: boolean;
  readonly allowsNodeEnrolment: boolean;
  /** Unless the user refused it, the cluster may register backups of a CAS that asks for them. */
  readonly allowsBackups: boolean;
}

const LOOK_INTERVAL_MS = 1_000;
const LOG_TIMEOUT_MS = 30_000;

/** Creates the resource if it is missing, waits until the CAS runs, and attests it: the first half of provisioning. */
export async function createCas(cluster: Cluster, options: CasWish): Promise<Attested> {
  const { cas, log } = options;
  const present = await findCas(cluster, cas);
  if (present === undefined || options.isExplicit) {
    const spec = options.terms === undefined ? options.spec : { ...options.spec, attestation: options.terms };
    const object: PlatformObject = { ...casHeader(cas), spec };
    await cluster.apply(object);
    log(`${present === undefined ? "created" : "applied"} the resource CAS ${cas.name} in ${cas.namespace}`);
  } else if (options.image !== undefined && options.image !== present.spec.image) {
    await cluster.merge(casHeader(cas), { spec: { image: options.image } });
    log(`the CAS ${cas.name} in ${cas.namespace} gets the image ${options.image}`);
  }
  if (present !== undefined && options.terms !== undefined) await writeTerms(cluster, cas, options.terms);
  const image = (await findCas(cluster, cas))?.spec.image;
  if (present !== undefined && image !== undefined && image !== present.spec.image) {
    // The former pod would still answer, and be gone in the middle of what follows.
    await untilPodRuns(cluster, cas, image, options.timeoutMs, options.signal);
  }
  const attested = await untilAttested(cluster, options);
  log(`CAS ${cas.name} answers with the key ${attested.keyHash}`);
  return attested;
}

/** Tells the operator, through the resource, what it shall accept of the CAS; a key that is pinned there stays pinned. */
export async function writeTerms(cluster: Cluster, cas: CasName, { casKeyHash: _, ...terms }: CasTerms): Promise<void> {
  const absent = { mrsigner: null, isvprodid: null, isvsvn: null };
  const onlyForTesting = { simulatedRoot: null, ...terms.onlyForTesting };
  await cluster.merge(casHeader(cas), { spec: { attestation: { ...absent, ...terms, onlyForTesting } } });
}

/** The probes of a CAS that asks for attested ones accept no other key than this from now on. */
export async function pinKey(cluster: Cluster, cas: CasName, casKeyHash: string): Promise<void> {
  const resource = await findCas(cluster, cas);
  if (resource?.spec.attestedCLIProbes !== true || resource.spec.attestation.casKeyHash === casKeyHash) return;
  await cluster.merge(casHeader(cas), { spec: { attestation: { casKeyHash } } });
}

/**
 * Makes the holder of `owner` the owner of an attested CAS: claims it with the token from its log, and tells it whose node agents to believe: the
 * second half of provisioning (CL-46). Again on a CAS that `owner` owns: success. Throws E-CAS-OWNER when it belongs to another.
 */
export async function ownCas(cluster: Cluster, options: OwnershipOptions, attested: Attested): Promise<Attested> {
  const { cas, log } = options;
  const { state, ownerKeyHash } = attested.statement;
  assertNamedOwner((await findCas(cluster, cas))?.spec.ownerCertificate, options);
  if (state === "unprovisioned") await claim(cluster, options, attested);
  else if (ownerKeyHash !== options.owner.keyHash) {
    throw new KubernetesError("E-CAS-OWNER", `the CAS ${cas.name} belongs to ${ownerKeyHash ?? "nobody, since it provisioned itself"}`, {
      remedy: `This client is ${options.owner.keyHash}: use the owner's identity (--target DIR), or another CAS.`,
    });
  } else {
    log(`this client owns the CAS already`);
    if (options.isConfigExplicit) await replaceConfig(cluster, options, attested);
  }
  const owned = await attestCas(cluster, { ...options, pin: undefined });
  await updateBackupPolicy(cluster, { ...options, pin: owned.keyHash });
  await enrolNodes(cluster, { ...options, pin: owned.keyHash });
  return owned;
}

/** A resource may say whose certificate the owner's is: nobody else claims the CAS by mistake. */
function assertNamedOwner(certificate: string | undefined, { cas, owner }: OwnershipOptions): void {
  if (certificate === undefined) return;
  const wanted = ownerOf(certificate);
  if (wanted === owner.keyHash) return;
  const found = wanted === undefined ? "is no certificate in PEM form" : `is that of ${wanted}, and this client is ${owner.keyHash}`;
  throw new KubernetesError("E-CAS-OWNER", `spec.ownerCertificate of the CAS ${cas.name} ${found}`, {
    remedy: "Use the owner's identity (--target DIR, --postprovision-owner-identity FILE), or change the resource.",
  });
}

async function replaceConfig(cluster: Cluster, { cas, owner, ownerConfig, log }: OwnershipOptions, attested: Attested): Promise<void> {
  try {
    await withCasClient(cluster, cas, { pin: attested.keyHash, credentials: owner }, (client) => client.updateConfig(ownerConfig));
  } catch (error) {
    if (!(error instanceof CasProblemError)) throw error;
    throw new KubernetesError("E-CAS-OWNER", `the CAS refused the owner configuration: ${error.message}`, { cause: error });
  }
  log("the owner configuration was replaced");
}

/**
 * What the log of an unclaimed CAS shows to whom the cluster lets read it: the key hash, and the token that makes its holder the owner. A CAS may
 * answer before its node has told the cluster that it runs, and before its log can be had: that is waited for.
 */
export async function readClaim(cluster: Cluster, { cas, signal }: Pick<CasWait, "cas" | "signal">, attested: Attested): Promise<string> {
  for (const end = Date.now() + LOG_TIMEOUT_MS; ; await sleep(LOOK_INTERVAL_MS, undefined, { signal })) {
    const text = await findLog(cluster, cas, Date.now() > end);
    const logged = lastMatch(text, /^\S+ \S+ \S+ CAS key hash: (\S+)$/gm);
    if (logged !== undefined && logged !== attested.keyHash) {
      throw new KubernetesError("E-CAS-ATTESTATION", `the CAS's log names the key ${logged}, and whoever answered has ${attested.keyHash}`);
    }
    const token = lastMatch(text, /^.*CAS provisioning token: ([0-9a-f]{32})$/gm);
    if (token !== undefined) return token;
    if (Date.now() > end) break;
  }
  throw new KubernetesError("E-CAS-UNPROVISIONED", `the log of ${cas.name}-0 shows no provisioning token`, {
    remedy: `Restart the CAS, which prints a new one: kubectl delete pod ${cas.name}-0 -n ${cas.namespace}`,
  });
}

/** Empty where the cluster does not know yet that the container was started. */
async function findLog(cluster: Cluster, cas: CasName, isLastTime: boolean): Promise<string> {
  try {
    return await cluster.podLog(cas.namespace, `${cas.name}-0`);
  } catch (error) {
    if (isLastTime || !(error instanceof ClusterError) || error.status !== 400) throw error;
    return "";
  }
}

const lastMatch = (text: string, pattern: RegExp): string | undefined => [...text.matchAll(pattern)].at(-1)?.[1];

/** Waits for an answer that proves itself. Throws E-CAS-UNHEALTHY after the time, E-CAS-ATTESTATION at once. */
export async function untilAttested(cluster: Cluster, options: CasWait): Promise<Attested> {
  const end = Date.now() + options.timeoutMs;
  for (;;) {
    try {
      return await attestCas(cluster, options);
    } catch (error) {
      const mayComeYet = error instanceof KubernetesError && error.code === "E-CAS-UNHEALTHY";
      if (!mayComeYet || Date.now() > end) throw error;
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal: options.signal });
  }
}

/** The token stands in the CAS's log, which only those see whom the cluster lets read it (C-8, C-13). */
async function claim(cluster: Cluster, options: OwnershipOptions, attested: Attested): Promise<void> {
  const { cas, owner, log } = options;
  const token = await readClaim(cluster, options, attested);
  try {
    await withCasClient(cluster, cas, { pin: attested.keyHash, credentials: owner }, (client) =>
      client.provision(token, options.ownerConfig),
    );
  } catch (error) {
    if (!(error instanceof CasProblemError)) throw error;
    throw new KubernetesError("E-CAS-OWNER", `the CAS could not be claimed: ${error.message}`, { cause: error });
  }
  log(`this client (${owner.keyHash}) owns the CAS now; without its key nobody can ever change the configuration`);
}

const WithState = z.object({
  metadata: z.object({ generation: z.number().default(1) }).prefault({}),
  spec: z.object({ "backup-controller": z.object({ enabled: z.boolean().default(false) }).prefault({}) }).prefault({}),
  status: z
    .object({
      state: z.string().optional(),
      version: z.string().optional(),
      observedGeneration: z.number().default(0),
      observedPod: z.string().optional(),
      conditions: z.array(Condition).default([]),
    })
    .prefault({}),
});

/**
 * Returns when the operator has seen that the CAS is HEALTHY: this wish, and the pod that there is now, since what it saw before a restart says nothing.
 * Throws E-CAS-UNHEALTHY with what it saw last.
 */
export async function untilHealthy(cluster: Cluster, cas: CasName, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    // In this order: a look at a pod that comes after it was asked for is another one.
    const pod = await podUid(cluster, cas);
    const { metadata, status } = WithState.parse((await cluster.find(casHeader(cas))) ?? {});
    // An operator of an earlier version does not say which pod it looked at.
    const isThisPod = pod === undefined || status.observedPod === undefined || status.observedPod === pod;
    const isNew = status.observedGeneration >= metadata.generation && isThisPod;
    if (status.state === "HEALTHY" && isNew) return;
    if (Date.now() > end) {
      const reason = (isNew ? culpritOf(status.conditions)?.message : undefined) ?? "the operator has not looked at it";
      throw new KubernetesError("E-CAS-UNHEALTHY", `the CAS ${cas.name} is ${status.state ?? "unknown"}: ${reason}`, {
        remedy: `See: kubectl describe cas ${cas.name} -n ${cas.namespace}`,
      });
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}

/** Ends of a wait for backups: they are all there, or only a person can help. */
const isFinal = ({ status, reason }: { readonly status: string; readonly reason: string }): boolean =>
  status === "True" || (reason !== "Registering" && reason !== "Refused");

/**
 * Waits until every node to which the CAS could move is registered as a backup (C-75), where its resource asks for that; at most `timeoutMs`. What is
 * missing then is told, and is no failure: the CAS serves without it. The operator must have looked at the CAS of version `version`.
 */
export async function untilBackups(cluster: Cluster, { cas, timeoutMs, log, signal }: CasWait, version: string): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const { spec, status } = WithState.parse((await cluster.find(casHeader(cas))) ?? {});
    if (!spec["backup-controller"].enabled) return;
    const backups = status.conditions.find(({ type }) => type === "BackupsRegistered");
    const isSeen = backups !== undefined && status.version === version;
    if ((isSeen && isFinal(backups)) || Date.now() > end) {
      log(`${backups?.status === "True" ? "" : "warning: "}backups: ${backups?.message ?? "the operator has not looked at them"}`);
      return;
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}
