import { EVIDENCE_KINDS } from "@vouchsafe/policy";
import * as z from "zod/mini";

/**
 * The service interface of the CAS (port 18765): what is said after the TLS 1.3 handshake, one JSON object in each frame.
 * Every object is strict: an unknown key is a violation, not something to ignore.
 * Written with the functions of the schema library, not its methods: only those that are used get into the launcher, which loads them at every start.
 */

export const PROTOCOL_VERSION = 1;
export const SERVICE_ALPN = "vouchsafe/1";

const Base64 = (maxBytes: number) => z.base64().check(z.maxLength(Math.ceil(maxBytes / 3) * 4));
const Hex = (bytes: number) => z.string().check(z.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));
const Name = z.string().check(z.minLength(1), z.maxLength(1024));
const RequestId = z.int().check(z.minimum(0));

const EVIDENCE_MAX_BYTES = 1024 * 1024;

/** Evidence on the wire: base64, endorsements by name. Which verifier reads it follows from `kind` and the policy alone. */
export const EvidenceJson = z.strictObject({
  kind: z.enum(EVIDENCE_KINDS),
  evidence: Base64(EVIDENCE_MAX_BYTES),
  endorsements: z.optional(z.record(z.string().check(z.maxLength(128)), Base64(EVIDENCE_MAX_BYTES))),
});
export type EvidenceJson = z.infer<typeof EvidenceJson>;

/** First frame of a connection (C-34). */
export const AttestRequest = z.strictObject({
  type: z.literal("attest"),
  version: z.literal(PROTOCOL_VERSION),
  /** `SESSION/SERVICE[@OTP]`. */
  service: z.string().check(z.minLength(3), z.maxLength(1024)),
  /** Absent only for sessions that do without attestation (C-40). */
  evidence: z.optional(EvidenceJson),
  /** DER SubjectPublicKeyInfo, P-256 or Ed25519. */
  instanceKey: Base64(256),
  /** `signInstanceProof` over the channel. */
  instanceProof: Base64(256),
  /** `accessTokenProof` in direction `service`, where the service was started with a token. */
  tokenProof: z.optional(Base64(32)),
  /** An instance that was attested before and lost its connection (C-46): no new singleton, same configuration. */
  reconnect: z.optional(z.literal(true)),
  runtimeVersion: z.string().check(z.maxLength(64)),
});
export type AttestRequest = z.infer<typeof AttestRequest>;

/**
 * Before the attest request, on the same connection and at most once: has the CAS certify the attestation key of a TPM. The CAS answers with a
 * credential that only the TPM with this endorsement key, holding this attestation key, can open (TPM 2.0 Library, part 1, §24).
 */
export const CertifyKeyRequest = z.strictObject({
  type: z.literal("certify-key"),
  version: z.literal(PROTOCOL_VERSION),
  /** TPMT_PUBLIC. */
  endorsementKey: Base64(1024),
  /** DER: the maker's certificate for that key, and intermediates; empty where the TPM has none. */
  endorsementCertificates: z.array(Base64(8192)).check(z.maxLength(8)),
  /** TPMT_PUBLIC. */
  attestationKey: Base64(1024),
});
export type CertifyKeyRequest = z.infer<typeof CertifyKeyRequest>;

/** What the TPM got out of the credential. */
export const Activation = z.strictObject({ type: z.literal("activation"), secret: Base64(64) });
export type Activation = z.infer<typeof Activation>;

/** What a connection may begin with. */
export const OpeningMessage = z.discriminatedUnion("type", [AttestRequest, CertifyKeyRequest, Activation]);
export type OpeningMessage = z.infer<typeof OpeningMessage>;

export const VOLUME_POLICIES = ["ephemeral", "rollback_protected", "no_rollback_protection"] as const;
export const FILE_SYSTEM_POLICIES = ["rollback_protected_reinitializable", "no_rollback_protection"] as const;

