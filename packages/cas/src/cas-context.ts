import type { AuditLog } from "./audit/audit-log.ts";
import type { OwnerConfig } from "./config/owner-config.ts";
import type { Database } from "./database/database.ts";
import type { CasIdentityKeys, TlsIdentity } from "./identity/cas-identity.ts";
import type { RemoteImports } from "./imports/remote-imports.ts";
import type { Log } from "./log-line.ts";
import type { ValueSource } from "./values/resolve-secrets.ts";

/** What every operation of a running CAS works with. Wired once, in `start-cas.ts`. */
export interface CasContext {
  readonly database: Database;
  readonly identity: CasIdentityKeys;
  readonly audit: AuditLog;
  readonly log: Log;
  readonly now: () => Date;
  readonly remote: RemoteImports;
  /** As last uploaded by the owner. */
  ownerConfig: OwnerConfig;
  /** Shown to clients, and to other CAS. */
  tls: TlsIdentity;
}

/** Values as they are committed now. */
export function committedValues({ database, remote }: CasContext): ValueSource {
  return { rows: database, remote };
}
