import { createHash } from "node:crypto";
import type { CasResource } from "../custom-resources/resources.ts";
import { CAS_POD_PORTS } from "./cas-configuration.ts";
import { NODE_PLATFORM_KEY, nodePlatformMount, nodePlatformVolume } from "./node-platform.ts";
import {
  componentLabels,
  componentSelector,
  definedFields,
  type PlatformObject,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
} from "./platform-object.ts";

/** How long a waiting CAS shows itself, and how long its pod may take in all: pulling the image included. */
const SHOWS_ITSELF_SECONDS = 90;
const ACTIVE_SECONDS = 300;
/** With `debug` its log can be read for this long. */
const DEBUG_SECONDS = 600;

/** Labels of the pods that show the platform of a node; no Service selects them. */
export const backupSelector = (cas: string): Readonly<Record<string, string>> => componentSelector("cas-backup", cas);

/**
 * A CAS that waits on one node and shows its statement, so that the primary can register the platform key of that node (C-73, C-75). It has an empty
 * database of its own, no right in the cluster, and ends by itself. Its name stands for what it runs, so a changed wish is another Job.
 */
export function planBackupJob(cas: CasResource, node: string, release: { readonly image: string }): PlatformObject {
  const { name, namespace = "default", uid } = cas.metadata;
  const { spec } = cas;
  const wanted = spec["backup-controller"];
  const container = {
    name: "cas",
    image: wanted.image ?? spec.image ?? release.image,
    imagePullPolicy: spec.imagePullPolicy ?? "Always",
    args: [
      ...["--state", "/state", "--platform-key", NODE_PLATFORM_KEY, "--anchor", "/state/anchor"],
      ...["--client-listen", `0.0.0.0:${CAS_POD_PORTS.client}`, "--service-listen", "127.0.0.1:0"],
      ...["--stop-after", String(SHOWS_ITSELF_SECONDS)],
    ],
    env: wanted.env,
    ports: [{ name: "client", containerPort: CAS_POD_PORTS.client, protocol: "TCP" }],
    volumeMounts: [nodePlatformMount, { name: "state", mountPath: "/state" }, { name: "tmp", mountPath: "/tmp" }],
    securityContext: RESTRICTED_CONTAINER,
    terminationMessagePolicy: "FallbackToLogsOnError",
    resources: { requests: { cpu: "20m", memory: "96Mi" } },
  };
  const onlyThere = { nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }] };
  const pod = {
    serviceAccountName: `${name}-cas`,
    automountServiceAccountToken: false,
    imagePullSecrets: wanted.imagePullSecrets ?? spec.imagePullSecrets,
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: onlyThere } },
    tolerations: spec.tolerations,
    securityContext: RESTRICTED_POD,
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 5,
    containers: [container],
    volumes: [nodePlatformVolume, { name: "state", emptyDir: {} }, { name: "tmp", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } }],
  };
  const labels = componentLabels("cas-backup", name);
  const id = createHash("sha256")
    .update(JSON.stringify([node, pod]))
    .digest("hex")
    .slice(0, 10);
  return definedFields({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: `${name}-backup-${id}`,
      namespace,
      labels,
      ownerReferences: [{ apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", name, uid, controller: true }],
    },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: ACTIVE_SECONDS,
      ttlSecondsAfterFinished: wanted.debug ? DEBUG_SECONDS : 0,
      template: { metadata: { labels }, spec: pod },
    },
  });
}
