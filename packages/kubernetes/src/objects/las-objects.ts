import type { LasResource } from "../custom-resources/resources.ts";
import { componentLabels, componentSelector, definedFields, type OwnerReference, type PlatformObject } from "./platform-object.ts";

/** Labels that charts select nodes by (CL-65). */
export const NODE_LABELS = { "las.scontain.com/ok": "true", "sgx.intel.com/capable": "true" } as const;
/** ConfigMaps in which agents publish their keys, one for each node: `las-<node>`. */
export const AGENT_RECORD_PREFIX = "las-";
export const AGENT_RECORD_LABEL = "vouchsafe.dev/node-agent";
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
    ],
    ports: [{ name: "las", containerPort: spec.port, hostPort: spec.port, protocol: "TCP" }],
    readinessProbe: { tcpSocket: { port: spec.port }, periodSeconds: 5 },
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
            { name: "container-runtime", hostPath: { path: runtimeDirectory, type: "Directory" } },
            { name: "host", hostPath: { path: "/", type: "Directory" } },
            { name: "seccomp", hostPath: { path: `${spec.kubeletRoot}/seccomp`, type: "DirectoryOrCreate" } },
          ],
        },
      },
    },
  };
  return [daemonSet, ...agentRights(spec.namespace)].map(definedFields);
}

const AGENT_ACCOUNT = "vouchsafe-las";

/**
 * What agents may do in the cluster: publish their own key, and tell a pod why it was refused. All agents share one account, so an admission
 * policy ties each record to the node that the account's token was issued for: a node cannot publish a key for another one.
 */
function agentRights(namespace: string): readonly PlatformObject[] {
  const labels = componentLabels("las", "las");
  const account = { kind: "ServiceAccount", name: AGENT_ACCOUNT, namespace };
  const user = `system:serviceaccount:${namespace}:${AGENT_ACCOUNT}`;
  const admission = "vouchsafe-las-own-record";
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: AGENT_ACCOUNT, namespace, labels } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: AGENT_ACCOUNT, namespace, labels },
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get", "create", "patch"] }],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: AGENT_ACCOUNT, namespace, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: AGENT_ACCOUNT },
      subjects: [account],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: AGENT_ACCOUNT, labels },
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
        { apiGroups: [""], resources: ["events"], verbs: ["create"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: AGENT_ACCOUNT, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: AGENT_ACCOUNT },
      subjects: [account],
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: admission, labels },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: {
          resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["configmaps"] }],
        },
        matchConditions: [{ name: "by-an-agent", expression: `request.userInfo.username == '${user}'` }],
        validations: [
          {
            expression:
              "'authentication.kubernetes.io/node-name' in request.userInfo.extra && " +
              `object.metadata.name == '${AGENT_RECORD_PREFIX}' + request.userInfo.extra['authentication.kubernetes.io/node-name'][0]`,
            message: "a node agent may write the record of its own node only",
          },
        ],
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: admission, labels },
      spec: { policyName: admission, validationActions: ["Deny"] },
    },
  ];
}
