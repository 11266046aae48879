import { X509Certificate } from "node:crypto";
import { parse, TomlError } from "smol-toml";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import { isNetwork } from "../imports/import-networks.ts";
import { HOLDERS_MAX, type RecoveryRule, readHolder } from "../recovery/recovery-shares.ts";
import { type AzureSettings, AzureText, readAzureSettings } from "../vaults/azure-settings.ts";
import { describeIssues } from "./describe-issues.ts";

const Name = z.string().min(1).max(253);

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== "";
  } catch {
    return false;
  }
}

function checkHolder(pem: string, check: z.core.$RefinementCtx<string>): void {
  try {
    readHolder(pem);
  } catch (error) {
    check.addIssue(error instanceof Error ? error.message : "unreadable");
  }
}

/** Keys that cannot be read are different from each other: they are told by themselves. */
function holderName(pem: string): string {
  try {
    return readHolder(pem).keyHash;
  } catch {
    return pem;
  }
}

const ApiIdentity = z.strictObject({
  common_name: z.string().min(1).max(64),
  alt_names: z.array(Name).max(64).default(["cas", "localhost"]),
  country_name: z.string().length(2).optional(),
  org_name: z.string().max(64).optional(),
  state_or_province: z.string().max(64).optional(),
  locality: z.string().max(64).optional(),
  email: z.string().max(128).optional(),
});

const INTEL_SERVICE = "https://api.trustedservices.intel.com";
/** What clients write who have no key. */
const NO_SUBSCRIPTION = /^0{32}$/;

const OwnerConfigText = z.strictObject({
  api_identity: ApiIdentity.optional(),
  /** The other published spelling. */
  api: z.strictObject({ identity: ApiIdentity }).optional(),
  dcap: z
    .strictObject({
      subscription_key: z
        .string()
        .regex(/^[0-9a-fA-F]{32}$/)
        .optional(),
      /** Where the key may be sent: the operator has no say in that. */
      url: z.url({ protocol: /^https$/ }).default(INTEL_SERVICE),
      /** PEM of the authority that certifies this server; the public ones unless given. */
      server_ca_certificate: z.string().refine(isCertificate, "no PEM certificate").optional(),
    })
    .optional(),
  /** Which TPMs are believed: certificates of makers (PEM), and endorsement keys known by the SHA-256 of their SubjectPublicKeyInfo. */
  tpm: z
    .strictObject({
      endorsement_roots: z.array(z.string().refine(isCertificate, "no PEM certificate")).default([]),
      endorsement_keys: z.array(z.string().regex(/^[0-9a-f]{64}$/, "no 64 hexadecimal digits in lower case")).default([]),
    })
    .optional(),
  /** EPID attestation no longer exists: accepted with a warning, ignored. */
  ias: z.record(z.string(), z.unknown()).optional(),
  audit_log: z
    .strictObject({
      mode: z.enum(["disabled", "unsigned", "signed"]).default("disabled"),
      sink: z.enum(["file", "network"]).default("file"),
      url: z.url({ protocol: /^https$/ }).optional(),
      server_ca_certificate: z.string().optional(),
    })
    .refine(({ sink, url }) => sink !== "network" || url !== undefined, { path: ["url"], error: "required with sink = network" })
    .optional(),
  policy: z.strictObject({ allow_advisory_wildcard: z.boolean().default(true) }).optional(),
  /** The CAS verifies evidence for others and signs results (cas.md §19). */
  verify_evidence: z.strictObject({ enabled: z.boolean().default(false) }).optional(),
  imports: z.strictObject({ networks: z.array(z.string().refine(isNetwork, "expected ADDRESS/BITS")).max(256).optional() }).optional(),
  azure: AzureText.optional(),
  witness: z.strictObject({ urls: z.array(z.url()).default([]) }).optional(),
  /** Who can open the database together when no machine can any more (cas.md C-80): keys or certificates (PEM, P-256), and how many it takes. */
  recovery: z
    .strictObject({ keys: z.array(z.string().superRefine(checkHolder)).min(1).max(HOLDERS_MAX), threshold: z.int().min(1) })
    .refine(({ keys, threshold }) => threshold <= keys.length, { path: ["threshold"], error: "more than there are keys" })
    .refine(({ keys }) => new Set(keys.map((key) => holderName(key))).size === keys.length, { path: ["keys"], error: "a key stands twice" })
    .optional(),
});

