import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { isOlder } from "../version-order.ts";
import { podHeader, podImage, untilPodRuns } from "./cas-pod.ts";
import { type Attested, attestCas, type CasName, casHeader, findCas } from "./inspect-cas.ts";
import { type CasWait, untilAttested, untilBackups, untilHealthy } from "./provision-cas.ts";

export interface UpgradeOptions extends CasWait {
  readonly version: string;
  /** Image of that version. */
  readonly image: string;
  /** Who asks: only the owner upgrades (C-15). */
  readonly ownerKeyHash: string;
  /** Lets the cluster's operator register backups, as provisioning did: the keys of its tokens may be others by now. False: the CAS is too old. */
  readonly updateBackupPolicy: () => Promise<boolean>;
  /** Go on although the CAS is not healthy. */
  readonly isForced: boolean;
}

const LOOK_INTERVAL_MS = 1_000;
const Template = z.object({
  spec: z.object({ template: z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }) }) }),
});

/**
 * Replaces the software of a CAS, in the order of section 9: the right to register backups, the software that shows nodes, the CAS. Its pod starts
 * with the new image on the same database, and must answer with the same CAS key. When it does not within the time, the former image is put back.
 * A CAS that is PENDING is waited for first. An older version is never put in (C-79). Throws E-CAS-UPGRADE, E-CAS-OWNER, E-CAS-UNHEALTHY.
 */
export async function upgradeCas(cluster: Cluster, options: UpgradeOptions): Promise<Attested> {
  const { cas, version, image, log, signal } = options;
  const resource = await findCas(cluster, cas);
  if (resource === undefined) {
    throw new KubernetesError("E-CAS-MISSING", `there is no CAS ${cas.name} in the namespace ${cas.namespace}`, {
      remedy: `Create it: kubectl provision cas ${cas.name} -n ${cas.namespace}`,
    });
  }
  const before = await lookBefore(cluster, options, resource.status.state);
  const former = await podImage(cluster, cas);
  if (former === image && before?.statement.version === version) {
    log(`the CAS runs ${image} already`);
    await options.updateBackupPolicy();
    await untilBackups(cluster, options, version);
    return before;
  }
  const isPolicyKnown = await options.updateBackupPolicy();
  if (resource.spec["backup-controller"].image !== undefined) {
    await cluster.merge(casHeader(cas), { spec: { "backup-controller": { image } } });
    log(`nodes show themselves with ${image} from now on`);
  }
  await setImage(cluster, cas, image);
  log(`the CAS is restarted with ${image}`);
  let after: Attested;
  try {
    await untilPodRuns(cluster, cas, image, options.timeoutMs, signal);
    after = await untilAttested(cluster, { ...options, pin: before?.keyHash ?? options.pin });
    await untilHealthy(cluster, cas, options.timeoutMs, signal);
  } catch (error) {
    if (former === undefined || signal.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    log(`the upgrade failed: ${reason}; ${former} is put back`);
    await setImage(cluster, cas, former);
    const { image: formerShown } = resource.spec["backup-controller"];
    if (formerShown !== undefined) await cluster.merge(casHeader(cas), { spec: { "backup-controller": { image: formerShown } } });
    // A pod that never became ready would not be replaced by itself; deleted too early it would come back as it was.
    await untilWrittenDown(cluster, cas, former, options.timeoutMs, signal);
    await cluster.remove(podHeader(cas));
    await untilPodRuns(cluster, cas, former, options.timeoutMs, signal);
    await untilAttested(cluster, { ...options, pin: before?.keyHash ?? options.pin });
    await untilHealthy(cluster, cas, options.timeoutMs, signal);
    throw new KubernetesError("E-CAS-UPGRADE", `the CAS did not start as ${version}, and runs as before: ${reason}`, {
      cause: error,
      remedy: "Publish the images of that version to the repository the CAS uses, or name another version.",
    });
  }
  if (!isPolicyKnown) await options.updateBackupPolicy();
  await untilBackups(cluster, options, after.statement.version);
  log("the former version still opens the database; to shut it out for good: vouchsafe cas register-upgrade, then start-upgrade");
  if (after.statement.version !== version) log(`warning: ${image} says that it is version ${after.statement.version}`);
  return after;
}

const notUpgraded = ({ name, namespace }: CasName, what: string, cause?: unknown): KubernetesError =>
  new KubernetesError("E-CAS-UNHEALTHY", `${what}; it is not upgraded in this state`, {
    cause,
    remedy: `See kubectl describe cas ${name} -n ${namespace}; --force goes on nevertheless.`,
  });

async function lookBefore(cluster: Cluster, options: UpgradeOptions, state: string | undefined): Promise<Attested | undefined> {
  const { cas, version, isForced, log, ownerKeyHash } = options;
  if (state === "PENDING" && !isForced) {
    log(`the CAS ${cas.name} is PENDING: waiting until it is HEALTHY`);
    try {
      await untilHealthy(cluster, cas, options.timeoutMs, options.signal);
    } catch (error) {
      // One that starts again and again is PENDING in between.
      if (error instanceof KubernetesError && error.code === "E-CAS-UNHEALTHY") throw notUpgraded(cas, error.message, error);
      throw error;
    }
  } else if (state !== "HEALTHY" && !isForced) {
    throw notUpgraded(cas, `the CAS ${cas.name} is ${state ?? "unknown"}`);
  }
  let before: Attested;
  try {
    before = await attestCas(cluster, options);
  } catch (error) {
    if (!isForced || !(error instanceof KubernetesError) || error.code !== "E-CAS-UNHEALTHY") throw error;
    log(`warning: ${error.message}`);
    return undefined;
  }
  const { statement } = before;
  if (statement.ownerKeyHash !== ownerKeyHash) {
    throw new KubernetesError(
      "E-CAS-OWNER",
      `the CAS belongs to ${statement.ownerKeyHash ?? "nobody"}, and this client is ${ownerKeyHash}`,
      {
        remedy: "Use the owner's identity (--target DIR).",
      },
    );
  }
  if (isOlder(version, statement.version)) {
    throw new KubernetesError("E-CAS-UPGRADE", `the CAS has version ${statement.version}, and ${version} is older`, {
      remedy: "An older version never gets the database of a newer one; name a newer one.",
    });
  }
  return before;
}

/** Waits until the operator has put the image into the StatefulSet. */
async function untilWrittenDown(cluster: Cluster, cas: CasName, image: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const set = { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: cas.name, namespace: cas.namespace } };
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(LOOK_INTERVAL_MS, undefined, { signal })) {
    const found = Template.safeParse(await cluster.find(set)).data?.spec.template.spec.containers[0]?.image;
    if (found === image) return;
  }
}

async function setImage(cluster: Cluster, cas: CasName, image: string): Promise<void> {
  await cluster.merge(casHeader(cas), { spec: { image } });
}
