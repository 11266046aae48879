import { mergeValues, type PlainMapping, type PlainValue, toYaml } from "@vouchsafe/mesh";

/** One value of the built-in service chart: what it is for, and which values Helm lets through. */
interface ServiceValue {
  readonly comment: string;
  readonly schema: PlainMapping;
}

const TEXT: PlainMapping = { type: "string" };
const SWITCH: PlainMapping = { type: "boolean" };
const OBJECT: PlainMapping = { type: "object" };
const LIST_OF_OBJECTS: PlainMapping = { type: "array", items: OBJECT };
const TEXTS: PlainMapping = { type: "array", items: TEXT };
const TEXT_MAP: PlainMapping = { type: "object", additionalProperties: TEXT };
const PORT: PlainMapping = { type: "integer", minimum: 1, maximum: 65_535 };
const record = (properties: PlainMapping): PlainMapping => ({ type: "object", properties });
const oneOf = (...words: readonly string[]): PlainMapping => ({ type: "string", enum: words });
const WAIT = record({ enabled: SWITCH, host: TEXT, port: { type: "integer", minimum: 0, maximum: 65_535 } });

/** Values by their name at the top level (manifests section 12.2): comments of `values.yaml` and rules of `values.schema.json`. */
const SERVICE_VALUES: Readonly<Record<string, ServiceValue>> = {
  replicaCount: { comment: "Pods of this service. Ignored by jobs.", schema: { type: "integer", minimum: 0 } },
  image: {
    comment: "The tag is for readers; the digest decides, and the policy accepts no other image.",
    schema: { type: "string", minLength: 1 },
  },
  imagePullPolicy: { comment: "Always: the registry is asked at every start.", schema: oneOf("Always", "IfNotPresent", "Never") },
  imagePullSecrets: { comment: "Secrets with the registry's login; they need not exist where none is needed.", schema: LIST_OF_OBJECTS },
  nameOverride: { comment: "Replaces the service's name in the label app.kubernetes.io/name.", schema: TEXT },
  fullnameOverride: {
    comment: "Name of all objects, and host name of the service. Set when the mesh was applied with --release.",
    schema: { type: "string", maxLength: 63 },
  },
  workloadKind: { comment: "deployment, statefulset or job.", schema: oneOf("deployment", "statefulset", "job") },
  serviceAccount: {
    comment: "An account without any right, whose token is not mounted. name: use another one.",
    schema: record({ create: SWITCH, name: TEXT, annotations: TEXT_MAP }),
  },
  podSecurityContext: {
    comment:
      "Added to: not root, user 65532, and the seccomp profile vouchsafe/runtime.json of the node agent. The runtime needs no capability: it hides\nsecrets in a user namespace, which that profile allows. With seccompProfile RuntimeDefault pods do not start.",
    schema: OBJECT,
  },
  securityContext: { comment: "Added to: no capability, no gain of privileges.", schema: OBJECT },
  resources: {
    comment: "The device is what nodes with the device plugin offer (useSGXDevPlugin); memory follows SCONE_HEAP.",
    schema: record({ limits: OBJECT, requests: OBJECT }),
  },
  nodeSelector: { comment: "Where pods may run.", schema: TEXT_MAP },
  tolerations: { comment: "", schema: LIST_OF_OBJECTS },
  affinity: { comment: "", schema: OBJECT },
  networkPolicy: {
    comment:
      "Who may open connections to this service: the services of this release that import its secrets (clients), everybody where there are none, and\nthe peers in from. With restrictEgress its pods reach only name service, CAS, node agent, this release, and the peers in to.",
    schema: record({ enabled: SWITCH, clients: TEXTS, from: LIST_OF_OBJECTS, restrictEgress: SWITCH, to: LIST_OF_OBJECTS }),
  },
  ingress: {
    comment: "TLS passes through the ingress; the program ends it.",
    schema: record({ enabled: SWITCH, annotations: TEXT_MAP, hosts: TEXTS, tls: LIST_OF_OBJECTS }),
  },
  service: {
    comment: "Without a port there is no Service.",
    schema: record({
      type: oneOf("ClusterIP", "NodePort", "LoadBalancer"),
      port: PORT,
      nodePort: PORT,
      loadBalancerIP: TEXT,
      annotations: TEXT_MAP,
    }),
  },
  scone: {
    comment: "Which policy the pods ask for, where, and with whose key. Public: another value can only make the start fail.",
    schema: record({
      api_session: { type: "string", minLength: 1 },
      cas: { type: "string", minLength: 1 },
      cas_key: TEXT,
      command: { type: "array", items: TEXT, minItems: 1 },
      scone_log: TEXT,
      scone_version: TEXT,
    }),
  },
  initContainers: {
    comment: "Wait until these accept connections.",
    schema: record({ container1: WAIT, container2: WAIT, waitFor: LIST_OF_OBJECTS }),
  },
  jobs: {
    comment: "Of jobs; everything else is restarted always.",
    schema: record({ restartPolicy: oneOf("Always", "OnFailure", "Never") }),
  },
  readiness: {
    comment:
      "launcher: attested and started, and the program listens on service.port (or has run for 20 s without); tcp: the port accepts\nconnections; none.",
    schema: record({ mode: oneOf("launcher", "tcp", "none"), port: { type: ["integer", "string"] } }),
  },
  tests: { comment: "helm test connects to the port of the Service.", schema: record({ enabled: SWITCH }) },
  terminationGracePeriodSeconds: { comment: "Time for the program to end.", schema: { type: "integer", minimum: 0 } },
  drainSeconds: {
    comment: "How long the program of a pod that ends still serves whoever has not heard of it; within the time above.",
    schema: { type: "integer", minimum: 0 },
  },
  extraEnv: { comment: "Environment of the container; it does not reach the program.", schema: LIST_OF_OBJECTS },
  extraVolumes: {
    comment:
      "Volumes of the pod; the program sees none of them but at paths of build.host_paths. An emptyDir becomes memory of the program, others keep it from starting.",
    schema: LIST_OF_OBJECTS,
  },
  extraVolumeMounts: { comment: "", schema: LIST_OF_OBJECTS },
  podAnnotations: { comment: "", schema: OBJECT },
  persistence: { comment: "Refused where enabled: state is in memory and gone with the pod.", schema: record({ enabled: SWITCH }) },
  volumes: {
    comment: "Encrypted by the runtime. With size or existingClaim a claim that outlives the pod, else a directory of the pod.",
    schema: {
      type: "object",
      additionalProperties: record({
        mountPath: TEXT,
        existingClaim: TEXT,
        size: { type: ["string", "integer"] },
        storageClass: TEXT,
        accessModes: TEXTS,
      }),
    },
  },
};

