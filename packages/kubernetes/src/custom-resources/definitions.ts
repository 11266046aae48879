import { CAS_SPEC, CAS_STATUS } from "./cas-schema.ts";
import { CONDITIONS, flag, integer, list, PLACEMENT, record, type Schema, STATE, text } from "./schema.ts";

/** One custom resource definition, as the API server takes it. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: object;
}

interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly priority?: number;
}

interface Definition {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly scope: "Cluster" | "Namespaced";
  readonly spec: Schema;
  readonly requiresSpec?: true;
  readonly status: Schema;
  readonly columns: readonly Column[];
  readonly validations?: Schema["x-kubernetes-validations"];
}

export const API_VERSION = "v1beta1";
const AGE: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };
const column = (name: string, field: string, type: Column["type"] = "string"): Column => ({ name, type, jsonPath: `.status.${field}` });

const NODE_STATUS = record(
  {
    ready: flag("Whether the agent answers."),
    evidence: list({ type: "string" }, "Kinds of evidence that the node can produce."),
    publicKey: text("Key of the node's agent: SubjectPublicKeyInfo, DER, base64."),
    keyHash: text("Hash of that key, as policies spell it."),
    message: text("Why the node is not ready."),
    since: text("When this last changed.", { format: "date-time" }),
  },
  "One node.",
);

const LAS: Definition = {
  group: "base.scone.cloud",
  kind: "LAS",
  plural: "las",
  singular: "las",
  scope: "Cluster",
  spec: record(
    {
      ...PLACEMENT,
      namespace: text("Namespace of the agent's pods.", { default: "scone-system" }),
      port: integer("Port on each node.", { minimum: 1, maximum: 65_535, default: 18_766 }),
      evidence: { ...list({ type: "string" }, "Kinds of evidence that every selected node must be able to produce."), default: ["node"] },
      containerRuntime: text("Socket of the container runtime on the nodes.", { default: "/run/containerd/containerd.sock" }),
      kubeletRoot: text("Root directory of the kubelet.", { default: "/var/lib/kubelet" }),
      dcapKey: text(
        "Accepted without effect: the CAS fetches what is published, with its owner's key. Whoever reads the resource reads it.",
      ),
      autoUpdate: flag("Accepted without effect: sconectl init updates the agents.", false),
    },
    "What the agents should be.",
    { default: {} },
  ),
  status: record(
    {
      state: STATE,
      version: text("Version of the agents.", { default: "unknown" }),
      desiredNumberScheduled: integer("Nodes that should run an agent."),
      numberAvailable: integer("Nodes whose agent answers."),
      lasReplicaAlert: integer("Missing agents; −1: not known."),
      lasProbeAlert: integer("Agents that do not answer; −1: not known."),
      nodes: { type: "object", description: "By node.", additionalProperties: NODE_STATUS },
      conditions: CONDITIONS,
      observedGeneration: { type: "integer", format: "int64" },
    },
    "What was really checked.",
    { required: ["state", "version"] },
  ),
  columns: [
    column("Status", "state"),
    column("Available", "numberAvailable", "integer"),
    column("Desired", "desiredNumberScheduled", "integer"),
    column("Version", "version"),
    AGE,
    { name: "Nodes", type: "string", jsonPath: ".status.nodes", priority: 1 },
  ],
};

const SGX_PLUGIN: Definition = {
  group: "base.scone.cloud",
  kind: "SGXPlugin",
  plural: "sgxplugins",
  singular: "sgxplugin",
  shortNames: ["sgx"],
  scope: "Cluster",
  spec: record(
    {
      ...PLACEMENT,
      namespace: text("Namespace of the plugin's pods, if it has any.", { default: "scone-system" }),
      devicesPerNode: integer("How many pods of a node may ask for a device at once.", { minimum: 1, maximum: 10_000, default: 100 }),
      autoUpdate: flag("Accepted without effect: sconectl init updates the operator.", false),
    },
    "What nodes should offer.",
    { default: {} },
  ),
  status: record(
    {
      state: STATE,
      servingReplicaRatio: text("Serving and selected nodes."),
      servingReplicas: integer("Nodes that offer devices."),
      healthyServingReplicas: integer("Nodes that offer devices and are ready."),
      desiredReplicas: integer("Nodes selected."),
      readyReplicas: integer("Selected nodes that are ready."),
      ...Object.fromEntries(
        ["available", "capacity", "used"].flatMap((what) => [
          [`${what}SGXDevices`, integer("Devices of all nodes.")],
          [`${what}SGXDevicesPerNode`, { type: "object" as const, additionalProperties: { type: "integer" as const, format: "int32" } }],
        ]),
      ),
      sgxDeviceAlert: integer("Nodes without free devices; −1: not known."),
      sgxReplicaAlert: integer("Nodes that offer nothing; −1: not known."),
      conditions: CONDITIONS,
      observedGeneration: { type: "integer", format: "int64" },
    },
    "What was really checked.",
    { required: ["state"] },
  ),
  columns: [
    column("Status", "state"),
    column("Serving", "servingReplicas", "integer"),
    column("Selected", "desiredReplicas", "integer"),
    column("Ready", "readyReplicas", "integer"),
    AGE,
  ],
};

const CAS: Definition = {
  group: "services.scone.cloud",
  kind: "CAS",
  plural: "cas",
  singular: "cas",
  scope: "Namespaced",
  spec: CAS_SPEC,
  status: CAS_STATUS,
  validations: [{ rule: "size(self.metadata.name) <= 15", message: "the name of a CAS has at most 15 characters" }],
  columns: [
    column("Status", "state"),
    column("Phase", "phase"),
    column("Provisioned", "provisioned"),
    column("Attestable", "attestable"),
    column("Snapshots", "snapshotStatus"),
    column("Migration", "migrationNodeRatio"),
    column("Version", "version"),
    AGE,
  ],
};

const POLICY_STATUS = record(
  {
    state: text("PENDING: will be tried again. UPLOADED: in force. FAILED: refused.", { enum: ["PENDING", "UPLOADED", "FAILED"] }),
    hash: text("Hash of the policy in the CAS."),
    revision: integer("Generation of the resource that was sent."),
    conditions: CONDITIONS,
  },
  "What the CAS answered.",
);
const DOCUMENT_MAX_CHARACTERS = 1024 * 1024;
const casAddress = text("Client API of the CAS.", { pattern: "^https://[^/ ]+$", maxLength: 512 });

const SIGNED_POLICY: Definition = {
  group: "cas.scone.cloud",
  kind: "SignedPolicy",
  plural: "signedpolicies",
  singular: "signedpolicy",
  shortNames: ["spol"],
  scope: "Namespaced",
  requiresSpec: true,
  spec: record(
    {
      casAddress,
      policy: text("The policy, exactly as signed.", { maxLength: DOCUMENT_MAX_CHARACTERS }),
      signatures: {
        ...list(
          record({ signer: text("Key of the signer."), signature: text("Signature, base64.") }, "", { required: ["signer", "signature"] }),
          "Who signed.",
        ),
        maxItems: 100,
      },
    },
    "A signed policy, to be sent to the CAS unchanged.",
    { required: ["casAddress", "policy", "signatures"] },
  ),
  status: POLICY_STATUS,
  columns: [column("State", "state"), column("Hash", "hash"), AGE],
};

const ENCRYPTED_POLICY: Definition = {
  group: "cas.scone.cloud",
  kind: "EncryptedPolicy",
  plural: "encryptedpolicies",
  singular: "encryptedpolicy",
  shortNames: ["epol"],
  scope: "Namespaced",
  requiresSpec: true,
  spec: record(
    {
      casAddress,
      policy: text("The encrypted policy; only the CAS can read it.", { maxLength: DOCUMENT_MAX_CHARACTERS }),
      encryptionKey: text("Key of the CAS to which the policy is encrypted."),
    },
    "An encrypted policy, to be sent to the CAS unchanged.",
    { required: ["casAddress", "policy", "encryptionKey"] },
  ),
  status: POLICY_STATUS,
  columns: [column("State", "state"), AGE],
};

/** CL-54 to CL-58: the definitions of every kind that the platform brings. */
export const CUSTOM_RESOURCE_DEFINITIONS: readonly CustomResourceDefinition[] = [LAS, SGX_PLUGIN, CAS, SIGNED_POLICY, ENCRYPTED_POLICY].map(
  renderDefinition,
);

function renderDefinition(definition: Definition): CustomResourceDefinition {
  const { group, kind, plural, singular, shortNames, scope } = definition;
  const schema = record({ spec: definition.spec, status: definition.status }, `${kind} of the Vouchsafe platform.`, {
    ...(definition.requiresSpec ? { required: ["spec"] } : {}),
    ...(definition.validations === undefined ? {} : { "x-kubernetes-validations": definition.validations }),
  });
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, labels: { "app.kubernetes.io/part-of": "vouchsafe" } },
    spec: {
      group,
      scope,
      names: { kind, plural, singular, listKind: `${kind}List`, ...(shortNames === undefined ? {} : { shortNames }) },
      versions: [
        {
          name: API_VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns,
        },
      ],
    },
  };
}
