import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import type { Log } from "../cluster/log.ts";

/** Times of the election; the defaults are those of Kubernetes' own controllers. */
export interface ElectionTimes {
  /** How long a leader counts as alive after it last renewed. */
  readonly leaseMs: number;
  /** A leader that could not renew for so long stops: before others may follow it. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}
export const ELECTION_TIMES: ElectionTimes = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export interface Candidate {
  readonly namespace: string;
  /** Name of the lease. */
  readonly name: string;
  /** Another for each process. */
  readonly identity: string;
  readonly times: ElectionTimes;
}

const Lease = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  spec: z
    .object({ holderIdentity: z.string().default(""), renewTime: z.string().default(""), leaseTransitions: z.number().default(0) })
    .prefault({}),
});
type Lease = z.infer<typeof Lease>;

/**
 * Runs `work` while this process holds the lease, one process of the cluster at a time: waits for it, renews it, and aborts the signal that
 * `work` got before anybody else may take it. Returns when the lease was lost or `signal` aborted; then the lease is given back at once, so that
 * the next leader need not wait. Clocks are never compared: what counts is how long a candidate saw the lease unchanged on its own clock.
 */
export async function lead(
  cluster: Cluster,
  candidate: Candidate,
  work: (signal: AbortSignal) => Promise<void>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const held = await untilHeld(cluster, candidate, log, signal);
  if (!held) return;
  const leading = new AbortController();
  const until = AbortSignal.any([signal, leading.signal]);
  log("leading", { lease: candidate.name, identity: candidate.identity });
  const renewing = renewWhileLeading(cluster, candidate, log, until).finally(() => leading.abort());
  const working = work(until).finally(() => leading.abort());
  await Promise.all([renewing, working]);
  await give(cluster, candidate).catch((error: Error) => log("lease_not_returned", { reason: error.message }));
}

async function untilHeld(cluster: Cluster, candidate: Candidate, log: Log, signal: AbortSignal): Promise<boolean> {
  const limit = (): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(candidate.times.renewDeadlineMs)]);
  let seen: { readonly version: string; readonly at: number } | undefined;
  let reported = "";
  while (!signal.aborted) {
    try {
      const lease = await read(cluster, candidate, limit());
      const version = lease?.metadata.resourceVersion ?? "";
      if (seen?.version !== version) seen = { version, at: performance.now() };
      const { holderIdentity: holder } = lease?.spec ?? { holderIdentity: "" };
      const isFree = holder === "" || holder === candidate.identity || performance.now() - seen.at >= candidate.times.leaseMs;
      if (isFree && (await write(cluster, candidate, lease, candidate.identity, limit()))) return true;
      if (!isFree && holder !== reported) log("standing_by", { leader: holder });
      reported = holder;
    } catch (error) {
      log("election_failed", { reason: error instanceof Error ? error.message : String(error) });
    }
    await pause(candidate, signal);
  }
  return false;
}

async function renewWhileLeading(cluster: Cluster, candidate: Candidate, log: Log, signal: AbortSignal): Promise<void> {
  let renewed = performance.now();
  while (!signal.aborted) {
    await pause(candidate, signal);
    if (signal.aborted) return;
    // An answer that comes later than the deadline would be one about a lease that others may hold by now.
    const left = Math.max(1, Math.ceil(candidate.times.renewDeadlineMs - (performance.now() - renewed)));
    const limit = AbortSignal.any([signal, AbortSignal.timeout(left)]);
    try {
      const asked = performance.now();
      const lease = await read(cluster, candidate, limit);
      if (lease !== undefined && lease.spec.holderIdentity !== candidate.identity) {
        return log("lease_taken", { leader: lease.spec.holderIdentity });
      }
      if (await write(cluster, candidate, lease, candidate.identity, limit)) renewed = asked;
    } catch (error) {
      log("renewal_failed", { reason: error instanceof Error ? error.message : String(error) });
    }
    if (performance.now() - renewed >= candidate.times.renewDeadlineMs) return log("lease_lost", { lease: candidate.name });
  }
}

/** Pauses are scattered, so that candidates do not ask all at once. */
const pause = ({ times }: Candidate, signal: AbortSignal): Promise<void> =>
  sleep(times.retryMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined); // an abort ends the caller's loop

const header = ({ namespace, name }: Candidate) => ({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name, namespace } });

async function read(cluster: Cluster, candidate: Candidate, signal: AbortSignal): Promise<Lease | undefined> {
  const found = await cluster.find(header(candidate), signal);
  return found === undefined ? undefined : Lease.parse(found);
}

/** True when this very change was made: somebody else's in between (409) makes it fail. */
async function write(
  cluster: Cluster,
  candidate: Candidate,
  before: Lease | undefined,
  holder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const now = new Date().toISOString().replace("Z", "000Z"); // microseconds
  const isNew = before?.spec.holderIdentity !== holder;
  const spec = {
    holderIdentity: holder,
    leaseDurationSeconds: Math.max(1, Math.round(candidate.times.leaseMs / 1000)),
    renewTime: now,
    leaseTransitions: (before?.spec.leaseTransitions ?? 0) + (isNew ? 1 : 0),
  };
  const { metadata } = header(candidate);
  try {
    if (before === undefined) await cluster.create({ ...header(candidate), spec }, signal);
    else {
      const { resourceVersion } = before.metadata;
      await cluster.replace({ ...header(candidate), metadata: { ...metadata, resourceVersion }, spec }, signal);
    }
    return true;
  } catch (error) {
    if (error instanceof ClusterError && error.status === 409) return false;
    throw error;
  }
}

async function give(cluster: Cluster, candidate: Candidate): Promise<void> {
  const limit = AbortSignal.timeout(candidate.times.retryMs);
  const lease = await read(cluster, candidate, limit);
  if (lease?.spec.holderIdentity === candidate.identity) await write(cluster, candidate, lease, "", limit);
}
