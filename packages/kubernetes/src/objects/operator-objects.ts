import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import { planAgentRights } from "./agent-rights.ts";
import { OPERATOR_NAME, planOperatorRights } from "./operator-rights.ts";
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

/** Answers `/live`, `/ready`, and what the operator sees of its cluster. */
export const OPERATOR_HEALTH_PORT = 8080;

/** The definitions, the operator with its rights, and one LAS and one SGXPlugin: what `sconectl init` applies, in this order. */
export function planPlatform(settings: PlatformSettings): readonly PlatformObject[] {
  return [
    ...platformNamespace(settings.namespace),
    ...CUSTOM_RESOURCE_DEFINITIONS.map(asObject),
    ...planAgentRights(settings.namespace),
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

/** The operator with its rights. Two replicas: one works, the other takes over within seconds when it is gone. */
export function planOperator(settings: PlatformSettings): readonly PlatformObject[] {
  const { namespace } = settings;
  const labels = componentLabels("operator", OPERATOR_NAME);
  const selector = componentSelector("operator", OPERATOR_NAME);
  const container = {
    name: "operator",
    image: settings.images.operator,
    imagePullPolicy: settings.imagePullPolicy,
    env: [
      { name: "VOUCHSAFE_CAS_IMAGE", value: settings.images.cas },
      { name: "VOUCHSAFE_LAS_IMAGE", value: settings.images.las },
      { name: "VOUCHSAFE_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
      { name: "VOUCHSAFE_POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    ],
    ports: [{ name: "health", containerPort: OPERATOR_HEALTH_PORT, protocol: "TCP" }],
    livenessProbe: { httpGet: { path: "/live", port: "health" }, periodSeconds: 20, failureThreshold: 3 },
    readinessProbe: { httpGet: { path: "/ready", port: "health" }, periodSeconds: 2, failureThreshold: 7 },
    securityContext: RESTRICTED_CONTAINER,
    resources: { requests: { cpu: "20m", memory: "96Mi" } },
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
  };
  const apart = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: selector } };
  const objects: readonly PlatformObject[] = [
    ...planOperatorRights(namespace),
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: OPERATOR_NAME, namespace, labels },
      spec: {
        replicas: 2,
        selector: { matchLabels: selector },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: OPERATOR_NAME,
            securityContext: RESTRICTED_POD,
            imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
            affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: apart }] } },
            terminationGracePeriodSeconds: 15,
            containers: [container],
            volumes: [{ name: "tmp", emptyDir: {} }],
          },
        },
      },
    },
    {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: OPERATOR_NAME, namespace, labels },
      spec: { minAvailable: 1, selector: { matchLabels: selector } },
    },
    // Nobody calls the operator but its node's kubelet, which network policies do not concern.
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: OPERATOR_NAME, namespace, labels },
      spec: { podSelector: { matchLabels: selector }, policyTypes: ["Ingress"], ingress: [] },
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
