import { existsSync } from "node:fs";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { KubernetesError } from "../kubernetes-error.ts";
import { noCluster } from "./cluster.ts";

/** The user's cluster: KUBECONFIG, which must name one file, else `~/.kube/config`. Throws E-KUBECONFIG-LIST, E-CLUSTER. */
export function loadKubeconfig(environment: Readonly<Record<string, string | undefined>>): KubeConfig {
  const given = environment["KUBECONFIG"];
  if (given?.includes(":")) {
    throw new KubernetesError("E-KUBECONFIG-LIST", `KUBECONFIG is a list: ${given}`, { remedy: "Set it to one file." });
  }
  const file = given === undefined || given === "" ? join(environment["HOME"] ?? "/", ".kube", "config") : given;
  if (!existsSync(file)) throw noCluster();
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (cause) {
    throw new KubernetesError("E-CLUSTER", `${file} is no kubeconfig`, { cause, remedy: "Check the file with: kubectl config view" });
  }
  return config;
}
