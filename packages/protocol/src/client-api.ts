import { hash } from "node:crypto";
import { z } from "zod";
import { EvidenceJson } from "./messages.ts";

/** Answers of the client API (cas.md §7). Clients ignore keys they do not know: a newer CAS may say more. */

const Hex64 = z.string().regex(/^[0-9a-f]{64}$/);

const UploadWarning = z.object({ rule: z.string(), path: z.string(), line: z.number(), column: z.number(), message: z.string() });

export const SessionUploaded = z.object({
  hash: Hex64,
  name: z.string(),
  warnings: z.array(UploadWarning),
  /** The update is not in force: it waits until `expires` for what `missing` says (status 202). */
  proposal: z.object({ expires: z.string(), missing: z.string() }).optional(),
});
export type SessionUploaded = z.infer<typeof SessionUploaded>;

export const SessionHash = z.object({ hash: Hex64, since: z.string() });
export type SessionHash = z.infer<typeof SessionHash>;

export const SessionList = z.object({
  sessions: z.array(z.object({ name: z.string(), updated: z.string() })),
  /** Name to continue after; absent on the last page. */
  next: z.string().optional(),
});
export type SessionList = z.infer<typeof SessionList>;

/** A public value (C-21): `binary` as hex, certificates and keys as PEM, fragments as JSON. Times are RFC 3339. */
export const PublicValue = z.object({
  kind: z.enum(["string", "binary", "x509", "public-key", "fragment"]),
  value: z.json(),
  expires: z.string().nullable(),
  renew: z.string().nullable(),
});
export type PublicValue = z.infer<typeof PublicValue>;

export const PublicValues = z.object({ values: z.record(z.string(), PublicValue) });

export const SecretSupplied = z.object({ session: z.string(), secret: z.string(), warnings: z.array(z.string()) });
export type SecretSupplied = z.infer<typeof SecretSupplied>;

/** Value of a secret for one who may read it: bytes as base64. Holds a secret: never log it. */
export const SecretValue = z.object({ kind: z.string(), encoding: z.enum(["text", "base64"]), value: z.string() });
export type SecretValue = z.infer<typeof SecretValue>;

/** Secrets of a session that people supply or read, without their values. */
export const SecretList = z.object({
  secrets: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      required: z.boolean(),
      hasValue: z.boolean(),
      suppliedAt: z.string().nullable(),
      mayWrite: z.boolean(),
      mayRead: z.boolean(),
    }),
  ),
});
export type SecretList = z.infer<typeof SecretList>;

/** Starts are counted for services with a limit only; `running` are the instances whose connection is open or may come back. */
export const ActivationList = z.object({
  services: z.array(
    z.object({
      name: z.string(),
      activations: z.int(),
      maxActivations: z.int().nullable(),
      running: z.int(),
      maxRunning: z.int().nullable(),
    }),
  ),
});
export type ActivationList = z.infer<typeof ActivationList>;

export const PROPOSAL_STATES = ["pending", "in_force", "rejected", "withdrawn", "stale", "expired"] as const;

export const ProposalSummary = z.object({
  hash: Hex64,
  state: z.enum(PROPOSAL_STATES),
  predecessor: Hex64,
  /** Key hash of whoever uploaded or first signed it. */
  author: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  approvals: z.int(),
  rejections: z.int(),
  /** The rule of the session with what is satisfied and missing, without keys. */
  missing: z.string(),
});
export type ProposalSummary = z.infer<typeof ProposalSummary>;
export const ProposalList = z.object({ proposals: z.array(ProposalSummary) });

/** Holds the explicit secrets of the document. */
export const ProposalDetail = ProposalSummary.extend({
  text: z.string(),
  creator: z.object({ keyHash: z.string(), publicKey: z.string().optional() }),
  /** In words, what it allows and takes away. */
  difference: z.string(),
});
export type ProposalDetail = z.infer<typeof ProposalDetail>;

