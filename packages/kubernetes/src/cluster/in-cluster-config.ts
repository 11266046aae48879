import { KubeConfig } from "@kubernetes/client-node";

/**
 * Configuration of a program that runs in a pod: its service account, and the API server by its name. (The usual variables do not get through
 * the launcher, which keeps only our own.)
 */
export function inClusterConfig(): KubeConfig {
  process.env["KUBERNETES_SERVICE_HOST"] ??= "kubernetes.default.svc";
  process.env["KUBERNETES_SERVICE_PORT"] ??= "443";
  const config = new KubeConfig();
  config.loadFromCluster();
  return config;
}