/** What the chart has beyond the plan's values. */
const CHART_DEFAULTS: PlainMapping = {
  serviceAccount: { create: true, name: "", annotations: {} },
  networkPolicy: { enabled: true, clients: [], from: [], restrictEgress: false, to: [] },
  tests: { enabled: true },
  drainSeconds: 3,
};

/** `values.yaml` with what each value is for. `values` win over the chart's own defaults. */
export function serviceValuesFile(values: PlainMapping): string {
  const complete = mergeValues(CHART_DEFAULTS, values);
  const known = Object.keys(SERVICE_VALUES).filter((key) => key in complete);
  const others = Object.keys(complete).filter((key) => !(key in SERVICE_VALUES));
  return [...known, ...others].map((key) => commented(SERVICE_VALUES[key]?.comment ?? "", { [key]: complete[key] ?? null })).join("");
}

const commented = (comment: string, value: PlainMapping): string =>
  `${comment === "" ? "" : `${comment.replace(/^/gm, "# ")}\n`}${toYaml(value)}`;

/** `values.schema.json`: types and words; unknown values pass, because charts of older releases may have been given some. */
export function serviceValuesSchema(): string {
  const properties = Object.entries(SERVICE_VALUES).map(([key, { comment, schema }]): [string, PlainValue] => [
    key,
    comment === "" ? schema : { description: comment.replaceAll("\n", " "), ...(schema as PlainMapping) },
  ]);
  const schema: PlainMapping = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of a confidential service",
    type: "object",
    required: ["image", "scone"],
    properties: Object.fromEntries(properties),
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** Schema of the application's chart: each service can be left out. */
export function applicationValuesSchema(services: readonly string[]): string {
  const schema: PlainMapping = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of a confidential application",
    type: "object",
    properties: Object.fromEntries([
      ["global", { type: "object" }],
      ...services.map((name): [string, PlainValue] => [name, { type: "object", properties: { enabled: SWITCH } }]),
    ]),
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