/** Without `signer` the key of the connection acts. `signature` is base64 over the statement, for an approval over the document. */
export const ProposalRequest = z.strictObject({
  action: z.enum(["approve", "reject", "withdraw", "read", "list"]),
  signer: z.string().max(4096).optional(),
  signature: z.string().max(1024).optional(),
});
export type ProposalRequest = z.infer<typeof ProposalRequest>;

export const ProposalOutcome = z.object({ hash: Hex64, state: z.enum(PROPOSAL_STATES), missing: z.string() });
export type ProposalOutcome = z.infer<typeof ProposalOutcome>;

export const CAS_STATES = ["unprovisioned", "provisioned", "rollback-suspected", "upgrading", "recovery"] as const;

export const CasVersion = z.object({
  version: z.string(),
  commit: z.string(),
  built: z.string(),
  language: z.array(z.string()),
  state: z.enum(CAS_STATES),
  /** It believes simulated evidence where a policy names it: a CAS for development. */
  developmentRoot: z.boolean(),
});
export type CasVersion = z.infer<typeof CasVersion>;

/** What the CAS says about itself, and what its Evidence covers (C-64). */
export const CasStatement = z.object({
  format: z.literal("vouchsafe/cas-statement/1"),
  /** PEM: TLS certificate, software certificate, CAS certificate. */
  chain: z.array(z.string()),
  /** Hex of the public key that sessions are encrypted to. */
  sessionEncryptionKey: z.string(),
  version: z.string(),
  /** Higher for software that closes a hole: an instance with a lower one gets no database key. */
  securityVersion: z.int().min(0),
  /** Public X25519 key of this instance on its platform, to which another CAS seals its database key (C-73). */
  instanceKey: Hex64,
  state: z.enum(CAS_STATES),
  selfProvisioned: z.boolean(),
  ownerKeyHash: z.string().nullable(),
  databaseKeyInjected: z.boolean(),
  /** Holders (key hashes) who together can read everything that this CAS keeps, and how many of them it takes (C-80); null: nobody. */
  recovery: z.object({ threshold: z.int(), holders: z.array(z.string()) }).nullable(),
  /** In state `recovery`: public X25519 key of this process, to which holders encrypt their shares. */
  recoveryKey: Hex64.nullable(),
  /** It believes simulated evidence where a policy names it: a CAS for development. */
  developmentRoot: z.boolean(),
  /** The caller's, base64; empty when none was given. */
  nonce: z.string(),
  /** When the newest snapshot of the database was taken, null while there is none; absent where none are taken (C-77). */
  newestSnapshot: z.iso.datetime().nullable().optional(),
  /** Instance keys of the registered backups: who else can open the database (C-73). A CAS of an older version does not say. */
  backups: z.array(Hex64).max(1000).optional(),
});
export type CasStatement = z.infer<typeof CasStatement>;

/** Statement as signed text, and Evidence over SHA-512 of it where the platform can make any. */
export const CasAttestation = z.object({
  /** JSON text of a {@link CasStatement}, exactly as signed. */
  statement: z.string(),
  /** ECDSA P-256, SHA-256, DER, by the TLS key: base64. */
  signature: z.base64(),
  evidence: z.nullable(EvidenceJson),
  /** Why there is none although the platform could give it; not signed. */
  evidenceProblem: z.string().max(1024).optional(),
});
export type CasAttestation = z.infer<typeof CasAttestation>;

/** A credential that only the TPM of this CAS opens, which shows that the keys of its evidence are in one TPM: TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET. */
export const TpmCredential = z.strictObject({ idObject: z.base64().max(1024), encryptedSecret: z.base64().max(1024) });
export type TpmCredential = z.infer<typeof TpmCredential>;
export const OpenedCredential = z.object({ secret: z.base64().max(128) });

/** What a platform may lack, each accepted only on request (C-67). */
export const CAS_TOLERANCES = ["configuration-needed", "out-of-date", "hardening-needed"] as const;
export type CasTolerance = (typeof CAS_TOLERANCES)[number];

