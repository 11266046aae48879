/**
 * The session as a value: what a policy says, after defaults, synonyms and spellings are gone. Pure data, JSON-serialisable.
 * `undefined` means "not given". Names follow the language reference (SL-n); where the language writes snake_case, this writes camelCase.
 */

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A `$$SCONE::name…$$` that stands for a whole value (SL-77, SL-114). `text` is the placeholder as written. */
export interface Placeholder {
  readonly kind: "placeholder";
  readonly secret: string;
  readonly text: string;
}

export interface Session {
  readonly version: string;
  readonly name: string;
  readonly namespaceHash: string | undefined;
  readonly predecessor: string | undefined;
  readonly salt: string | undefined;
  readonly creator: Creator | undefined;
  readonly services: readonly Service[];
  readonly secrets: readonly Secret[];
  readonly secretStore: SecretStore;
  readonly volumes: readonly Volume[];
  readonly images: readonly Image[];
  readonly accessPolicy: AccessPolicy | Placeholder;
  readonly security: Security | Placeholder;
  readonly updateProposals: UpdateProposals | undefined;
  readonly roles: readonly Role[];
}

/** Who uploaded (`certificate`, by connection key) or signed (`signer`) this version, SL-185. Key hashes as in SL-173. */
export type Creator =
  | { readonly kind: "certificate"; readonly keyHash: string; readonly pem: string | undefined }
  | { readonly kind: "signer"; readonly keyHash: string; readonly publicKey: string };

export interface Service {
  readonly name: string;
  readonly command: readonly string[];
  readonly environment: readonly Variable[];
  readonly pwd: string;
  readonly imageName: string | undefined;
  /** Any variant admits (SL-76). Empty only when attestation is disabled. */
  readonly attestation: readonly (AttestationVariant | Placeholder)[];
  /** Normalised items such as `INTEL_QE_ID:<32 hex>`; empty means any platform. */
  readonly platforms: readonly (string | Placeholder)[];
  readonly fileSystem: ServiceFileSystem | undefined;
  readonly oneTimePasswordSecret: string | Placeholder | undefined;
  /** Stricter platform rules for this service alone (extension). */
  readonly security: Security | Placeholder | undefined;
  readonly maxActivations: number | undefined;
  readonly maxRunning: number | undefined;
}

/** `fromHost`: the value comes from the host's variable of that name (SL-69) and `value` is ignored. */
export interface Variable {
  readonly name: string;
  readonly value: string;
  readonly fromHost: boolean;
}

/** With `P = never` every placeholder has been replaced. */
export interface AttestationVariant<P = Placeholder> {
  /** Code measurements, 64 hex digits; the found one must be among them. */
  readonly mrenclave: readonly (string | P)[] | undefined;
  readonly signer: SignerFactor<P> | P | undefined;
  /** Digests of images, `sha256:…`; the measured one must be among them. */
  readonly image?: readonly (string | P)[];
  /** What only evidence of one kind says. */
  readonly hardware?: HardwareFacts<P>;
}

export type HardwareKind = Exclude<EvidenceKind, "node" | "simulated">;

export const SNP_PLATFORM_PROPERTIES = ["alias-check", "smt-off", "ecc", "ciphertext-hiding", "rapl-off"] as const;
export type SnpPlatformProperty = (typeof SNP_PLATFORM_PROPERTIES)[number];

export const SNP_GUEST_POLICIES = [
  "smt-off",
  "single-socket",
  "cxl-off",
  "aes-256-xts",
  "rapl-off",
  "ciphertext-hiding",
  "page-swap-off",
] as const;
export type SnpGuestPolicy = (typeof SNP_GUEST_POLICIES)[number];

/** Evidence of this kind, or simulated evidence that imitates it, with these facts. */
export interface HardwareFacts<P = Placeholder> {
  readonly kind: HardwareKind;
  /** Accepted values by fact, hex or words: `mrtd`, `host_data`, `vmpl`, `pcr7`, … The found one must be among them. */
  readonly values: Readonly<Record<string, readonly (string | P)[]>>;
  /** What the platform must have, all of it (SEV-SNP). */
  readonly platform?: readonly SnpPlatformProperty[];
  /** What the guest's own policy must demand of any machine it starts on, all of it (SEV-SNP). */
  readonly guestPolicy?: readonly SnpGuestPolicy[];
  /** Least security versions by part of the platform (SEV-SNP), or of the TDX module and the microcode with it; `tcbWord` is the word for each. */
  readonly minimumTcb: Readonly<Record<string, number>>;
  /** Least security version of the guest's image (SEV-SNP), or of the enclave's configuration (SGX). */
  readonly minimumSvn?: number;
}

