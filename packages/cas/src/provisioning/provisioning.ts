import { randomBytes, timingSafeEqual } from "node:crypto";
import type { CasVersion } from "@vouchsafe/protocol";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { type OwnerConfig, parseOwnerConfig } from "../config/owner-config.ts";
import type { RowKey } from "../store/row-store.ts";

/** Who owns this CAS and what the owner configured. */
export interface ProvisioningRecord {
  readonly isSelfProvisioned: boolean;
  /** Undefined after self-provisioning without a certificate: then nobody is the owner. */
  readonly ownerKeyHash: string | null;
  readonly ownerCertificate: string | null;
  /** As uploaded. */
  readonly config: string;
  readonly at: string;
}

export const RECORD_KEY: RowKey = { kind: "provisioning", id: "owner" };
const TOKEN_BYTES = 16;
const MAX_WRONG_TOKENS = 10;

/** The life of a CAS from token to owner (cas.md §5). */
export class Provisioning {
  readonly #context: CasContext;
  #record: ProvisioningRecord | undefined;
  #token: Buffer | undefined;
  #wrongTokens = 0;

  private constructor(context: CasContext, record: ProvisioningRecord | undefined) {
    this.#context = context;
    this.#record = record;
  }

  static async open(context: CasContext): Promise<Provisioning> {
    const record = await context.database.get<ProvisioningRecord>(RECORD_KEY);
    if (record !== undefined) context.ownerConfig = parseOwnerConfig(record.config, "owner configuration");
    return new Provisioning(context, record);
  }

  get state(): CasVersion["state"] {
    return this.#record === undefined ? "unprovisioned" : "provisioned";
  }

  get record(): ProvisioningRecord | undefined {
    return this.#record;
  }

  /** Prints a fresh token (C-8, C-13); only while unprovisioned. Returns it for callers in the same process. */
  issueToken(): string {
    this.#token = randomBytes(TOKEN_BYTES);
    this.#wrongTokens = 0;
    const token = this.#token.toString("hex");
    this.#context.log.info(`CAS provisioning token: ${token}`);
    return token;
  }

  /** C-12 to C-14. The caller has verified possession of the certificate's key. `check` tries what the configuration needs (C-11). */
  async provision(
    token: string,
    configText: string,
    owner: { readonly keyHash: string; readonly pem: string },
    check: (config: OwnerConfig) => Promise<void>,
  ): Promise<ProvisioningRecord> {
    this.#assertUnprovisioned();
    this.#useToken(token);
    await check(readConfig(configText));
    return this.#store(configText, { isSelfProvisioned: false, ownerKeyHash: owner.keyHash, ownerCertificate: owner.pem });
  }

  /** C-16: whoever starts the CAS decides; visible in its attestation for ever. */
  selfProvision(configText: string, owner: { readonly keyHash: string; readonly pem: string } | undefined): Promise<ProvisioningRecord> {
    this.#assertUnprovisioned();
    return this.#store(configText, { isSelfProvisioned: true, ownerKeyHash: owner?.keyHash ?? null, ownerCertificate: owner?.pem ?? null });
  }

  /** Replaces the owner configuration; nothing of a bad one is applied (C-10). */
  async updateConfig(configText: string, check: (config: OwnerConfig) => Promise<void>): Promise<OwnerConfig> {
    const record = this.#record;
    if (record === undefined) throw new ApiError("unprovisioned", "the CAS is not provisioned yet");
    const config = readConfig(configText);
    await check(config);
    const next = { ...record, config: configText };
    await this.#context.database.transact((tx) => {
      tx.put(RECORD_KEY, next);
      this.#context.audit.append(tx, "config_updated", { owner: record.ownerKeyHash });
    });
    this.#record = next;
    this.#context.ownerConfig = config;
    return config;
  }

  /** Throws `forbidden` unless the key is the owner's (C-15). */
  assertOwner(keyHash: string, operation: string): void {
    if (this.#record === undefined) throw new ApiError("unprovisioned", "the CAS is not provisioned yet");
    if (this.#record.ownerKeyHash === keyHash) return;
    throw new ApiError("forbidden", `${operation} is for the owner of this CAS only (key hash ${keyHash})`);
  }

  async #store(
    config: string,
    owner: Pick<ProvisioningRecord, "isSelfProvisioned" | "ownerKeyHash" | "ownerCertificate">,
  ): Promise<ProvisioningRecord> {
    const parsed = readConfig(config);
    const record: ProvisioningRecord = { ...owner, config, at: this.#context.now().toISOString() };
    await this.#context.database.transact(async (tx) => {
      if ((await tx.get(RECORD_KEY)) !== undefined) throw new ApiError("provisioned", "the CAS is provisioned already");
      tx.put(RECORD_KEY, record);
      this.#context.audit.append(tx, "provisioned", { owner: owner.ownerKeyHash, self: owner.isSelfProvisioned });
    });
    this.#record = record;
    this.#token = undefined;
    this.#context.ownerConfig = parsed;
    for (const warning of parsed.warnings) this.#context.log.warn(warning);
    return record;
  }

  #assertUnprovisioned(): void {
    if (this.#record === undefined) return;
    const owner = this.#record.ownerKeyHash ?? "nobody: it provisioned itself";
    throw new ApiError("provisioned", `the CAS is provisioned already; its owner is ${owner}`);
  }

  /** Constant time; valid once; dies after ten wrong tries (C-13). */
  #useToken(given: string): void {
    const expected = this.#token;
    const found = /^[0-9a-f]{32}$/.test(given) ? Buffer.from(given, "hex") : Buffer.alloc(TOKEN_BYTES);
    if (expected !== undefined && timingSafeEqual(found, expected)) return;
    this.#wrongTokens += 1;
    if (this.#wrongTokens >= MAX_WRONG_TOKENS) this.issueToken();
    throw new ApiError("forbidden", "the provisioning token is wrong");
  }
}

function readConfig(text: string): OwnerConfig {
  try {
    return parseOwnerConfig(text, "owner configuration");
  } catch (error) {
    throw new ApiError("invalid_config", error instanceof Error ? error.message : "unreadable");
  }
}