/** Another instance that shall be able to open the database (C-74, C-78). */
export const RegisterInstance = z.strictObject({
  /** `host` or `host:port` of its client API. */
  address: z.string().min(1).max(300),
  /** The address unless given. Registering a name again replaces. */
  name: z.string().min(1).max(128).optional(),
  /** What the instance must have; the first is needed where no hardware proves what it is. */
  casKeyHash: z.string().max(64).optional(),
  softwareKeyHash: z.string().max(64).optional(),
  /** Code identities, any of which the instance may have besides that of the CAS itself, where its evidence names no signer. */
  mrenclave: z.array(Hex64).max(16).optional(),
  /** What its platform may lack although that of the CAS does not (C-74). */
  tolerate: z.array(z.enum(CAS_TOLERANCES)).max(8).optional(),
});
export type RegisterInstance = z.infer<typeof RegisterInstance>;

export const RegisteredInstance = z.object({
  purpose: z.enum(["backup", "upgrade"]),
  name: z.string(),
  address: z.string(),
  instanceKey: Hex64,
  version: z.string(),
  securityVersion: z.int(),
  /** Kind of the evidence that it was judged by; absent where the owner vouched by its key. */
  evidence: z.string().optional(),
  at: z.string(),
});
export type RegisteredInstance = z.infer<typeof RegisteredInstance>;
export const RegisteredInstances = z.object({ instances: z.array(RegisteredInstance) });

/** What holders of recovery keys need of a CAS in state `recovery`: whose database it is, and each holder's share, encrypted to the holder (JWE). */
export const RecoveryRequest = z.object({
  /** Key hash of the CAS whose database is to be opened. */
  cas: z.string(),
  threshold: z.int(),
  /** Holders whose share is here already. */
  handedIn: z.array(z.string()),
  shares: z.array(z.object({ holder: z.string(), sealed: z.string().max(2048) })).max(255),
});
export type RecoveryRequest = z.infer<typeof RecoveryRequest>;

/** A share for one CAS in recovery, signed by its holder. */
export const SignedShare = z.strictObject({
  format: z.literal("vouchsafe/recovery-share/1"),
  cas: z.string().max(64),
  holder: z.string().max(64),
  /** Recovery key that it is encrypted to. */
  recoveryKey: Hex64,
  /** HPKE (X25519, HKDF-SHA256, AES-256-GCM), base64. */
  sealed: z.base64().max(1024),
  /** ECDSA P-256, SHA-256, DER, by the holder over the other members: base64. */
  signature: z.base64().max(256),
});
export type SignedShare = z.infer<typeof SignedShare>;

/** How many shares are still missing; 0: the database key is recovered, and the CAS goes on with its start. */
export const ShareAccepted = z.object({ threshold: z.int(), missing: z.int() });
export type ShareAccepted = z.infer<typeof ShareAccepted>;

/** The database has a new key: which registered instances of that version still open it, and which do not any more. */
export const UpgradeStarted = z.object({ version: z.string(), kept: z.array(z.string()), removed: z.array(z.string()) });
export type UpgradeStarted = z.infer<typeof UpgradeStarted>;

export const Provisioned = z.object({ ownerKeyHash: z.string(), chain: z.array(z.string()) });
export type Provisioned = z.infer<typeof Provisioned>;

/**
 * The only audience of a cluster's statement that a CAS of its own shall be a backup (C-75): a hash over the whole request and the CAS that is asked, so
 * that the statement is good for exactly this registration.
 */
export function backupAudience(casKeyHash: string, { address, name, casKeyHash: backup }: RegisterInstance): string {
  return `${BACKUP_AUDIENCE_PREFIX}${hash("sha256", JSON.stringify([casKeyHash, name ?? address, address, backup ?? ""]))}`;
}
export const BACKUP_AUDIENCE_PREFIX = "vouchsafe-backup:";

/** What a node agent's statement names as its only audience, before the hash of the agent's key. */
export const NODE_AUDIENCE_PREFIX = "vouchsafe-node:";

