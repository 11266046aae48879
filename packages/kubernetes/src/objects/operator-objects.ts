import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import {
  componentLabels,
  componentSelector,
  definedFields,
  PART_OF,
  type PlatformObject,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
} from "./platform-object.ts";

/** What an installation of the platform decides. */
export interface PlatformSettings {
  readonly namespace: string;
  readonly images: { readonly operator: string; readonly cas: string; readonly las: string };
  readonly imagePullSecrets: readonly string[];
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Host path of the container runtime's socket. */
  readonly containerRuntime: string;
  readonly kubeletRoot: string;
  readonly withSgxPlugin: boolean;
}

export const OPERATOR_NAME = "vouchsafe-operator";

/** The definitions, the operator with its rights, and one LAS and one SGXPlugin: what `sconectl init` applies, in this order. */
export function planPlatform(settings: PlatformSettings): readonly PlatformObject[] {
  return [
    ...platformNamespace(settings.namespace),
    ...CUSTOM_RESOURCE_DEFINITIONS.map(asObject),
    ...planOperator(settings),
    ...planNodes(settings),
  ];
}

/** Namespace of the platform. The node agent shares the node's processes and network there, hence Pod Security "privileged". */
export const platformNamespace = (name: string): readonly PlatformObject[] => [
  {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "app.kubernetes.io/part-of": PART_OF, "pod-security.kubernetes.io/enforce": "privileged" } },
  },
];

const asObject = (definition: (typeof CUSTOM_RESOURCE_DEFINITIONS)[number]): PlatformObject => ({ ...definition });

/** The operator with the rights it needs, and no others: it reads no Secret. */
export function planOperator(settings: PlatformSettings): readonly PlatformObject[] {
  const { namespace } = settings;
  const labels = componentLabels("operator", OPERATOR_NAME);
  const own = ["get", "list", "watch"];
  const manage = [...own, "create", "patch", "update", "delete"];
  const objects: readonly PlatformObject[] = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: OPERATOR_NAME, namespace, labels } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: OPERATOR_NAME, labels },
      rules: [
        { apiGroups: ["base.scone.cloud"], resources: ["las", "sgxplugins"], verbs: own },
        { apiGroups: ["services.scone.cloud"], resources: ["cas"], verbs: own },
        { apiGroups: ["cas.scone.cloud"], resources: ["signedpolicies", "encryptedpolicies"], verbs: own },
        {
          apiGroups: ["base.scone.cloud", "services.scone.cloud", "cas.scone.cloud"],
          resources: ["las/status", "sgxplugins/status", "cas/status", "signedpolicies/status", "encryptedpolicies/status"],
          verbs: ["get", "patch", "update"],
        },
        { apiGroups: [""], resources: ["services", "configmaps", "serviceaccounts"], verbs: manage },
        { apiGroups: ["apps"], resources: ["statefulsets", "daemonsets"], verbs: manage },
        { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: manage },
        {
          apiGroups: ["admissionregistration.k8s.io"],
          resources: ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
          verbs: manage,
        },
        { apiGroups: [""], resources: ["pods"], verbs: own },
        { apiGroups: [""], resources: ["nodes"], verbs: [...own, "patch"] },
        { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
        { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
        // The agents' rights: whoever grants a right must hold it.
        {
          apiGroups: ["rbac.authorization.k8s.io"],
          resources: ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
          verbs: manage,
        },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: OPERATOR_NAME, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: OPERATOR_NAME },
      subjects: [{ kind: "ServiceAccount", name: OPERATOR_NAME, namespace }],
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: OPERATOR_NAME, namespace, labels },
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" }, // two operators at once would do everything twice
        selector: { matchLabels: componentSelector("operator", OPERATOR_NAME) },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: OPERATOR_NAME,
            securityContext: RESTRICTED_POD,
            imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
            containers: [
              {
                name: "operator",
                image: settings.images.operator,
                imagePullPolicy: settings.imagePullPolicy,
                env: [
                  { name: "VOUCHSAFE_CAS_IMAGE", value: settings.images.cas },
                  { name: "VOUCHSAFE_LAS_IMAGE", value: settings.images.las },
                ],
                ports: [{ name: "health", containerPort: 8080, protocol: "TCP" }],
                livenessProbe: { httpGet: { path: "/live", port: "health" }, periodSeconds: 20, failureThreshold: 3 },
                readinessProbe: { httpGet: { path: "/ready", port: "health" }, periodSeconds: 5 },
                securityContext: RESTRICTED_CONTAINER,
                resources: { requests: { cpu: "20m", memory: "96Mi" } },
                volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
              },
            ],
            volumes: [{ name: "tmp", emptyDir: {} }],
          },
        },
      },
    },
  ];
  return objects.map(definedFields);
}

/** The resources that stand for every node: agent, and TEE devices. */
export function planNodes(settings: PlatformSettings): readonly PlatformObject[] {
  const labels = { "app.kubernetes.io/part-of": PART_OF };
  const pull = {
    imagePullPolicy: settings.imagePullPolicy,
    imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
  };
  const las: PlatformObject = {
    apiVersion: "base.scone.cloud/v1beta1",
    kind: "LAS",
    metadata: { name: "las", labels },
    spec: { namespace: settings.namespace, containerRuntime: settings.containerRuntime, kubeletRoot: settings.kubeletRoot, ...pull },
  };
  const plugin: PlatformObject = {
    apiVersion: "base.scone.cloud/v1beta1",
    kind: "SGXPlugin",
    metadata: { name: "sgxplugin", labels },
    spec: { namespace: settings.namespace },
  };
  return settings.withSgxPlugin ? [las, plugin] : [las];
}
