import type { TestContext } from "node:test";
import { Cluster } from "../cluster/cluster.ts";
import { defineResources, startApiServer } from "./api-server.ts";

export interface OperatorServer {
  /** As the administrator. */
  readonly cluster: Cluster;
  /** Aborted when the test ends, for what runs until then. */
  readonly stop: AbortSignal;
  /** Waited for before the API server goes. */
  readonly working: Promise<unknown>[];
}

/** An API server that knows our custom resources, for as long as the test runs. Ask `missingForApiServer` before. */
export async function startOperatorServer(t: TestContext): Promise<OperatorServer> {
  const server = await startApiServer();
  const stop = new AbortController();
  const working: Promise<unknown>[] = [];
  t.after(async () => {
    stop.abort();
    await Promise.all(working).finally(() => server.stop());
  });
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  return { cluster, stop: stop.signal, working };
}
