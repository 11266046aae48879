import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CasProblemError } from "@vouchsafe/protocol";
import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { readFromPod, runInPod } from "../cluster/pod-exec.ts";
import { CasResource } from "../custom-resources/resources.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import type { PlatformObject } from "../objects/platform-object.ts";
import { isRecoveryId, RECOVERY_ANNOTATION, RECOVERY_CONTAINER, recoveryDirectory } from "../objects/recovery-container.ts";
import { judgePod, Pod } from "../operator/pod-health.ts";
import { podHeader } from "./cas-pod.ts";
import {
  type Attested,
  attestCas,
  type CasName,
  type ClientCredentials,
  casHeader,
  findCas,
  noteChange,
  withCasClient,
} from "./inspect-cas.ts";
import type { CasWait } from "./provision-cas.ts";
import { PLATFORM_KEY_FILE, type Snapshot } from "./snapshot-files.ts";

export interface RecoveryOptions extends CasWait {
  readonly snapshot: Snapshot;
  /** What the resource shall be where there is none. */
  readonly spec: object;
  readonly owner: ClientCredentials & { readonly keyHash: string };
}

const LOOK_INTERVAL_MS = 1_000;
const InitContainers = z.object({
  spec: z.object({ initContainers: z.array(z.object({ name: z.string(), command: z.array(z.string()).default([]) })).default([]) }),
  status: z
    .object({
      initContainerStatuses: z
        .array(z.object({ name: z.string(), state: z.object({ running: z.object({}).optional() }).prefault({}) }))
        .default([]),
    })
    .prefault({}),
});
const StatefulSet = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({ initContainers: z.array(z.object({ name: z.string(), command: z.array(z.string()).default([]) })).default([]) }),
    }),
  }),
});

/**
 * Starts a CAS from a snapshot (C-77): its pod waits, gets the files, puts them in the place of the database, and starts on them. What it had before
 * stays on the volume. The snapshot opens only with the platform key that made it, or on a registered backup. It is an older state, so the owner
 * confirms the roll-back (C-5): asking for the recovery is that confirmation. After an interruption the same call goes on. Throws E-SNAPSHOT,
 * E-CAS-OWNER, E-CAS-ATTESTATION, E-CLUSTER.
 */
export async function recoverDatabase(cluster: Cluster, options: RecoveryOptions): Promise<Attested> {
  const { cas, snapshot, log } = options;
  const id = await announce(cluster, options);
  await untilPodWaits(cluster, options, id);
  log(`the pod of ${cas.name} waits for the snapshot ${snapshot.directory}`);
  await bringFiles(cluster, options, id);
  log("the files are there; the CAS starts on them");
  const attested = await untilStarted(cluster, options);
  if (attested.statement.state !== "rollback-suspected") return attested;
  return acceptRollback(cluster, options, attested);
}

/** Writes the recovery into the resource; one of the same snapshot that has not ended goes on. */
async function announce(cluster: Cluster, { cas, snapshot, spec, log }: RecoveryOptions): Promise<string> {
  const resource = await findCas(cluster, cas);
  assertKeyStays(resource ?? CasResource.parse({ metadata: { ...casHeader(cas).metadata, uid: "" }, spec }), snapshot);
  const present = resource?.metadata.annotations[RECOVERY_ANNOTATION] ?? "";
  const isOpen = isRecoveryId(present) && present.startsWith(snapshot.fingerprint) && (await isWaiting(cluster, cas, present));
  const id = isOpen ? present : `${snapshot.fingerprint}-${randomBytes(4).toString("hex")}`;
  const annotations = { [RECOVERY_ANNOTATION]: id };
  if (resource !== undefined) {
    await cluster.merge(casHeader(cas), { metadata: { annotations } });
    return id;
  }
  const { metadata, ...header } = casHeader(cas);
  const object: PlatformObject = { ...header, metadata: { ...metadata, annotations }, spec };
  await cluster.apply(object);
  log(`created the resource CAS ${cas.name} in ${cas.namespace}`);
  return id;
}

/** Where the volume ends with the pod, the platform key does too: nothing would open the snapshot, and the present state would be lost with it. */
function assertKeyStays({ metadata, spec }: CasResource, { files }: Snapshot): void {
  if (spec.persistence.enabled || files.has(PLATFORM_KEY_FILE)) return;
  throw new KubernetesError(
    "E-SNAPSHOT",
    `the CAS ${metadata.name} has no volume that outlives its pod, so no platform key that opens a snapshot`,
    {
      remedy: "Set spec.persistence.enabled, or put the platform key of the CAS that made the snapshot beside it, as platform.key.",
    },
  );
}

const mentions = (containers: readonly { readonly name: string; readonly command: readonly string[] }[], id: string): boolean =>
  containers.some(({ name, command }) => name === RECOVERY_CONTAINER && command.includes(id));

