import { sign } from "node:crypto";
import { type CasAttestation, type CasStatement, casStatementMessage } from "@vouchsafe/protocol";
import type { ProvisioningRecord } from "../provisioning/provisioning.ts";
import type { Software } from "../version.ts";
import type { TlsIdentity } from "./cas-identity.ts";

export interface StatementFacts {
  readonly tls: TlsIdentity;
  readonly sessionEncryptionKey: string;
  readonly software: Software;
  readonly instanceKey: string;
  readonly state: CasStatement["state"];
  readonly provisioning: ProvisioningRecord | undefined;
  readonly recovery: { readonly threshold: number; readonly holders: readonly { readonly keyHash: string }[] } | undefined;
  /** In state `recovery` only. */
  readonly recoveryKey: string | undefined;
  readonly nonce: string;
  readonly developmentRoot: boolean;
  /** Null while there is none; undefined where none are taken. */
  readonly newestSnapshot: string | null | undefined;
  /** Instance keys of those who may open the database besides this one. */
  readonly backups: readonly string[];
}

/** What this CAS says about itself (C-64), signed by its TLS key. */
export function casStatement(facts: StatementFacts): Pick<CasAttestation, "statement" | "signature"> {
  const { tls, sessionEncryptionKey, software, instanceKey, state, provisioning, nonce, developmentRoot } = facts;
  const { recovery, recoveryKey, newestSnapshot, backups } = facts;
  const statement: CasStatement = {
    format: "vouchsafe/cas-statement/1",
    chain: [...tls.chain],
    sessionEncryptionKey,
    version: software.version,
    securityVersion: software.securityVersion,
    instanceKey,
    state,
    selfProvisioned: provisioning?.isSelfProvisioned ?? false,
    ownerKeyHash: provisioning?.ownerKeyHash ?? null,
    databaseKeyInjected: false,
    recovery: recovery === undefined ? null : { threshold: recovery.threshold, holders: recovery.holders.map(({ keyHash }) => keyHash) },
    recoveryKey: recoveryKey ?? null,
    developmentRoot,
    nonce,
    ...(newestSnapshot === undefined ? {} : { newestSnapshot }),
    backups: [...backups],
  };
  const text = JSON.stringify(statement);
  return { statement: text, signature: sign("sha256", casStatementMessage(text), tls.privateKey).toString("base64") };
}
