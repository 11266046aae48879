import type { LasResource } from "../custom-resources/resources.ts";
import { AGENT_ACCOUNT } from "./agent-rights.ts";
import { NODE_PLATFORM_DIRECTORY } from "./node-platform.ts";
import { componentLabels, componentSelector, definedFields, type OwnerReference, type PlatformObject } from "./platform-object.ts";

/** Labels that charts select nodes by (CL-65). */
export const NODE_LABELS = { "las.scontain.com/ok": "true", "sgx.intel.com/capable": "true" } as const;
/** Directory of the agent's key on the node. */
export const AGENT_STATE_DIRECTORY = "/var/lib/vouchsafe/las";

/**
 * The node agent (CL-66). It measures containers from outside and therefore sees the node's processes; it does so with two capabilities and
 * without privileges: SYS_PTRACE to read which process holds a connection, DAC_READ_SEARCH to read what containers wrote.
 */
export function planLas(las: LasResource, release: { readonly image: string }): readonly PlatformObject[] {
  const { name, uid } = las.metadata;
  const { spec } = las;
  const owner: OwnerReference = { apiVersion: "base.scone.cloud/v1beta1", kind: "LAS", name, uid, controller: true };
  const metadata = { name: `${name}-agent`, namespace: spec.namespace, labels: componentLabels("las", name), ownerReferences: [owner] };
  const runtimeDirectory = spec.containerRuntime.slice(0, spec.containerRuntime.lastIndexOf("/")) || "/";
  const environment = {
    VOUCHSAFE_AGENT_PORT: String(spec.port),
    VOUCHSAFE_AGENT_STATE: AGENT_STATE_DIRECTORY,
    VOUCHSAFE_PLATFORM_DIRECTORY: NODE_PLATFORM_DIRECTORY,
    VOUCHSAFE_AGENT_NAMESPACE: spec.namespace,
    VOUCHSAFE_CONTAINER_RUNTIME: spec.containerRuntime,
    VOUCHSAFE_SECCOMP_DIRECTORY: "/var/lib/kubelet-seccomp",
    VOUCHSAFE_HOST_ROOT: "/host",
  };
  const container = {
    name: "las",
    image: spec.image ?? release.image,
    imagePullPolicy: spec.imagePullPolicy ?? "Always",
    env: [
      ...Object.entries(environment).map(([variable, value]) => ({ name: variable, value })),
      { name: "VOUCHSAFE_NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
      { name: "VOUCHSAFE_AGENT_HOST", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } },
      { name: "VOUCHSAFE_POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "VOUCHSAFE_POD_UID", valueFrom: { fieldRef: { fieldPath: "metadata.uid" } } },
    ],
    ports: [{ name: "las", containerPort: spec.port, hostPort: spec.port, protocol: "TCP" }],
    readinessProbe: { tcpSocket: { port: spec.port }, periodSeconds: 2, failureThreshold: 7 },
    securityContext: {
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"], add: ["SYS_PTRACE", "DAC_READ_SEARCH"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    resources: spec.resources ?? { requests: { cpu: "20m", memory: "80Mi" } },
    volumeMounts: [
      { name: "state", mountPath: AGENT_STATE_DIRECTORY },
      { name: "platform", mountPath: NODE_PLATFORM_DIRECTORY },
      { name: "container-runtime", mountPath: runtimeDirectory },
      { name: "seccomp", mountPath: environment.VOUCHSAFE_SECCOMP_DIRECTORY },
      // Where the layers of containers lie depends on the container runtime; it is only read.
      { name: "host", mountPath: environment.VOUCHSAFE_HOST_ROOT, readOnly: true },
    ],
  };
  const daemonSet: PlatformObject = {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata,
    spec: {
      selector: { matchLabels: componentSelector("las", name) },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
      template: {
        metadata: { labels: metadata.labels, annotations: spec.podAnnotations },
        spec: {
          serviceAccountName: AGENT_ACCOUNT,
          hostPID: true,
          hostNetwork: true,
          dnsPolicy: "ClusterFirstWithHostNet",
          priorityClassName: spec.namespace === "kube-system" ? "system-node-critical" : undefined,
          imagePullSecrets: spec.imagePullSecrets,
          nodeSelector: spec.nodeSelector,
          tolerations: spec.tolerations ?? [{ operator: "Exists" }],
          terminationGracePeriodSeconds: 5,
          containers: [container],
          volumes: [
            { name: "state", hostPath: { path: AGENT_STATE_DIRECTORY, type: "DirectoryOrCreate" } },
            { name: "platform", hostPath: { path: NODE_PLATFORM_DIRECTORY, type: "DirectoryOrCreate" } },
            { name: "container-runtime", hostPath: { path: runtimeDirectory, type: "Directory" } },
            { name: "host", hostPath: { path: "/", type: "Directory" } },
            { name: "seccomp", hostPath: { path: `${spec.kubeletRoot}/seccomp`, type: "DirectoryOrCreate" } },
          ],
        },
      },
    },
  };
  return [definedFields(daemonSet)];
}
