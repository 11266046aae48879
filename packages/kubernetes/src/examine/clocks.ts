import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

const Lease = z.object({ metadata: z.object({ name: z.string() }), spec: z.object({ renewTime: z.string().optional() }).prefault({}) });

/** Above this, certificates and evidence that were just made count as not yet valid, or as stale. */
const FAILING_MS = 60_000;
const WARNING_MS = 5_000;
const REMEDY = "Synchronise the clocks of this machine and of all nodes (NTP): certificates and evidence are only good for a limited time.";

/** The clock of this machine, and those of the nodes (which sign when they renew their leases), against that of the API server. */
export async function examineClocks(cluster: Cluster, now: () => Date): Promise<Finding> {
  const before = now().getTime();
  const server = await cluster.time();
  // The answer is stamped somewhere between question and arrival, and in whole seconds.
  const uncertain = now().getTime() - before + 1_000;
  const nodes = (await cluster.list({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace: "kube-node-lease" })).flatMap(
    (item) => {
      const { metadata, spec } = Lease.parse(item);
      // A lease that is old says that the node is away, not that its clock is slow; one from the future has no other reading.
      const aheadMs = spec.renewTime === undefined ? 0 : Date.parse(spec.renewTime) - server.getTime() - 1_000;
      return aheadMs > 0 ? [{ who: `node ${metadata.name}`, skewMs: aheadMs }] : [];
    },
  );
  return judgeClocks([{ who: "this machine", skewMs: beyond(before - server.getTime(), uncertain) }, ...nodes]);
}

const beyond = (skewMs: number, uncertainMs: number): number => Math.sign(skewMs) * Math.max(0, Math.abs(skewMs) - uncertainMs);

export function judgeClocks(clocks: readonly { readonly who: string; readonly skewMs: number }[]): Finding {
  const [worst] = [...clocks].sort((a, b) => Math.abs(b.skewMs) - Math.abs(a.skewMs));
  const skewMs = Math.abs(worst?.skewMs ?? 0);
  if (worst === undefined || skewMs < WARNING_MS) return ok("clocks", "this machine and the nodes agree with the API server");
  const detail = `the clock of ${worst.who} is ${Math.round(skewMs / 1000)} s ${worst.skewMs > 0 ? "ahead of" : "behind"} that of the API server`;
  return skewMs < FAILING_MS ? warning("clocks", detail, REMEDY) : failed("clocks", detail, REMEDY);
}
