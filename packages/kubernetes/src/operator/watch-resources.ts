import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { Log } from "../cluster/log.ts";
import type { Collection } from "../cluster/resource-kinds.ts";

const RETRY_MS = 2_000;
const Uid = z.object({ metadata: z.object({ uid: z.string() }) });

export interface ResourceChange {
  readonly object: object;
  readonly isRemoved: boolean;
  /** Part of the whole list with which each round begins. */
  readonly isListed: boolean;
}

/**
 * Calls `onChange` for every object of a collection, or those that `labelSelector` chooses, and again whenever it changes, until `signal` aborts.
 * Whatever is missed while the API server is away is seen when it is back, a removal too: each round begins with the whole list.
 */
export async function watchResources(
  cluster: Cluster,
  collection: Collection,
  onChange: (change: ResourceChange) => void,
  log: Log,
  signal: AbortSignal,
  labelSelector?: string,
): Promise<void> {
  let known = new Map<string, object>();
  while (!signal.aborted) {
    try {
      const { items, resourceVersion } = await cluster.listAt(collection, labelSelector);
      const present = new Map(items.map((item) => [Uid.parse(item).metadata.uid, item]));
      for (const [uid, object] of known) if (!present.has(uid)) onChange({ object, isRemoved: true, isListed: true });
      for (const object of items) onChange({ object, isRemoved: false, isListed: true });
      known = present;
      if (resourceVersion === "") throw new Error(`the cluster does not know ${collection.kind}`);
      for await (const event of cluster.watch(collection, resourceVersion, signal, labelSelector)) {
        if (event.type === "ERROR") break; // the version is too old: list again
        if (event.type === "BOOKMARK") continue;
        const object = { ...(event.object as object), apiVersion: collection.apiVersion, kind: collection.kind }; // an object by the API's contract
        const isRemoved = event.type === "DELETED";
        if (isRemoved) known.delete(Uid.parse(object).metadata.uid);
        else known.set(Uid.parse(object).metadata.uid, object);
        onChange({ object, isRemoved, isListed: false });
      }
    } catch (error) {
      if (signal.aborted) return;
      log("watch_interrupted", { kind: collection.kind, reason: error instanceof Error ? error.message : String(error) });
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined); // an abort ends the loop
  }
}