const VolumeConfiguration = z.strictObject({
  name: z.string().check(z.maxLength(255)),
  path: z.string().check(z.maxLength(4095)),
  key: Hex(32),
  /** State the volume must be in; null: initialise it (SL-159). */
  tag: z.nullable(Hex(16)),
  mode: z.enum(["encrypted", "authenticated-only"]),
  policy: z.enum(VOLUME_POLICIES),
});
export type VolumeConfiguration = z.infer<typeof VolumeConfiguration>;

const FileConfiguration = z.strictObject({
  path: z.string().check(z.maxLength(4095)),
  /** Base64 of what the program reads; null: read the file at `path` through the file shield and use it as a template (SL-167). */
  content: z.nullable(z.base64()),
  /** Permission bits. */
  permission: z.nullable(z.int().check(z.minimum(0), z.maximum(0o777))),
});
export type FileConfiguration = z.infer<typeof FileConfiguration>;

/** Everything an attested service gets (C-42). Holds secrets: never log it. */
export const Configuration = z.strictObject({
  session: Name,
  service: Name,
  /** Version of the session that was in force (C-43). */
  sessionHash: Hex(32),
  /** False with `mode: none`: whoever reached the CAS got this (C-40). */
  attested: z.boolean(),
  arguments: z.array(z.string()),
  /** Arguments to be replaced by the host's: `arguments[at]` becomes the host's argument number `hostArgument` (SL-66). */
  hostArguments: z.array(z.strictObject({ at: z.int().check(z.minimum(0)), hostArgument: z.int().check(z.minimum(1)) })),
  environment: z.record(z.string(), z.string()),
  /** Variables that take the host's value, or the empty string (SL-69). */
  hostVariables: z.array(z.string()),
  workingDirectory: z.string(),
  fileSystem: z.optional(
    z.strictObject({
      path: z.string(),
      key: Hex(32),
      /** Initial state. */
      tag: z.nullable(Hex(16)),
      /** Last state an instance reported, where it differs from the initial one (SL-64). */
      currentTag: z.nullable(Hex(16)),
      updatePolicy: z.enum(FILE_SYSTEM_POLICIES),
    }),
  ),
  volumes: z.array(VolumeConfiguration),
  files: z.array(FileConfiguration),
  /** For template files read from the image: by `NAME[:FORMAT]` as between `$$SCONE::` and `$$`, base64 of the formatted value. */
  templateValues: z.record(z.string(), z.base64()),
  /** Names of secrets that the program may ask for while it runs (SL-170). */
  secretApi: z.array(z.string()),
  warnings: z.array(z.string()),
});
export type Configuration = z.infer<typeof Configuration>;

/** The order in which the CAS checks (C-37); a refusal names the first that failed. */
export const ATTESTATION_STEPS = [
  "service",
  "one-time-password",
  "evidence",
  "channel-binding",
  "platform-state",
  "variants",
  "platforms",
  "singleton",
  "access-token",
  "values",
  "activation",
  "audit",
] as const;
export type AttestationStep = (typeof ATTESTATION_STEPS)[number];

export const REFUSAL_CODES = [
  "service_unknown",
  "password_missing",
  "password_wrong",
  "password_used",
  "evidence_missing",
  "evidence_malformed",
  "evidence_signature",
  "evidence_stale",
  /** What the vendor publishes about the platform cannot be had, or none of it is acceptable. */
  "collateral_unavailable",
  "channel_binding",
  "policy_unmet",
  "singleton_seen",
  "token_missing",
  "token_wrong",
  "values_unresolved",
  "activation_limit",
  "running_limit",
  "audit_unavailable",
  "protocol",
  "unavailable",
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

export const Refusal = z.strictObject({
  type: z.literal("refusal"),
  code: z.enum(REFUSAL_CODES),
  /** Absent where the connection was refused before any check began. */
  step: z.optional(z.enum(ATTESTATION_STEPS)),
  message: z.string(),
  /** For attestation variants: one reason each, expected and found value. */
  causes: z.array(z.string()),
});
export type Refusal = z.infer<typeof Refusal>;

const TAG_TARGET = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("volume"), name: z.string().check(z.maxLength(255)) }),
  z.strictObject({ kind: z.literal("file-system") }),
]);
export type TagTarget = z.infer<typeof TAG_TARGET>;

