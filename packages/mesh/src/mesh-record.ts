import { SIMULATED_KINDS } from "@vouchsafe/attestation";
import { z } from "zod";

/**
 * `target/mesh.json`: what a mesh became (manifests section 14). The local engine runs an application from this file alone; `verify` compares
 * it with everything else below `target/`. It holds no secret. Relative paths are relative to the target directory.
 */

const Hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const Port = z.int().min(1).max(65_535);
const Text = z.string().max(65_536);
const RelativePath = z
  .string()
  .min(1)
  .max(1024)
  .refine((path) => !path.startsWith("/") && !path.split("/").includes(".."), "must stay inside the target directory");

export const EVIDENCE_KINDS = ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"] as const;
export type EvidenceKindName = (typeof EVIDENCE_KINDS)[number];

export const CAS_MODES = ["Upload", "SignedManifest", "EncryptedManifest", "NoUpload", "EncryptedOnly", "SignOnline"] as const;
export type CasMode = (typeof CAS_MODES)[number];

/** One policy, in the order in which policies must be uploaded (MF-103). */
const PolicyRecord = z.strictObject({
  /** Policy name; `service` is absent for the namespace policy and for extra policies. */
  name: z.string().max(512),
  service: z.string().max(53).optional(),
  /** The service whose code identities stand here instead of in its own policy (MF-89). */
  imageOf: z.string().max(53).optional(),
  /** Name of the files and the resource (MF-92). */
  resource: z.string().max(63),
  /** SHA-256 of the policy, as the CAS will report it. */
  hash: Hex64,
  predecessor: Hex64.nullable(),
  /** Signed document (JSON, mode 0600); absent in mode `EncryptedOnly`. */
  signed: RelativePath.optional(),
  /** Encrypted document (JSON); absent where no encryption key of the CAS is known. */
  encrypted: RelativePath.optional(),
});
export type PolicyRecord = z.infer<typeof PolicyRecord>;

const ServiceRecord = z.strictObject({
  /** Name in the mesh. */
  name: z.string().max(53),
  /** Policy of the service (MF-87). */
  policy: z.string().max(512),
  /** What the container gets as `SCONE_CONFIG_ID` (MF-91). */
  serviceId: z.string().max(1024),
  /** Host name under which other services find it (MF-116). Without a release at apply: the service name, to be prefixed with `<release>-`. */
  hostName: z.string().max(63),
  image: z.strictObject({
    reference: Text,
    /** `sha256:…` of the image manifest. */
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    /** Absolute path of the OCI layout that holds the image; absent where it is in a registry only. */
    layoutDir: Text.optional(),
  }),
  /** State of the protected files, 32 hex digits; null where the image has none. What the node agent must find. */
  fileSystemTag: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .nullable(),
  /** Container command: the first word of the program's command (MF-68). */
  containerCommand: z.array(Text),
  /** Environment of the container, nothing of it secret or trusted; the engine adds `VOUCHSAFE_AGENT_SOCKET`. */
  containerEnvironment: z.record(z.string(), Text),
  /** Ports of the service. `publish`: reachable from outside the mesh (the port was named by `APP_SERVICE_PORT`). */
  ports: z.array(z.strictObject({ port: Port, publish: z.boolean() })),
  /** Hosts that must accept a connection before the program starts (MF-121, MF-125). */
  waitFor: z.array(z.strictObject({ host: Text, port: Port })),
  /** `tcp`: ready when `port` accepts a connection; `launcher`: when the program was attested and started (MF-123). */
  readiness: z.discriminatedUnion("mode", [
    z.strictObject({ mode: z.literal("launcher") }),
    z.strictObject({ mode: z.literal("tcp"), port: Port }),
    z.strictObject({ mode: z.literal("none") }),
  ]),
  restartPolicy: z.enum(["Always", "OnFailure", "Never"]),
  terminationGracePeriodSeconds: z.int().min(0),
  /** Memory limit from `SCONE_HEAP`. */
  memoryBytes: z.int().positive().optional(),
  replicas: z.int().min(0),
  /** One for each accepted kind of evidence (MF-68a): a code identity, or the digest by which the platform binds the image. */
  codeIdentities: z.partialRecord(z.enum(EVIDENCE_KINDS), z.string().regex(/^[0-9a-f]{64}(?:[0-9a-f]{32})?$/)),
  volumes: z.array(z.strictObject({ name: Text, path: Text })),
  /** Names of secrets with `export_public`: `up` writes them to `public/<service>/<secret>.pem`. */
  publicSecrets: z.array(z.string().max(128)),
});
export type ServiceRecord = z.infer<typeof ServiceRecord>;

const SecretFlow = z.strictObject({ from: Text, secret: Text, to: Text, as: Text });

export const MeshRecordSchema = z.strictObject({
  format: z.literal(1),
  platformVersion: z.string().max(64),
  /** Policy namespace. */
  namespace: z.string().max(512),
  /** Release for which the mesh was applied; null: any. */
  release: z.string().max(53).nullable(),
  mode: z.enum(["production", "debug"]),
  /** Accepted kinds of evidence. */
  evidence: z.array(z.enum(EVIDENCE_KINDS)),
  /** What the software platform imitates, where `simulated` is accepted. */
  simulates: z.enum(SIMULATED_KINDS).optional(),
  cas: z.strictObject({
    name: z.string(),
    /** Host part of `cas_url`, e.g. `cas.scone-system`: the name under which services know the CAS. */
    host: z.string(),
    /** Port of the client API. */
    clientPort: Port,
    /** Pinned key hash; null where the mesh names none. */
    key: z.string().nullable(),
    mode: z.enum(CAS_MODES),
  }),
  /** Name service of the manifests: address at which a DNS server is expected (`CLUSTER_DNS_IP`) and the namespace in search domains. */
  nameService: z.strictObject({ address: z.string().nullable(), namespace: z.string() }),
  policies: z.array(PolicyRecord),
  /** Resolved imports (MF-77): `secret` of service `from` is `as` in service `to`. */
  secretFlows: z.array(SecretFlow),
  /** In the order of the mesh. */
  services: z.array(ServiceRecord),
});
export type MeshRecord = z.infer<typeof MeshRecordSchema>;

/** Parses the text of `target/mesh.json`. Throws zod's error where it is no such file. */
export function parseMeshRecord(text: string): MeshRecord {
  return MeshRecordSchema.parse(JSON.parse(text));
}
