import { CAS_TOLERANCES, CasTerms } from "@vouchsafe/protocol";
import { z } from "zod";

/*
 * What the operator reads of its own resources. The API server has already checked them against the published schemas and filled in defaults;
 * these readers repeat only what the operator uses, and let newer fields pass.
 */

const Metadata = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string(),
  generation: z.number().default(1),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  deletionTimestamp: z.string().optional(),
});

export const Condition = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
});
export type Condition = z.infer<typeof Condition>;

const placement = {
  image: z.string().optional(),
  imagePullPolicy: z.string().optional(),
  imagePullSecrets: z.array(z.object({ name: z.string() })).optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(z.looseObject({})).optional(),
  resources: z.looseObject({}).optional(),
  podAnnotations: z.record(z.string(), z.string()).optional(),
};
const Probe = z.object({
  enabled: z.boolean().default(true),
  failureThreshold: z.number().default(3),
  periodSeconds: z.number().default(60),
  timeoutSeconds: z.number().default(20),
  initialDelaySeconds: z.number().optional(),
});
const Persistence = z.object({
  enabled: z.boolean().default(false),
  size: z.string().default("1Gi"),
  storageClass: z.string().optional(),
  accessModes: z.array(z.string()).default(["ReadWriteOnce"]),
  mountPath: z.string().default("/etc/cas/db"),
});

export const STATES = ["HEALTHY", "PENDING", "UNHEALTHY"] as const;
export type State = (typeof STATES)[number];

/** A node that a CAS registered as its backup, as it was then. */
export const BackupRecord = z.object({
  /** 64 hex digits, as attested. */
  instanceKey: z.string(),
  bootID: z.string(),
  machine: z.string(),
  /** Of the CAS that registered it. */
  version: z.string(),
  registeredAt: z.string(),
});
export type BackupRecord = z.infer<typeof BackupRecord>;

/** What the operator, and attested probes, accept of the evidence of a CAS; the tolerances of cli.md section 9 unless given. */
const Attestation = CasTerms.extend({ tolerate: CasTerms.shape.tolerate.unwrap().default([...CAS_TOLERANCES]) });

export const CasResource = z.object({
  metadata: Metadata,
  spec: z
    .object({
      ...placement,
      service: z
        .object({
          type: z.enum(["ClusterIP", "NodePort", "LoadBalancer"]).default("ClusterIP"),
          clientPort: z.number().default(8081),
          enclavePort: z.number().default(18_765),
          nodePorts: z.object({ clientPort: z.number().optional(), enclavePort: z.number().optional() }).optional(),
          loadBalancerIP: z.string().optional(),
          annotations: z.record(z.string(), z.string()).optional(),
        })
        .prefault({}),
      persistence: Persistence.prefault({}),
      databaseSnapshots: z
        .object({
          enabled: z.boolean().default(false),
          interval: z.string().default("60s"),
          targetDirectory: z.string().default("/var/mnt/cas-database-snapshots"),
          persistence: Persistence.prefault({}),
        })
        .prefault({}),
      collateral: z
        .object({
          intel: z.array(z.string()).default([]),
          amd: z.array(z.string()).default([]),
          bundles: z.array(z.object({ configMap: z.string(), key: z.string() })).default([]),
          caCertificate: z.string().optional(),
          offline: z.boolean().default(false),
          update: z.enum(["standard", "early"]).default("standard"),
          maxAgeDays: z.number().default(30),
          refreshHours: z.number().default(24),
          timeoutSeconds: z.number().default(10),
        })
        .optional(),
      "backup-controller": z
        .object({
          enabled: z.boolean().default(false),
          session: z.string().optional(),
          image: z.string().optional(),
          env: z.array(z.looseObject({})).optional(),
          debug: z.boolean().default(false),
          imagePullSecrets: z.array(z.looseObject({})).optional(),
        })
        .prefault({}),
      autoUpdate: z.boolean().default(false),
      attestation: Attestation.prefault({}),
      attestedCLIProbes: z.boolean().default(false),
      reinstallOnFatal: z.boolean().default(false),
      ownerCertificate: z.string().optional(),
      livenessProbe: Probe.prefault({}),
      startupProbe: Probe.prefault({}),
      networkPolicy: z
        .object({
          enabled: z.boolean().default(false),
          ingressNSMatchLabels: z.record(z.string(), z.string()).optional(),
          ingressPodMatchLabels: z.record(z.string(), z.string()).optional(),
        })
        .prefault({}),
      configuration: z.string().optional(),
      ownerConfig: z.string().optional(),
      nonce: z.string().optional(),
    })
    .prefault({}),
  status: z
    .object({
      state: z.enum(STATES).optional(),
      version: z.string().optional(),
      provisioned: z.string().optional(),
      backups: z.record(z.string(), BackupRecord).default({}),
      conditions: z.array(Condition).default([]),
    })
    .prefault({}),
});
export type CasResource = z.infer<typeof CasResource>;

export const LasResource = z.object({
  metadata: Metadata,
  spec: z
    .object({
      ...placement,
      namespace: z.string().default("scone-system"),
      port: z.number().default(18_766),
      evidence: z.array(z.string()).default(["node"]),
      containerRuntime: z.string().default("/run/containerd/containerd.sock"),
      kubeletRoot: z.string().default("/var/lib/kubelet"),
      dcapKey: z.string().optional(),
      autoUpdate: z.boolean().default(false),
    })
    .prefault({}),
  status: z
    .object({
      state: z.enum(STATES).optional(),
      version: z.string().optional(),
      nodes: z.record(z.string(), z.looseObject({ publicKey: z.string().optional() })).default({}),
      conditions: z.array(Condition).default([]),
    })
    .prefault({}),
});
export type LasResource = z.infer<typeof LasResource>;

export const SgxPluginResource = z.object({
  metadata: Metadata,
  spec: z
    .object({ nodeSelector: placement.nodeSelector, devicesPerNode: z.number().default(100), autoUpdate: z.boolean().default(false) })
    .prefault({}),
  status: z.object({ state: z.enum(STATES).optional(), conditions: z.array(Condition).default([]) }).prefault({}),
});
export type SgxPluginResource = z.infer<typeof SgxPluginResource>;

const policyStatus = z
  .object({
    state: z.enum(["PENDING", "UPLOADED", "FAILED"]).optional(),
    revision: z.number().optional(),
    hash: z.string().optional(),
    conditions: z.array(Condition).default([]),
  })
  .prefault({});

export const SignedPolicyResource = z.object({
  kind: z.literal("SignedPolicy"),
  metadata: Metadata,
  spec: z.object({
    casAddress: z.string(),
    policy: z.string(),
    signatures: z.array(z.object({ signer: z.string(), signature: z.string() })),
  }),
  status: policyStatus,
});
export const EncryptedPolicyResource = z.object({
  kind: z.literal("EncryptedPolicy"),
  metadata: Metadata,
  spec: z.object({ casAddress: z.string(), policy: z.string(), encryptionKey: z.string() }),
  status: policyStatus,
});
export const PolicyResource = z.discriminatedUnion("kind", [SignedPolicyResource, EncryptedPolicyResource]);
export type PolicyResource = z.infer<typeof PolicyResource>;