const TagReport = z.strictObject({
  type: z.literal("tag"),
  id: RequestId,
  target: TAG_TARGET,
  /** State before; null: there was none, the volume has just been initialised. */
  oldTag: z.nullable(Hex(16)),
  newTag: Hex(16),
});
export type TagReport = z.infer<typeof TagReport>;

const ExitReport = z.strictObject({
  type: z.literal("exit"),
  id: RequestId,
  code: z.nullable(z.int()),
  signal: z.nullable(z.string().check(z.maxLength(32))),
});

/** What an attested instance may still say (C-45). */
export const InstanceMessage = z.discriminatedUnion("type", [
  TagReport,
  ExitReport,
  z.strictObject({ type: z.literal("ping"), id: RequestId }),
  z.strictObject({ type: z.literal("secret"), id: RequestId, name: z.string().check(z.maxLength(128)) }),
]);
export type InstanceMessage = z.infer<typeof InstanceMessage>;

const RenewedFile = z.strictObject({ path: z.string().check(z.maxLength(4095)), content: z.base64() });
export type RenewedFile = z.infer<typeof RenewedFile>;

const Credential = z.strictObject({
  type: z.literal("credential"),
  /** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
  idObject: Base64(256),
  encryptedSecret: Base64(1024),
});
const KeyCertified = z.strictObject({
  type: z.literal("key-certified"),
  /** DER, to be sent as `attestation-key-certificate` with the evidence. */
  certificate: Base64(8192),
});

/** What the CAS says to a client. */
export const CasMessage = z.discriminatedUnion("type", [
  Credential,
  KeyCertified,
  z.strictObject({
    type: z.literal("configuration"),
    configuration: Configuration,
    /** `accessTokenProof` in direction `cas`. */
    tokenProof: z.optional(Base64(32)),
  }),
  Refusal,
  /** Certificates were issued again (SL-134): new content of injection files and of template values. */
  z.strictObject({
    type: z.literal("renewal"),
    files: z.array(RenewedFile),
    templateValues: z.record(z.string(), z.base64()),
  }),
  /** Answers `tag`: durable when `accepted` (C-54). `current` is the tag that the CAS has, on a conflict. */
  z.strictObject({
    type: z.literal("tag-result"),
    id: RequestId,
    outcome: z.enum(["accepted", "conflict", "forbidden"]),
    message: z.string(),
  }),
  z.strictObject({ type: z.literal("exit-recorded"), id: RequestId }),
  z.strictObject({ type: z.literal("pong"), id: RequestId }),
  z.strictObject({ type: z.literal("secret-value"), id: RequestId, values: z.nullable(z.record(z.string(), z.base64())) }),
]);
export type CasMessage = z.infer<typeof CasMessage>;
export type Renewal = Extract<CasMessage, { type: "renewal" }>;

/** What a node agent is asked over its Unix socket, and what it answers. The agent fills in the workload itself. */
export const AgentRequest = z.strictObject({ type: z.literal("evidence"), userData: Base64(64) });
export type AgentRequest = z.infer<typeof AgentRequest>;
/**
 * Told to a node agent by a launcher that waits, or gives up: the agent shows it where the cluster's users look. It is about the caller alone, and
 * the agent finds out by itself who that is. Nothing is answered.
 */
export const StartNote = z.strictObject({
  type: z.literal("note"),
  phase: z.enum(["waiting", "failed"]),
  /** As in the launcher's log: no secret. */
  message: z.string().check(z.minLength(1), z.maxLength(2048)),
});
export type StartNote = z.infer<typeof StartNote>;
export const AgentReply = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("evidence"), evidence: EvidenceJson }),
  z.strictObject({ type: z.literal("failure"), message: z.string().check(z.maxLength(4096)) }),
  /** Too many ask at once: the same question may have another answer later. */
  z.strictObject({ type: z.literal("busy") }),
]);
export type AgentReply = z.infer<typeof AgentReply>;
