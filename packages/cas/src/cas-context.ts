import type { Session } from "@vouchsafe/policy";
import type { AuditLog } from "./audit/audit-log.ts";
import type { OwnerConfig } from "./config/owner-config.ts";
import type { Database } from "./database/database.ts";
import { NeedsOutside, type Transaction } from "./database/transaction.ts";
import type { CasIdentityKeys, TlsIdentity } from "./identity/cas-identity.ts";
import type { RemoteImports } from "./imports/remote-imports.ts";
import type { Log } from "./log-line.ts";
import type { ValueSource } from "./values/resolve-secrets.ts";
import type { Vaults } from "./vaults/vaults.ts";
import type { Software } from "./version.ts";

/** What every operation of a running CAS works with. Wired once, in `start-cas.ts`. */
export interface CasContext {
  readonly database: Database;
  readonly identity: CasIdentityKeys;
  readonly software: Software;
  readonly audit: AuditLog;
  readonly log: Log;
  readonly now: () => Date;
  readonly remote: RemoteImports;
  readonly vaults: Vaults;
  /** As last uploaded by the owner. */
  ownerConfig: OwnerConfig;
  /** Shown to clients, and to other CAS. */
  tls: TlsIdentity;
}

/** Values as they are committed now. Asks vaults where it has to, and waits for them. */
export function committedValues({ database, remote, vaults: { imports, kept } }: CasContext): ValueSource {
  return {
    rows: kept.reader(database),
    remote,
    vaults: {
      find: async (version, secret, keys) => {
        await imports.refresh(version);
        return imports.find(version, secret, keys);
      },
    },
  };
}

/**
 * Values as a transaction sees them, which is run again when a vault has to be asked. `alsoBy`: sessions whose tokens may open the vault where values
 * are kept, besides the current version's.
 */
export function pendingValues(
  { remote, vaults: { imports, kept } }: CasContext,
  tx: Transaction,
  alsoBy: readonly Session[] = [],
): ValueSource {
  return {
    rows: kept.transactionReader(tx, alsoBy),
    remote,
    vaults: {
      find: async (version, secret, keys) => {
        const asked = `asked ${version.name} ${version.hash}`;
        if (!imports.isFresh(version, secret) && !tx.prepared.has(asked)) {
          throw new NeedsOutside(async (prepared) => {
            await imports.refresh(version);
            prepared.set(asked, true);
          });
        }
        return imports.find(version, secret, keys);
      },
    },
  };
}