export interface SignerFactor<P = Placeholder> {
  readonly mrsigner: string | P;
  readonly isvprodid: number | P;
  readonly isvsvn: number | P | undefined;
  readonly isvsvnMin: number | P | undefined;
  readonly isvsvnMax: number | P | undefined;
}

export interface ServiceFileSystem {
  readonly path: string;
  /** 64 hex digits. */
  readonly key: string | Placeholder;
  /** 32 hex digits; absent only with `no_rollback_protection` (SL-63). */
  readonly tag: string | undefined;
  readonly updatePolicy: "rollback_protected_reinitializable" | "no_rollback_protection";
}

export const EVIDENCE_KINDS = ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];
/** Kinds a policy accepts that does not name any (SL-86). */
export const DEFAULT_EVIDENCE_KINDS: readonly EvidenceKind[] = ["sgx", "tdx", "snp", "nitro"];

export const TOLERABLE = [
  "debug-mode",
  "hyperthreading",
  "insecure-igpu",
  "aepic-leak",
  "software-hardening-needed",
  "insecure-configuration",
  "outdated-tcb",
  "local-attestation-trust-cas-tcb",
  "maa-managed-tcb",
] as const;
export type Tolerable = (typeof TOLERABLE)[number];

/** What an exception may accept for a time: states of the platform, nothing that gives up a proof. */
export const PLATFORM_WEAKNESSES = [
  "hyperthreading",
  "insecure-igpu",
  "aepic-leak",
  "software-hardening-needed",
  "insecure-configuration",
  "outdated-tcb",
] as const satisfies readonly Tolerable[];

/** Extension: accepted for a time, for a reason (SL-89). */
export interface PlatformException {
  readonly tolerate: readonly (typeof PLATFORM_WEAKNESSES)[number][];
  readonly ignoreAdvisories: readonly string[];
  /** Last instant, RFC 3339 in UTC without fractions. */
  readonly until: string;
  readonly because: string;
}

export interface Security<P = Placeholder> {
  readonly singletonEnclaves: boolean | P;
  readonly serviceAccessToken: string | P | undefined;
  readonly attestation: PlatformRules<P> | P;
}

export interface PlatformRules<P = Placeholder> {
  readonly mode: "hardware" | "none" | "maa" | P;
  readonly tolerate: readonly (Tolerable | P)[];
  readonly ignoreAdvisories: readonly (string | P)[] | "*" | P;
  readonly exceptions: readonly PlatformException[];
  readonly mustBeSgxLocal: boolean | P;
  readonly oneTimePasswordSecret: string | P | undefined;
  readonly url: string | P | undefined;
  /** PEM certificates; empty means the built-in list. */
  readonly certificates: readonly (string | P)[];
  readonly minRsaSigningKeySize: number | P;
  readonly trustedQeKeys: readonly (string | P)[];
  readonly evidence: readonly (EvidenceKind | P)[];
  /** Extension: services may relax what this section asks. */
  readonly servicesMayRelax: boolean | P;
}

/** A pointer to another session, SL-137 ff. `target` is absolute: relative names are resolved at parsing. */
export interface SessionReference {
  readonly scope: "session" | "namespace";
  readonly target: string;
  readonly sessionHash: string | undefined;
  readonly cas: RemoteCas | undefined;
}

export interface RemoteCas {
  /** `host:port`. */
  readonly address: string;
  readonly key: { readonly kind: "cas" | "software"; readonly keyHash: string };
}

export const SECRET_KINDS = [
  "ascii",
  "binary",
  "private-key",
  "public-key",
  "x509",
  "x509-ca",
  "jwt",
  "pgp-key",
  "config-fragment",
  "aad-token",
] as const;
export type SecretKind = (typeof SECRET_KINDS)[number];

