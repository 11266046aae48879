import { KubeConfig } from "@kubernetes/client-node";
import { Cluster } from "../cluster/cluster.ts";

/** The cluster as a service account sees it, by a token that is bound to one of its pods. */
export async function asAccount(cluster: Cluster, namespace: string, account: string, pod: string): Promise<Cluster> {
  const bound = { apiVersion: "v1", kind: "Pod", name: pod };
  const token = await cluster.requestToken(namespace, account, { audiences: [], expirationSeconds: 3600, boundObjectRef: bound });
  const present = cluster.config.getCurrentCluster();
  if (present === null) throw new TypeError("the configuration names a cluster");
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [present],
    users: [{ name: account, token }],
    contexts: [{ name: account, cluster: present.name, user: account }],
    currentContext: account,
  });
  return new Cluster(config);
}

/** A pod that a kubelet would run on `node`; here it is only a name that tokens can be bound to. */
export const boundPod = (name: string, namespace: string, account: string, node: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: { serviceAccountName: account, nodeName: node, containers: [{ name: "c", image: "none" }] },
});