async function isWaiting(cluster: Cluster, cas: CasName, id: string): Promise<boolean> {
  const pod = InitContainers.safeParse(await cluster.find(podHeader(cas))).data;
  if (pod === undefined || !mentions(pod.spec.initContainers, id)) return false;
  return pod.status.initContainerStatuses.some(({ name, state }) => name === RECOVERY_CONTAINER && state.running !== undefined);
}

/** A pod that cannot become ready is not replaced by itself: it is deleted once the operator has written the new one down. */
async function untilPodWaits(cluster: Cluster, options: RecoveryOptions, id: string): Promise<void> {
  const { cas, timeoutMs, signal } = options;
  const end = Date.now() + timeoutMs;
  const set = { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: cas.name, namespace: cas.namespace } };
  for (let isDeleted = false; !(await isWaiting(cluster, cas, id)); ) {
    if (!isDeleted && mentions(StatefulSet.safeParse(await cluster.find(set)).data?.spec.template.spec.initContainers ?? [], id)) {
      const pod = InitContainers.safeParse(await cluster.find(podHeader(cas))).data;
      if (pod !== undefined && !mentions(pod.spec.initContainers, id)) await cluster.remove(podHeader(cas));
      isDeleted = true;
    }
    if (Date.now() > end) {
      const { message } = judgePod(Pod.safeParse(await cluster.find(podHeader(cas))).data);
      throw new KubernetesError(
        "E-CAS-UNHEALTHY",
        `the pod of ${cas.name} does not come to the point where it takes a snapshot: ${message}`,
        {
          remedy: `See: kubectl describe pod ${cas.name}-0 -n ${cas.namespace}, and whether the operator runs.`,
        },
      );
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}

async function bringFiles(cluster: Cluster, { cas, snapshot, signal }: RecoveryOptions, id: string): Promise<void> {
  const where = { namespace: cas.namespace, pod: `${cas.name}-0`, container: RECOVERY_CONTAINER };
  const mountPath = (await findCas(cluster, cas))?.spec.persistence.mountPath ?? "";
  const directory = recoveryDirectory(mountPath, id);
  const inDirectory = (script: string, ...args: readonly string[]) => ["/bin/sh", "-c", script, "sh", directory, ...args];
  await runInPod(cluster, where, { command: inDirectory('mkdir -p "$1"'), signal });
  for (const [name, bytes] of snapshot.files) {
    const command = inDirectory('umask 077; head -c "$3" >"$1/$2"', name, String(bytes.length));
    await runInPod(cluster, where, { command, input: bytes, signal });
    const sum = createHash("sha256").update(bytes).digest("hex");
    const arrived = await readFromPod(cluster, where, inDirectory('sha256sum <"$1/$2"', name), signal);
    if (!arrived.startsWith(sum)) throw new KubernetesError("E-CLUSTER", `${name} did not arrive whole in ${cas.name}-0`);
  }
  await runInPod(cluster, where, { command: inDirectory(': >"$1/complete"'), signal });
}

/** Waits for an answer; a CAS that ends on the files says why. */
async function untilStarted(cluster: Cluster, options: RecoveryOptions): Promise<Attested> {
  const { cas, timeoutMs, signal } = options;
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attestCas(cluster, options);
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.code !== "E-CAS-UNHEALTHY") throw error;
      const health = judgePod(Pod.safeParse(await cluster.find(podHeader(cas))).data);
      if (Date.now() > end || health.reason === "CrashLoopBackOff") {
        throw new KubernetesError("E-SNAPSHOT", `the CAS ${cas.name} does not start on the snapshot: ${health.message}`, {
          cause: error,
          remedy:
            "Recover from another snapshot, on the platform that made it or a registered backup; put platform.key beside the snapshot if you have it.",
        });
      }
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal });
  }
}

async function acceptRollback(cluster: Cluster, options: RecoveryOptions, attested: Attested): Promise<Attested> {
  const { cas, owner, log } = options;
  const { ownerKeyHash } = attested.statement;
  if (ownerKeyHash !== owner.keyHash) {
    throw new KubernetesError(
      "E-CAS-OWNER",
      `the CAS runs on the snapshot, and waits for its owner ${ownerKeyHash} to accept the roll-back`,
      {
        remedy: `This client is ${owner.keyHash}: use the owner's identity (--target DIR), or: vouchsafe cas accept-rollback`,
      },
    );
  }
  try {
    const answer = await withCasClient(cluster, cas, { pin: attested.keyHash, credentials: owner }, (client) => client.acceptRollback());
    log(`the roll-back is accepted: changes after the snapshot are lost (${answer.trim()})`);
    await noteChange(cluster, cas);
  } catch (error) {
    if (!(error instanceof CasProblemError)) throw error;
    throw new KubernetesError("E-CAS-OWNER", `the CAS did not accept the roll-back: ${error.message}`, { cause: error });
  }
  return attestCas(cluster, options);
}
