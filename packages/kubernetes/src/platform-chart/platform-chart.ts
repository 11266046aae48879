import { toYaml } from "@vouchsafe/mesh";
import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import { planAgentRights } from "../objects/agent-rights.ts";
import { type PlatformSettings, planNodes, planOperator } from "../objects/operator-objects.ts";
import { PLATFORM_VERSION } from "../platform-version.ts";

/*
 * Helm charts of the platform, for teams that install with Helm instead of `sconectl init`: `platform` (definitions, operator, node agents) and
 * `cas` (one CAS). They are made from the same objects; only what a user may choose becomes an expression of Helm.
 */

/** Stands in an object for an expression; begins with a character that makes YAML quote it. */
const CHOICES = {
  "@@namespace@@": "{{ .Release.Namespace }}",
  "@@operator@@": "{{ .Values.repository }}/operator:{{ .Values.version | default .Chart.AppVersion }}",
  "@@cas@@": "{{ .Values.repository }}/cas:{{ .Values.version | default .Chart.AppVersion }}",
  "@@las@@": "{{ .Values.repository }}/las:{{ .Values.version | default .Chart.AppVersion }}",
  "@@pull-secret@@": "{{ .Values.imagePullSecret }}",
  "@@pull-policy@@": "{{ .Values.imagePullPolicy }}",
  "@@container-runtime@@": "{{ .Values.containerRuntime }}",
  "@@kubelet-root@@": "{{ .Values.kubeletRoot }}",
} as const;

const SETTINGS: PlatformSettings = {
  namespace: "@@namespace@@",
  images: { operator: "@@operator@@", cas: "@@cas@@", las: "@@las@@" },
  imagePullSecrets: ["@@pull-secret@@"],
  imagePullPolicy: "@@pull-policy@@" as PlatformSettings["imagePullPolicy"], // Helm puts one of the three words there
  containerRuntime: "@@container-runtime@@",
  kubeletRoot: "@@kubelet-root@@",
  withSgxPlugin: true,
};

const PLATFORM_VALUES = `# Repository with the platform's images (\`vouchsafe publish REPOSITORY\` fills one).
repository: registry.example.org/vouchsafe
# Tag of the images; empty: the version of this chart.
version: ""
# Secret with the registry's login, in the namespace of the release; need not exist where images can be pulled without.
imagePullSecret: sconeapps
imagePullPolicy: Always
# Socket of the container runtime on the nodes.
containerRuntime: /run/containerd/containerd.sock
# Root directory of the kubelet on the nodes: the node agent puts a seccomp profile below it.
kubeletRoot: /var/lib/kubelet
`;

const PLATFORM_NOTES = `The platform is being installed: kubectl get las,sgxplugin
The node agent sees the node's processes, so the namespace {{ .Release.Namespace }} needs Pod Security "privileged":

  kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=privileged

Next: helm install cas, then kubectl provision cas cas -n {{ .Release.Namespace }}
`;

const CAS_VALUES = `# What goes into the CAS resource as it is; see \`kubectl explain cas.spec\`.
spec:
  # image: registry.example.org/vouchsafe/cas:0.1.0
  imagePullSecrets:
    - name: sconeapps
  persistence:
    # Keep the database when the pod moves: needs a storage class.
    enabled: true
    size: 1Gi
`;

const CAS_TEMPLATE = `apiVersion: services.scone.cloud/v1beta1
kind: CAS
metadata:
  name: {{ .Release.Name | quote }}
  namespace: {{ .Release.Namespace | quote }}
spec:
  {{- toYaml .Values.spec | nindent 2 }}
`;

const CAS_NOTES = `The CAS {{ .Release.Name }} is being started. It serves nobody until it has an owner:

  kubectl provision cas {{ .Release.Name }} -n {{ .Release.Namespace }}
`;

/** Files of both charts, by path below the directory of charts. */
export function planPlatformCharts(): ReadonlyMap<string, string> {
  const files = new Map<string, string>([
    ["platform/Chart.yaml", chart("platform", "Operator, node agents and resource definitions of Vouchsafe")],
    ["platform/values.yaml", PLATFORM_VALUES],
    ["platform/templates/NOTES.txt", PLATFORM_NOTES],
    ["platform/templates/agents.yaml", template(planAgentRights(SETTINGS.namespace))],
    ["platform/templates/operator.yaml", template(planOperator(SETTINGS))],
    // After the definitions are served and the operator exists.
    ["platform/templates/nodes.yaml", template(planNodes(SETTINGS))],
    ["cas/Chart.yaml", chart("cas", "One configuration and attestation service (CAS)")],
    ["cas/values.yaml", CAS_VALUES],
    ["cas/templates/cas.yaml", CAS_TEMPLATE],
    ["cas/templates/NOTES.txt", CAS_NOTES],
  ]);
  for (const definition of CUSTOM_RESOURCE_DEFINITIONS) files.set(`platform/crds/${definition.metadata.name}.yaml`, document(definition));
  return files;
}

const chart = (name: string, description: string): string =>
  document({ apiVersion: "v2", name, description, type: "application", version: PLATFORM_VERSION, appVersion: PLATFORM_VERSION });

const template = (objects: readonly object[]): string =>
  Object.entries(CHOICES).reduce((text, [token, expression]) => text.replaceAll(token, expression), objects.map(document).join("---\n"));

/** Objects are plain values: what YAML writes, JSON could too. */
const document = (object: object): string => toYaml(object as Parameters<typeof toYaml>[0]);
