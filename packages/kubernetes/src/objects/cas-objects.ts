import { createHash } from "node:crypto";
import type { CasResource } from "../custom-resources/resources.ts";
import {
  bundleDirectory,
  CAS_POD_PORTS,
  CONFIGURATION_DIRECTORY,
  casConfiguration,
  configurationFile,
  probeCommand,
  probeTerms,
  TERMS_DIRECTORY,
} from "./cas-configuration.ts";
import { type CasPlace, NODE_PLATFORM_KEY, nodePlatformMount, nodePlatformVolume, usesNodeKey } from "./node-platform.ts";
import {
  componentLabels,
  componentSelector,
  definedFields,
  type OwnerReference,
  type PlatformObject,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
} from "./platform-object.ts";
import { isRecoveryId, RECOVERY_ANNOTATION, recoveryContainer } from "./recovery-container.ts";

/** What a snapshot is made of, and the key of its platform where the owner brings it. */
const RECOVERED_FILES = ["cas.db", "cas.key-store", "platform.key"];
const CONFIGURATION_ANNOTATION = "vouchsafe.dev/configuration";

/** Everything that one CAS resource stands for (CL-67): Service, configuration, StatefulSet with the pod `NAME-0`, and what was asked for beside. */
export function planCas(cas: CasResource, release: { readonly image: string }, place: CasPlace): readonly PlatformObject[] {
  const { name, namespace = "default", uid } = cas.metadata;
  const owner: OwnerReference = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", name, uid, controller: true };
  const metadata = { name, namespace, labels: componentLabels("cas", name), ownerReferences: [owner] };
  const objects: readonly PlatformObject[] = [
    service(cas, metadata),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { ...metadata, name: `${name}-cas-config` },
      data: casConfiguration(cas),
    },
    ...(cas.spec.attestedCLIProbes
      ? [{ apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, name: termsName(name) }, data: probeTerms(cas) }]
      : []),
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { ...metadata, name: `${name}-cas` }, automountServiceAccountToken: false },
    statefulSet(cas, metadata, release.image, usesNodeKey(cas, place)),
    ...(cas.spec.networkPolicy.enabled ? [networkPolicy(cas, metadata)] : []),
  ];
  return objects.map(definedFields);
}

type Metadata = PlatformObject["metadata"];
const termsName = (cas: string): string => `${cas}-cas-attestation`;

function service(cas: CasResource, metadata: Metadata): PlatformObject {
  const { service: wanted } = cas.spec;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, ...(wanted.annotations === undefined ? {} : { annotations: wanted.annotations }) },
    spec: {
      type: wanted.type,
      loadBalancerIP: wanted.loadBalancerIP,
      selector: componentSelector("cas", cas.metadata.name),
      // The owner must reach a CAS that is not provisioned yet, and so not ready.
      publishNotReadyAddresses: true,
      ports: [
        { name: "client", port: wanted.clientPort, targetPort: "client", protocol: "TCP", nodePort: wanted.nodePorts?.clientPort },
        { name: "enclave", port: wanted.enclavePort, targetPort: "enclave", protocol: "TCP", nodePort: wanted.nodePorts?.enclavePort },
      ],
    },
  };
}