/** A public key in the form of RFC 7517, as a cluster publishes those that verify its service-account tokens. */
const PublicJwk = z.object({
  kty: z.enum(["RSA", "EC"]),
  kid: z.string().max(256).exactOptional(),
  alg: z.string().max(16).exactOptional(),
  use: z.literal("sig").exactOptional(),
  n: z.string().max(2048).exactOptional(),
  e: z.string().max(16).exactOptional(),
  crv: z.enum(["P-256", "P-384", "P-521"]).exactOptional(),
  x: z.string().max(128).exactOptional(),
  y: z.string().max(128).exactOptional(),
});

/** A cluster that may vouch for its node agents, or for its nodes as backups: who signs its service-account tokens, and which account asks for them. */
export const ClusterIssuer = z.strictObject({
  issuer: z.string().min(1).max(512),
  subject: z.string().min(1).max(512),
  /** Present keys of the issuer; private members are dropped, never stored. */
  keys: z.array(PublicJwk).min(1).max(32),
});
export type ClusterIssuer = z.infer<typeof ClusterIssuer>;

export const NodeEnrolled = z.object({ keyHash: z.string(), node: z.string() });
export type NodeEnrolled = z.infer<typeof NodeEnrolled>;

export const HealthReport = z.object({
  database: z.string(),
  auditLog: z.string(),
  collateral: z.string(),
  backups: z.int(),
});

export const AuditCheckpoints = z.object({
  origin: z.string(),
  /** Signed note of the newest checkpoint. */
  latest: z.string().nullable(),
  checkpoints: z.array(z.string()),
  /** Verifier keys of the log, newest last, each in signed-note form. */
  keys: z.array(z.string()),
});
export type AuditCheckpoints = z.infer<typeof AuditCheckpoints>;

const ForecastState = z.object({ status: z.string(), advisories: z.array(z.string()), evaluationNumber: z.int() }).nullable();

/** For every platform that the CAS has seen: when it falls out of date, what it lacks, and which services would refuse it then. */
export const CollateralForecast = z.object({
  at: z.string(),
  /** Which set of Intel's decides today. */
  update: z.enum(["standard", "early"]),
  platforms: z.array(
    z.object({
      platform: z.string(),
      kind: z.enum(["sgx", "tdx", "snp"]),
      model: z.string(),
      daysLeft: z.int().nullable(),
      fallsOn: z.string().nullable(),
      cause: z.enum(["out-of-date", "recovery", "certificate"]).nullable(),
      present: ForecastState,
      newest: ForecastState,
      shortfalls: z.array(z.object({ component: z.string(), found: z.int(), needed: z.int() })),
      problem: z.string().nullable(),
      firstSeen: z.string(),
      lastSeen: z.string(),
      services: z.array(z.string()),
      refusedBy: z.array(z.object({ service: z.string(), reasons: z.array(z.string()) })),
    }),
  ),
});
export type CollateralForecast = z.infer<typeof CollateralForecast>;

/** What the CAS has of what vendors publish. Times are RFC 3339. */
export const CollateralStatus = z.object({
  documents: z.array(
    z.object({
      document: z.string(),
      source: z.string().nullable(),
      fetchedAt: z.string().nullable(),
      issuedAt: z.string().nullable(),
      goodUntil: z.string().nullable(),
      evaluationNumber: z.int().nullable(),
      refreshAt: z.string().nullable(),
      problem: z.string().nullable(),
    }),
  ),
});
export type CollateralStatus = z.infer<typeof CollateralStatus>;

/** What a session accepts for a time, and how long still. */
export const SessionExceptions = z.object({
  exceptions: z.array(
    z.object({
      /** Null: the session's own section. */
      service: z.string().nullable(),
      tolerate: z.array(z.string()),
      ignoreAdvisories: z.array(z.string()),
      until: z.string(),
      because: z.string(),
      state: z.enum(["active", "ending", "ended"]),
      daysLeft: z.int(),
    }),
  ),
});
export type SessionExceptions = z.infer<typeof SessionExceptions>;

/** Attestation Result as EAR (JWT, ES256), and the chain of the key that signed it: PEM, up to the CAS key. */
export const VerifiedEvidence = z.object({ token: z.string(), chain: z.array(z.string()) });
export type VerifiedEvidence = z.infer<typeof VerifiedEvidence>;
