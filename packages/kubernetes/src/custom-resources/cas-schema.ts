import { CAS_TOLERANCES } from "@vouchsafe/protocol";
import { CONDITIONS, flag, integer, list, PLACEMENT, PORT, record, type Schema, STATE, text, texts, verbatim } from "./schema.ts";

const probe = (what: string): Schema =>
  record(
    {
      enabled: flag(`Whether the ${what} probe runs.`, true),
      failureThreshold: integer("Failures in a row that count.", { minimum: 1, default: 3 }),
      periodSeconds: integer("Time between two tries.", { minimum: 1, default: 60 }),
      timeoutSeconds: integer("Longest wait for an answer.", { minimum: 1, default: 20 }),
      initialDelaySeconds: integer("Wait before the first try.", { minimum: 0 }),
    },
    `The ${what} probe.`,
  );

const persistence = (size: string): Schema =>
  record(
    {
      enabled: flag("Whether the data outlives the pod.", false),
      size: text("Capacity of the claim.", { default: size }),
      storageClass: text("Class of the claim; `-` disables dynamic provisioning; absent: the cluster's default."),
      accessModes: { ...list({ type: "string" }, "Access modes of the claim."), default: ["ReadWriteOnce"] },
      mountPath: text("Where the volume lies in the container.", { default: "/etc/cas/db" }),
    },
    "Volume of the database.",
  );

const HEX_DIGEST: Schema = { pattern: "^[0-9a-f]{64}$" };
const NUMBER_16: Schema = { minimum: 0, maximum: 65_535 };
const pem = (description: string): Schema => text(description, { maxLength: 65_536 });

/** Ours beside CL 10.1: C-65 to C-70 for the operator. `kubectl provision` writes it. */
const ATTESTATION: Schema = record(
  {
    evidence: text("`required`: a CAS without evidence of hardware is refused.", { enum: ["required", "ifGiven"], default: "ifGiven" }),
    casKeyHash: text("Hash of the key that the CAS must have.", { minLength: 1, maxLength: 128 }),
    mrenclave: { ...list(text("", HEX_DIGEST), "Code identities, any of which matches."), maxItems: 16 },
    mrsigner: text("Signer of the enclave.", HEX_DIGEST),
    isvprodid: integer("Product of that signer.", NUMBER_16),
    isvsvn: integer("Lowest security version; that of the operator unless given.", NUMBER_16),
    tolerate: {
      ...list(text("", { enum: CAS_TOLERANCES }), "What the platform may lack."),
      maxItems: CAS_TOLERANCES.length,
      default: [...CAS_TOLERANCES],
    },
    roots: { ...list(pem(""), "Roots of hardware, PEM, instead of the vendors'."), maxItems: 16 },
    tpmEndorsementRoots: { ...list(pem(""), "Makers of TPMs, PEM."), maxItems: 16 },
    tpmEndorsementKeys: { ...list(text("", HEX_DIGEST), "Endorsement keys of TPMs that are believed without a maker."), maxItems: 64 },
    ownerSecretAccess: flag("Accept a CAS whose owner can read all secrets.", false),
    onlyForTesting: record(
      {
        debug: flag("Accept a CAS that can be debugged.", false),
        ignoreSigner: flag("Accept any signer.", false),
        simulatedRoot: pem("Root of simulated evidence, PEM: it proves nothing."),
      },
      "What no production has.",
    ),
  },
  "What the operator, and attested probes, accept of the evidence that the CAS gives about itself.",
);