function statefulSet(cas: CasResource, metadata: Metadata, releaseImage: string, hasNodeKey: boolean): PlatformObject {
  const { spec } = cas;
  const { name } = cas.metadata;
  const selector = componentSelector("cas", name);
  const data = volume("database", spec.persistence);
  const snapshots = spec.databaseSnapshots.enabled ? volume("snapshots", spec.databaseSnapshots.persistence) : undefined;
  const configMaps = [...new Set(spec.collateral?.bundles.map(({ configMap }) => configMap))];
  const bundles = configMaps.map((configMap, at) => ({ name: `collateral-${at}`, configMap }));
  const probe = (wanted: typeof spec.livenessProbe) =>
    wanted.enabled
      ? {
          ...(spec.attestedCLIProbes
            ? { exec: { command: probeCommand() } }
            : { httpGet: { path: "/v1/health/live", port: "client", scheme: "HTTPS" } }),
          failureThreshold: wanted.failureThreshold,
          periodSeconds: wanted.periodSeconds,
          timeoutSeconds: wanted.timeoutSeconds,
          initialDelaySeconds: wanted.initialDelaySeconds,
        }
      : undefined;
  const container = {
    name: "cas",
    image: spec.image ?? releaseImage,
    imagePullPolicy: spec.imagePullPolicy ?? "Always",
    args: [
      ...["--config", configurationFile],
      // The key of the node opens the database where the node is registered, or was the first. Else the one on the volume, which whoever reads the
      // volume can read: of a CAS without backups, or from before it had any.
      ...(hasNodeKey ? ["--platform-key", NODE_PLATFORM_KEY] : []),
      ...["--platform-key", `${spec.persistence.mountPath}/platform.key`],
      // It follows the database to another node, whose CAS would otherwise wait for the owner; without a key of the node it does so anyway.
      ...(hasNodeKey ? ["--anchor", `${spec.persistence.mountPath}/platform.key.anchor`] : []),
      ...[name, `${name}.${cas.metadata.namespace ?? "default"}`].flatMap((host) => ["--name", host]),
    ],
    ports: [
      { name: "client", containerPort: CAS_POD_PORTS.client, protocol: "TCP" },
      { name: "enclave", containerPort: CAS_POD_PORTS.enclave, protocol: "TCP" },
    ],
    volumeMounts: [
      { name: "database", mountPath: spec.persistence.mountPath },
      ...(hasNodeKey ? [nodePlatformMount] : []),
      { name: "configuration", mountPath: CONFIGURATION_DIRECTORY, readOnly: true },
      ...(spec.attestedCLIProbes ? [{ name: "attestation", mountPath: TERMS_DIRECTORY, readOnly: true }] : []),
      ...bundles.map(({ name: volumeName, configMap }) => ({ name: volumeName, mountPath: bundleDirectory(configMap), readOnly: true })),
      { name: "log", mountPath: "/var/log/cas" },
      { name: "tmp", mountPath: "/tmp" },
      ...(snapshots === undefined ? [] : [{ name: "snapshots", mountPath: spec.databaseSnapshots.targetDirectory }]),
    ],
    securityContext: RESTRICTED_CONTAINER,
    // What the CAS said last is the reason why it ended; the operator shows it.
    terminationMessagePolicy: "FallbackToLogsOnError",
    resources: spec.resources ?? { requests: { cpu: "50m", memory: "96Mi" } },
    // The time that the resource gives the start in all, in short tries: a CAS serves as soon as it can, and a start that failed shows within seconds.
    startupProbe: probe(inShortTries(spec.startupProbe, spec.attestedCLIProbes ? ATTESTED_TRY_SECONDS : TRY_SECONDS)),
    livenessProbe: probe(spec.livenessProbe),
    readinessProbe: { tcpSocket: { port: "client" }, periodSeconds: 2, failureThreshold: 7 },
  };
  const claims = [data, snapshots].flatMap((wanted) => (wanted?.claim === undefined ? [] : [wanted.claim]));
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata,
    spec: {
      serviceName: name,
      replicas: 1,
      selector: { matchLabels: selector },
      template: {
        metadata: { labels: metadata.labels, annotations: { ...spec.podAnnotations, [CONFIGURATION_ANNOTATION]: configurationHash(cas) } },
        spec: {
          serviceAccountName: `${name}-cas`,
          automountServiceAccountToken: false,
          imagePullSecrets: spec.imagePullSecrets,
          nodeSelector: spec.nodeSelector,
          tolerations: spec.tolerations,
          securityContext: RESTRICTED_POD,
          terminationGracePeriodSeconds: 20,
          initContainers: recovery(cas, container),
          containers: [container],
          volumes: [
            { name: "configuration", configMap: { name: `${name}-cas-config` } },
            ...(spec.attestedCLIProbes ? [{ name: "attestation", configMap: { name: termsName(name) } }] : []),
            ...bundles.map(({ name: volumeName, configMap }) => ({ name: volumeName, configMap: { name: configMap } })),
            ...(hasNodeKey ? [nodePlatformVolume] : []),
            { name: "log", emptyDir: {} },
            { name: "tmp", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
            ...[data, snapshots].flatMap((wanted) => (wanted?.podVolume === undefined ? [] : [wanted.podVolume])),
          ],
        },
      },
      ...(claims.length > 0 ? { volumeClaimTemplates: claims } : {}),
    },
  };
}

/** A question over HTTP costs nothing; an attested one starts a program. */
const TRY_SECONDS = 1;
const ATTESTED_TRY_SECONDS = 5;

function inShortTries(wanted: CasResource["spec"]["startupProbe"], trySeconds: number): CasResource["spec"]["startupProbe"] {
  const periodSeconds = Math.min(wanted.periodSeconds, trySeconds);
  return { ...wanted, periodSeconds, failureThreshold: Math.ceil((wanted.periodSeconds * wanted.failureThreshold) / periodSeconds) };
}

/** Replaces the database by a snapshot before the CAS starts, where the resource says so. */
function recovery(
  cas: CasResource,
  container: { readonly image: string; readonly imagePullPolicy: string },
): readonly object[] | undefined {
  const id = cas.metadata.annotations[RECOVERY_ANNOTATION];
  if (id === undefined || !isRecoveryId(id)) return undefined;
  const { image, imagePullPolicy } = container;
  return [recoveryContainer(id, { image, imagePullPolicy, mountPath: cas.spec.persistence.mountPath, files: RECOVERED_FILES })];
}

/** Read at start only: another configuration is another pod. */
const configurationHash = (cas: CasResource): string =>
  createHash("sha256")
    .update(JSON.stringify(casConfiguration(cas)))
    .digest("hex");

/** A claim that outlives the pod, or a directory of the pod. */
function volume(name: string, wanted: CasResource["spec"]["persistence"]) {
  if (!wanted.enabled) return { podVolume: { name, emptyDir: {} }, claim: undefined };
  const storageClassName = wanted.storageClass === "-" ? "" : wanted.storageClass;
  const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: wanted.accessModes, storageClassName, resources: { requests: { storage: wanted.size } } },
  };
  return { podVolume: undefined, claim };
}

function networkPolicy(cas: CasResource, metadata: Metadata): PlatformObject {
  const { ingressNSMatchLabels, ingressPodMatchLabels } = cas.spec.networkPolicy;
  const from = {
    namespaceSelector: ingressNSMatchLabels === undefined ? undefined : { matchLabels: ingressNSMatchLabels },
    podSelector: ingressPodMatchLabels === undefined ? undefined : { matchLabels: ingressPodMatchLabels },
  };
  const isOpen = ingressNSMatchLabels === undefined && ingressPodMatchLabels === undefined;
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata,
    spec: {
      podSelector: { matchLabels: componentSelector("cas", cas.metadata.name) },
      policyTypes: ["Ingress"],
      ingress: [{ from: isOpen ? undefined : [from], ports: [{ port: "client" }, { port: "enclave" }] }],
    },
  };
}