export const KEY_TYPES = ["P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const;
/** The ML-DSA types are an extension (post-quantum, FIPS 204). */
export type KeyType = (typeof KEY_TYPES)[number];

export type Secret = GeneratedSecret | ExplicitSecret | ImportedSecret | VaultSecret | SuppliedSecret;

interface SecretBase {
  readonly name: string;
}

interface Shareable extends SecretBase {
  readonly exports: readonly SessionReference[];
  readonly exportPublic: boolean;
}

export type GeneratedSecret =
  | GeneratedText
  | GeneratedPrivateKey
  | GeneratedPublicKey
  | GeneratedCertificate
  | GeneratedPgpKey
  | JwtSecret
  | AadTokenSecret;

/** Extension: who shares one value. `session` is the language's own behaviour (SL-104). */
export type SecretScope = "session" | "service" | "instance";

export interface GeneratedText extends Shareable {
  readonly origin: "generated";
  readonly kind: "ascii" | "binary";
  /** Characters or bytes. */
  readonly size: number;
  readonly scope: SecretScope;
  readonly rotate: Rotation | undefined;
}

/** Extension: a new value every `everySeconds`, the last `keep` ones readable as `:previous`. */
export interface Rotation {
  readonly everySeconds: number;
  readonly keep: number;
}

export interface GeneratedPrivateKey extends Shareable {
  readonly origin: "generated";
  readonly kind: "private-key";
  readonly keyType: KeyType;
  readonly migrate: boolean;
  readonly scope: SecretScope;
  readonly rotate: Rotation | undefined;
}

export interface GeneratedPublicKey extends Shareable {
  readonly origin: "generated";
  readonly kind: "public-key";
  readonly privateKey: string;
}

export interface GeneratedCertificate extends Shareable {
  readonly origin: "generated";
  readonly kind: "x509" | "x509-ca";
  readonly privateKey: string;
  /** Name of the issuing `x509-ca`; absent means self-signed. */
  readonly issuer: string | undefined;
  readonly commonName: string | undefined;
  readonly endpoint: "server" | "client" | undefined;
  /** Subject alternative names, `dns:` ones of the old field included. */
  readonly san: readonly SubjectAltName[];
  readonly validForSeconds: number | undefined;
  readonly scope: SecretScope;
  readonly epochOnUpdate: boolean;
  readonly x509: CertificateControl | undefined;
}

export interface SubjectAltName {
  readonly kind: "dns" | "ip" | "uri";
  readonly value: string;
}

/** Extension: full control over a certificate. */
export interface CertificateControl {
  readonly subject: readonly { readonly attribute: string; readonly value: string }[];
  readonly keyUsage: readonly string[] | undefined;
  readonly extKeyUsage: readonly string[] | undefined;
  readonly permittedDns: readonly string[];
  readonly uris: readonly string[];
  /** ISO 8601 instant. */
  readonly notAfter: string | undefined;
  readonly maxPathLength: number | undefined;
}

export interface GeneratedPgpKey extends Shareable {
  readonly origin: "generated";
  readonly kind: "pgp-key";
}

/** Made at each delivery, never stored (SL-104, SL-110). */
export interface JwtSecret extends SecretBase {
  readonly origin: "generated";
  readonly kind: "jwt";
  readonly signer: string;
  readonly algorithm: "ES384" | "ES256" | "EdDSA" | "PS256";
  readonly validForSeconds: number;
  readonly payload: readonly { readonly name: string; readonly value: string }[];
}

export interface AadTokenSecret extends SecretBase {
  readonly origin: "generated";
  readonly kind: "aad-token";
  readonly tenantId: string;
  readonly clientId: string;
  readonly credential:
    | { readonly kind: "secret"; readonly applicationSecret: string }
    | { readonly kind: "certificate"; readonly privateKey: string; readonly thumbprint: string };
}

/** The value is part of the document: text, hex, PEM (normalised) or, for a fragment, JSON. */
export type ExplicitSecret = ExplicitText | ExplicitKey | ExplicitCertificate | ExplicitFragment;

export interface ExplicitText extends Shareable {
  readonly origin: "explicit";
  readonly kind: "ascii" | "binary";
  readonly value: string;
}

export interface ExplicitKey extends Shareable {
  readonly origin: "explicit";
  readonly kind: "private-key" | "public-key";
  readonly value: string;
}

export interface ExplicitCertificate extends Shareable {
  readonly origin: "explicit";
  readonly kind: "x509" | "x509-ca";
  /** The certificate, then the rest of its chain if given (SL-127). */
  readonly value: readonly string[];
  readonly privateKey: string | undefined;
  readonly issuer: string | undefined;
}

export interface ExplicitFragment extends Shareable {
  readonly origin: "explicit";
  readonly kind: "config-fragment";
  readonly value: JsonValue;
}

export interface ImportedSecret extends SecretBase {
  readonly origin: "imported";
  /** Inferred from the exporter when absent. */
  readonly kind: SecretKind | undefined;
  readonly import: SecretImport;
}

export interface SecretImport {
  /** Absolute name of the exporting session. */
  readonly session: string;
  readonly secret: string;
  readonly sessionHash: string | undefined;
  readonly cas: RemoteCas | undefined;
}

/** From an external key vault, SL-151. */
export interface VaultSecret extends Shareable {
  readonly origin: "vault";
  readonly kind: SecretKind | undefined;
  readonly vault: string;
  readonly secretName: string;
  readonly token: Placeholder | undefined;
  readonly decryptionKey: Placeholder | undefined;
}

/** Extension: declared here, its value is uploaded later by one of `suppliedBy` or by a role that may `write_secret`. */
export interface SuppliedSecret extends Shareable {
  readonly origin: "supplied";
  readonly kind: "ascii" | "binary" | "private-key" | "x509" | "x509-ca";
  readonly suppliedBy: readonly AccessEntry[];
  /** Without a value, services that use it are refused; otherwise they get an empty one. */
  readonly required: boolean;
  /** Key of a supplied certificate. */
  readonly privateKey: string | undefined;
}

export type SecretStore =
  | { readonly kind: "cas" }
  | { readonly kind: "akv"; readonly vault: string; readonly token: Placeholder | undefined };

export interface Volume {
  readonly name: string;
  readonly source:
    | { readonly kind: "auto"; readonly files: "encrypted" | "authenticated-only" }
    | { readonly kind: "explicit"; readonly key: string | Placeholder; readonly tag: string }
    | { readonly kind: "import"; readonly session: string; readonly volume: string; readonly sessionHash: string | undefined };
  readonly exports: readonly VolumeExport[];
}

export type VolumeUpdatePolicy = "ephemeral" | "rollback_protected" | "no_rollback_protection";

export interface VolumeExport {
  readonly to: SessionReference;
  readonly updatePolicy: VolumeUpdatePolicy;
  readonly alias: string | undefined;
}

export interface Image {
  readonly name: string;
  readonly volumes: readonly Mount[];
  readonly injectionFiles: readonly InjectionFile[];
  /** Absent: SL-170's default. */
  readonly provideSecrets: readonly string[] | undefined;
}

export interface Mount {
  readonly name: string;
  readonly path: string;
  readonly updatePolicy: VolumeUpdatePolicy;
}

export interface InjectionFile {
  readonly path: string;
  readonly source:
    | { readonly kind: "template"; readonly text: string }
    /** Read from the image at start and used as a template. */
    | { readonly kind: "image" }
    /** Extension: delivered as it is, without placeholders. */
    | { readonly kind: "raw"; readonly base64: string };
  /** Permission bits, default 0o700. */
  readonly permission: number;
}

export type AccessEntry =
  | { readonly kind: "creator" }
  | { readonly kind: "any" }
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly keyHash: string }
  | { readonly kind: "certificate"; readonly keyHash: string; readonly pem: string }
  | { readonly kind: "signer"; readonly keyHash: string; readonly publicKey: string }
  | Placeholder
  | { readonly kind: "all"; readonly entries: readonly AccessEntry[] }
  | { readonly kind: "at-least"; readonly count: number; readonly entries: readonly AccessEntry[] };

export const OPERATIONS = ["read", "update", "create_sessions", "list_sessions"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Any entry suffices. An operation that is absent keeps its default (§18). */
export interface AccessPolicy {
  readonly read: readonly AccessEntry[] | undefined;
  readonly update: readonly AccessEntry[] | undefined;
  readonly createSessions: readonly AccessEntry[] | undefined;
  readonly listSessions: readonly AccessEntry[] | undefined;
}

/** Extension: uploads that satisfy `update` only in part wait for the missing signatures. */
export interface UpdateProposals {
  readonly enabled: boolean;
  readonly expiresSeconds: number;
}

/** Extension: named people with limited rights. */
export interface Role {
  readonly name: string;
  readonly members: readonly AccessEntry[];
  readonly may: readonly Permission[];
}

export const PERMISSIONS = ["raise_isvsvn", "add_mrenclave", "write_secret", "read_secret"] as const;

/** `names`: services or secrets of this session. */
export interface Permission {
  readonly action: (typeof PERMISSIONS)[number];
  readonly names: readonly string[];
}