/** `key` is secret: it goes to this server alone. */
export interface Subscription {
  readonly url: URL;
  readonly serverCa: string | undefined;
  readonly key: string;
}

/** What the owner decided (cas.md §4), defaults filled in. */
export interface OwnerConfig {
  readonly identity: { readonly commonName: string; readonly altNames: readonly string[] };
  readonly auditLog: {
    readonly mode: "disabled" | "unsigned" | "signed";
    readonly sink: "file" | "network";
    readonly url: string | undefined;
    readonly serverCa: string | undefined;
  };
  readonly allowAdvisoryWildcard: boolean;
  readonly isEvidenceVerifiedForOthers: boolean;
  /** Where imports from other CAS may connect to, in CIDR form; undefined: anywhere but to this machine and to link-local addresses. */
  readonly importNetworks: readonly string[] | undefined;
  /** The platform-certificate service to which the owner has subscribed. */
  readonly subscription: Subscription | undefined;
  /** Who issues tokens for vaults, and which vaults may be asked. */
  readonly azure: AzureSettings;
  /** Who can open the database together. */
  readonly recovery: RecoveryRule | undefined;
  readonly tpm: { readonly endorsementRoots: readonly string[]; readonly endorsementKeys: readonly string[] };
  readonly warnings: readonly string[];
}

export const DEFAULT_OWNER_CONFIG = parseOwnerConfig("", "default");

/**
 * Reads the owner configuration: TOML, or JSON when it begins with a brace. Nothing is applied unless all of it is right (C-10). Throws
 * CONFIGURATION with `file:line:column` of every mistake.
 */
export function parseOwnerConfig(text: string, file: string): OwnerConfig {
  let value: unknown;
  try {
    value = /^\s*\{/.test(text) ? JSON.parse(text) : parse(text);
  } catch (cause) {
    const at = cause instanceof TomlError ? `${file}:${cause.line}:${cause.column}` : file;
    throw new CasError("CONFIGURATION", `${at}: ${cause instanceof Error ? cause.message.split("\n")[0] : "unreadable"}`, { cause });
  }
  const parsed = OwnerConfigText.safeParse(value);
  if (!parsed.success) throw new CasError("CONFIGURATION", describeIssues(parsed.error.issues, text, file));
  const { api_identity, api, audit_log, policy, verify_evidence, imports, azure, tpm, recovery, ias, dcap } = parsed.data;
  const identity = api_identity ?? api?.identity;
  return {
    identity: { commonName: identity?.common_name ?? "cas", altNames: identity?.alt_names ?? ["cas", "localhost"] },
    auditLog: {
      mode: audit_log?.mode ?? "disabled",
      sink: audit_log?.sink ?? "file",
      url: audit_log?.url,
      serverCa: audit_log?.server_ca_certificate,
    },
    allowAdvisoryWildcard: policy?.allow_advisory_wildcard ?? true,
    isEvidenceVerifiedForOthers: verify_evidence?.enabled ?? false,
    importNetworks: imports?.networks,
    subscription: readSubscription(dcap),
    azure: readAzureSettings(azure),
    recovery: recovery && { threshold: recovery.threshold, holders: recovery.keys.map(readHolder) },
    tpm: { endorsementRoots: tpm?.endorsement_roots ?? [], endorsementKeys: tpm?.endorsement_keys ?? [] },
    warnings: ias === undefined ? [] : ["ias: EPID attestation no longer exists, the section is ignored"],
  };
}

function readSubscription(dcap: z.infer<typeof OwnerConfigText>["dcap"]): Subscription | undefined {
  const key = dcap?.subscription_key;
  if (dcap === undefined || key === undefined || NO_SUBSCRIPTION.test(key)) return undefined;
  return { url: new URL(dcap.url), serverCa: dcap.server_ca_certificate, key };
}
