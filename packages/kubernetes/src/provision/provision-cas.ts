import { setTimeout as sleep } from "node:timers/promises";
import { CasProblemError } from "@vouchsafe/protocol";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { LasResource } from "../custom-resources/resources.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { type Attested, attestCas, type CasName, type ClientCredentials, casHeader, findCas, withCasClient } from "./inspect-cas.ts";

export interface ProvisionOptions {
  readonly cas: CasName;
  /** Spec of the resource where it must be created. */
  readonly spec: object;
  readonly owner: ClientCredentials & { readonly keyHash: string };
  /** Owner configuration, TOML. */
  readonly ownerConfig: string;
  /** CAS key hash that this client saw before. */
  readonly pin: string | undefined;
  readonly timeoutMs: number;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

const LOOK_INTERVAL_MS = 1_000;

/**
 * Makes the holder of `owner` the owner of a CAS (CL-46): creates the resource if it is missing, waits until the CAS runs, attests it, claims it
 * with the token from its log, and enrols the keys of the cluster's node agents. Again on a CAS that is already owned by `owner`: success.
 */
export async function provisionCas(cluster: Cluster, options: ProvisionOptions): Promise<Attested> {
  const { cas, log } = options;
  if ((await findCas(cluster, cas)) === undefined) {
    const object: PlatformObject = { ...casHeader(cas), spec: options.spec };
    await cluster.apply(object);
    log(`created the resource CAS ${cas.name} in ${cas.namespace}`);
  }
  const attested = await untilAttested(cluster, options);
  const evidence = attested.evidenceKind ?? "none";
  log(`CAS ${cas.name} answers with the key ${attested.keyHash}; evidence about its platform: ${evidence}`);
  if (attested.evidenceKind === undefined) log("warning: no TEE protects this CAS: whoever is root on its node can read what it keeps");
  const { state, ownerKeyHash } = attested.statement;
  if (state === "unprovisioned") await claim(cluster, options, attested);
  else if (ownerKeyHash !== options.owner.keyHash) {
    throw new KubernetesError("E-CAS-OWNER", `the CAS ${cas.name} belongs to ${ownerKeyHash ?? "nobody, since it provisioned itself"}`, {
      remedy: `This client is ${options.owner.keyHash}: use the owner's identity (--target DIR), or another CAS.`,
    });
  } else log(`this client owns the CAS already`);
  const owned = await attestCas(cluster, cas, undefined);
  await enrolNodes(cluster, options, owned.keyHash);
  return owned;
}

async function untilAttested(cluster: Cluster, options: ProvisionOptions): Promise<Attested> {
  const end = Date.now() + options.timeoutMs;
  for (;;) {
    try {
      return await attestCas(cluster, options.cas, options.pin);
    } catch (error) {
      const mayComeYet = error instanceof KubernetesError && error.code === "E-CAS-UNHEALTHY";
      if (!mayComeYet || Date.now() > end) throw error;
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal: options.signal });
  }
}

/** The token stands in the CAS's log, which only those see whom the cluster lets read it (C-8, C-13). */
async function claim(cluster: Cluster, options: ProvisionOptions, attested: Attested): Promise<void> {
  const { cas, owner, log } = options;
  const text = await cluster.podLog(cas.namespace, `${cas.name}-0`);
  const logged = text
    .match(/^\S+ \S+ \S+ CAS key hash: (\S+)$/gm)
    ?.at(-1)
    ?.split(" ")
    .at(-1);
  if (logged !== undefined && logged !== attested.keyHash) {
    throw new KubernetesError("E-CAS-ATTESTATION", `the CAS's log names the key ${logged}, and whoever answered has ${attested.keyHash}`);
  }
  const token = /CAS provisioning token: ([0-9a-f]{32})$/.exec(text.match(/^.*CAS provisioning token: \S+$/gm)?.at(-1) ?? "")?.[1];
  if (token === undefined) {
    throw new KubernetesError("E-CAS-UNPROVISIONED", `the log of ${cas.name}-0 shows no provisioning token`, {
      remedy: `Restart the CAS, which prints a new one: kubectl delete pod ${cas.name}-0 -n ${cas.namespace}`,
    });
  }
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

/** Tells the CAS which node agents exist: evidence of kind `node` counts only when an enrolled agent signed it. */
async function enrolNodes(cluster: Cluster, options: ProvisionOptions, pin: string): Promise<void> {
  const agents = new Map<string, string>();
  for (const found of await listLas(cluster)) {
    for (const [node, { publicKey }] of Object.entries(found.status.nodes)) if (publicKey !== undefined) agents.set(node, publicKey);
  }
  if (agents.size === 0) {
    options.log("no node agent is known yet: run this again when `kubectl get las` shows HEALTHY");
    return;
  }
  await withCasClient(cluster, options.cas, { pin, credentials: options.owner }, async (client) => {
    for (const [node, key] of agents) {
      await client.enrolNodeKey(Uint8Array.fromBase64(key));
      options.log(`enrolled the agent of node ${node}`);
    }
  });
}

async function listLas(cluster: Cluster): Promise<readonly LasResource[]> {
  try {
    return (await cluster.list({ apiVersion: "base.scone.cloud/v1beta1", kind: "LAS" })).map((found) => LasResource.parse(found));
  } catch (error) {
    if (error instanceof ClusterError && error.status === 403) return [];
    throw error;
  }
}

const WithState = z.object({
  status: z
    .object({ state: z.string().optional(), conditions: z.array(z.object({ status: z.string(), message: z.string() })).default([]) })
    .prefault({}),
});

/** Returns when the operator has seen that the CAS is HEALTHY. Throws E-CAS-UNHEALTHY with what it saw last. */
export async function untilHealthy(cluster: Cluster, cas: CasName, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const { status } = WithState.parse((await cluster.find(casHeader(cas))) ?? {});
    if (status.state === "HEALTHY") return;
    if (Date.now() > end) {
      const reason = status.conditions.find((condition) => condition.status !== "True")?.message ?? "the operator has not looked at it";
      throw new KubernetesError("E-CAS-UNHEALTHY", `the CAS ${cas.name} is ${status.state ?? "unknown"}: ${reason}`, {
        remedy: `See: kubectl describe cas ${cas.name} -n ${cas.namespace}`,
      });
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}
