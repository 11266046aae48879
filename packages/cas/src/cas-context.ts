import type { AuditLog } from "./audit/audit-log.ts";
import type { OwnerConfig } from "./config/owner-config.ts";
import type { Database } from "./database/database.ts";
import type { CasIdentityKeys } from "./identity/cas-identity.ts";
import type { Log } from "./log-line.ts";

/** What every operation of a running CAS works with. Wired once, in `start-cas.ts`. */
export interface CasContext {
  readonly database: Database;
  readonly identity: CasIdentityKeys;
  readonly audit: AuditLog;
  readonly log: Log;
  readonly now: () => Date;
  /** As last uploaded by the owner. */
  ownerConfig: OwnerConfig;
}
