import { sign } from "node:crypto";
import type { CasAttestation, CasStatement } from "@vouchsafe/protocol";
import type { ProvisioningRecord } from "../provisioning/provisioning.ts";
import { CAS_VERSION } from "../version.ts";
import type { TlsIdentity } from "./cas-identity.ts";

export interface StatementFacts {
  readonly tls: TlsIdentity;
  readonly sessionEncryptionKey: string;
  readonly state: CasStatement["state"];
  readonly provisioning: ProvisioningRecord | undefined;
  readonly nonce: string;
  readonly developmentRoot: boolean;
}

/** What this CAS says about itself (C-64), signed by its TLS key. There is no platform here that could make Evidence: it says so with null. */
export function casStatement({ tls, sessionEncryptionKey, state, provisioning, nonce, developmentRoot }: StatementFacts): CasAttestation {
  const statement: CasStatement = {
    format: "vouchsafe/cas-statement/1",
    chain: [...tls.chain],
    sessionEncryptionKey,
    version: CAS_VERSION,
    state,
    selfProvisioned: provisioning?.isSelfProvisioned ?? false,
    ownerKeyHash: provisioning?.ownerKeyHash ?? null,
    databaseKeyInjected: false,
    developmentRoot,
    nonce,
  };
  const text = JSON.stringify(statement);
  return {
    statement: text,
    signature: sign("sha256", Buffer.from(`vouchsafe/cas-statement/1\0${text}`), tls.privateKey).toString("base64"),
    evidence: null,
  };
}