/** CL 10.1 */
export const CAS_SPEC: Schema = record(
  {
    ...PLACEMENT,
    autoUpdate: flag("Accepted; a CAS is updated by its owner only.", false),
    service: record(
      {
        type: text("How the CAS is exposed.", { enum: ["ClusterIP", "NodePort", "LoadBalancer"], default: "ClusterIP" }),
        clientPort: integer("Port of the client API.", { ...PORT, default: 8081 }),
        enclavePort: integer("Port for attested services.", { ...PORT, default: 18_765 }),
        nodePorts: record({ clientPort: integer("", PORT), enclavePort: integer("", PORT) }, "Fixed ports of the nodes."),
        loadBalancerIP: text("Address asked of the load balancer."),
        annotations: texts("Annotations of the Service."),
      },
      "The Service that stands for the CAS.",
      { default: {} },
    ),
    persistence: { ...persistence("1Gi"), default: {} },
    databaseSnapshots: record(
      {
        enabled: flag("Whether consistent copies are made.", false),
        interval: text("Shortest time between two copies.", { pattern: "^[1-9][0-9]*(s|m|h)$", default: "60s" }),
        targetDirectory: text("Where copies go.", { default: "/var/mnt/cas-database-snapshots" }),
        persistence: persistence("1Gi"),
      },
      "Consistent copies of the database.",
    ),
    "backup-controller": record(
      {
        enabled: flag("Whether nodes are registered as backups, so that the CAS can move to them.", false),
        session: text("Accepted without effect: the controller works on the cluster's word, which the owner allowed, and has no policy."),
        image: text("Image of a CAS, for the pods that show the platform of a node; that of the CAS unless given."),
        env: verbatim("array", "Environment of these pods."),
        debug: flag("Keep these pods for ten minutes, so that their log can be read.", false),
        imagePullSecrets: verbatim("array", "Registry credentials of these pods; those of the CAS unless given."),
      },
      "Registers nodes as backups, and again when they change.",
    ),
    collateral: record(
      {
        intel: list(text("", { pattern: "^https?://" }), "Intel's service, or caches of it (PCCS)."),
        amd: list(text("", { pattern: "^https?://" }), "AMD's service, or caches of it."),
        bundles: list(
          record({ configMap: text("ConfigMap in the same namespace."), key: text("File in it.", { pattern: "^[-._a-zA-Z0-9]+$" }) }, "", {
            required: ["configMap", "key"],
          }),
          "Files of documents, asked first.",
        ),
        caCertificate: text("Authority of these servers, PEM; the public ones unless given.", { maxLength: 65_536 }),
        offline: flag("Ask nobody: bundles and what was fetched before only.", false),
        update: text("Which TCB documents count.", { enum: ["standard", "early"], default: "standard" }),
        maxAgeDays: integer("Oldest documents that count.", { minimum: 1, maximum: 366, default: 30 }),
        refreshHours: integer("Time between two looks for newer ones.", { minimum: 1, maximum: 720, default: 24 }),
        timeoutSeconds: integer("Longest wait for a server.", { minimum: 1, maximum: 120, default: 10 }),
      },
      "Where the CAS gets what it needs to verify evidence of hardware.",
    ),
    livenessProbe: probe("liveness"),
    startupProbe: probe("start-up"),
    attestation: ATTESTATION,
    attestedCLIProbes: flag("Whether the probes attest the CAS, as `attestation` says, instead of asking whether it lives.", false),
    networkPolicy: record(
      {
        enabled: flag("Whether the CAS is closed to all but the named pods.", false),
        ingressNSMatchLabels: texts("Namespaces that may connect."),
        ingressPodMatchLabels: texts("Pods that may connect."),
      },
      "Who may connect.",
    ),
    configuration: text("Server configuration, TOML; replaces the one that the operator writes.", { maxLength: 65_536 }),
    ownerConfig: text("Owner configuration used when the CAS is provisioned, TOML.", { maxLength: 65_536 }),
    ownerCertificate: text("Certificate of the owner, PEM.", { maxLength: 65_536 }),
    nonce: text("What the report in the status answers; a fresh one each time unless given.", { pattern: "^[0-9a-f]{32}$" }),
    reinstallOnFatal: flag("Reinstall after a fatal error.", false),
  },
  "What the CAS should be.",
  { default: {} },
);

export const CAS_PHASES = [
  "Uninitialized",
  "Unprovisioned",
  "Provisioned",
  "EnablingMigration",
  "HEALTHY",
  "UNHEALTHY",
  "AttestationFailure",
  "SnapshotFailure",
  "Deleted",
] as const;

/** CL 10.2 */
export const CAS_STATUS: Schema = record(
  {
    state: STATE,
    phase: text("Where the CAS stands in its life.", { enum: CAS_PHASES }),
    provisioned: text("Whether it has an owner.", { enum: ["Yes", "No"] }),
    attestable: text("`Yes`: its evidence is as `attestation` wants it; `No`: it gives none; `Failed`: it is refused.", {
      enum: ["Yes", "No", "Failed"],
    }),
    snapshotStatus: text("State of the copies.", { enum: ["Persisted", "Ephemeral", "Initializing", "Failed", "Disabled"] }),
    snapshotTimestamp: text("Time of the newest copy."),
    backups: {
      type: "object",
      description: "Nodes that are registered as backups.",
      additionalProperties: record(
        {
          instanceKey: text("Public key of the node's platform, as attested."),
          bootID: text("Boot of the node at which it was registered."),
          machine: text("Which machine the node was."),
          version: text("Version of the CAS that registered it."),
          registeredAt: text("When.", { format: "date-time" }),
        },
        "One node.",
        { required: ["instanceKey", "bootID", "machine", "version", "registeredAt"] },
      ),
    },
    migrationNodeRatio: text("Nodes to which the CAS may move, of those that it could be scheduled to."),
    numMigratableNodes: integer("Nodes to which the CAS may move."),
    desiredNumMigratableNodes: integer("Nodes to which it should be able to move."),
    migrationNodeAlert: integer("−1: not known."),
    migrationControllerReplicaAlert: integer("−1: not known."),
    readyReplicas: integer("Pods that answer."),
    replicaAlert: integer("−1: not known."),
    podDisruptionBudgetAlert: integer("−1: not known."),
    nonce: text("Nonce of the last attestation."),
    dcapReport: text("What the CAS answered to that nonce, with its evidence, JSON in base64: see cas attest --offline-report."),
    observedPod: text("Pod that was looked at."),
    keyHash: text("Key hash of the CAS key, as last seen."),
    ownerKeyHash: text("Key hash of the owner."),
    version: text("Version of the running CAS.", { default: "unknown" }),
    conditions: CONDITIONS,
    observedGeneration: { type: "integer", format: "int64" },
  },
  "What was really checked.",
);
