import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../cluster/cluster.ts";
import type { Log } from "../cluster/log.ts";
import type { Collection } from "../cluster/resource-kinds.ts";

const RETRY_MS = 2_000;

/**
 * Calls `onChange` for every object of a collection and again whenever it changes, until `signal` aborts. Whatever is missed while the API server
 * is away is seen when it is back: each round begins with the whole list. Removed objects are not reported: owner references clean up after them.
 */
export async function watchResources(
  cluster: Cluster,
  collection: Collection,
  onChange: (object: object) => void,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { items, resourceVersion } = await cluster.listAt(collection);
      for (const item of items) onChange(item);
      if (resourceVersion === "") throw new Error(`the cluster does not know ${collection.kind}`);
      for await (const event of cluster.watch(collection, resourceVersion, signal)) {
        if (event.type === "ADDED" || event.type === "MODIFIED")
          onChange({ ...(event.object as object), apiVersion: collection.apiVersion, kind: collection.kind }); // an object by the API's contract
        if (event.type === "ERROR") break; // the version is too old: list again
      }
    } catch (error) {
      if (signal.aborted) return;
      log("watch_interrupted", { kind: collection.kind, reason: error instanceof Error ? error.message : String(error) });
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined); // an abort ends the loop
  }
}
