import { CasError } from "./cas-error.ts";
import { Database } from "./database/database.ts";
import { AnchorFile } from "./freshness/anchor-file.ts";
import { Freshness } from "./freshness/freshness.ts";
import { type CasIdentityKeys, openIdentity } from "./identity/cas-identity.ts";
import type { Log } from "./log-line.ts";
import { readAccess } from "./registration/access.ts";
import { KeyRing } from "./sealing/key-ring.ts";
import { type DatabaseKey, keyStorePath, type OpenedKeyStore, openKeyStore } from "./sealing/key-store.ts";
import { instanceKeyText, openPlatformKeyFile } from "./sealing/platform-key.ts";
import { openRowStore, type StoreOptions } from "./store/open-row-store.ts";
import { RowSeal } from "./store/row-seal.ts";
import { type RowStore, STATE_KEY } from "./store/row-store.ts";
import type { Software } from "./version.ts";

export interface OpenOptions extends StoreOptions {
  readonly platformKeyPath: string;
  readonly anchorPath?: string | undefined;
  readonly software: Software;
  readonly now: () => Date;
  readonly log: Log;
}

export interface OpenedDatabase {
  readonly database: Database;
  readonly freshness: Freshness;
  readonly identity: CasIdentityKeys;
  readonly keyRing: KeyRing;
  /** Public key to which another CAS would seal its database key for this instance, 64 hex digits. */
  readonly instanceKey: string;
}

/**
 * Unseals the database key, opens the database and judges whether it is the newest one. A roll-over of the key that was interrupted is finished
 * or undone (C-79). Nothing of any key stays in memory (hazard D9). Throws CasError.
 */
export async function openDatabase(options: OpenOptions, started: AsyncDisposableStack): Promise<OpenedDatabase> {
  const { databasePath, postgres, platformKeyPath, anchorPath, software, now, log } = options;
  const provider = openPlatformKeyFile(platformKeyPath, software.securityVersion);
  const path = keyStorePath(databasePath);
  let keyStore: OpenedKeyStore | undefined;
  try {
    const instanceKey = instanceKeyText(provider);
    keyStore = openKeyStore(postgres === undefined ? databasePath : undefined, path, provider);
    const store = started.use(await openRowStore(options));
    const key = await chooseKey(store, keyStore, path);
    const database = await Database.open(store, new RowSeal(key.bytes));
    started.defer(() => database.settle());
    const other = key === keyStore.next ? keyStore.present : keyStore.next;
    const anchor = started.use(new AnchorFile(anchorPath ?? `${platformKeyPath}.anchor`, key.bytes, other?.bytes));
    const freshness = new Freshness(database, anchor, log);
    const identity = await openIdentity(database, software, now());
    assertSealedBy(key, identity, path);
    const { securityVersion } = software;
    const isNextInForce = key === keyStore.next;
    const keyRing = new KeyRing({ databasePath, platformKeyPath, securityVersion, cas: identity.casKeyHash, isNextInForce });
    // A database that may be an old one decides nothing: both keys of an interrupted roll-over are kept until its owner has accepted it.
    if (freshness.suspicion === undefined && !database.isReadOnly) {
      await keyRing.sealFor(await readAccess(database));
      if (keyStore.content.next !== undefined)
        log.warn(`an interrupted roll-over of the database key was ${isNextInForce ? "finished" : "undone"}`);
    }
    return { database, freshness, identity, keyRing, instanceKey };
  } finally {
    keyStore?.present?.bytes.fill(0);
    keyStore?.next?.bytes.fill(0);
    provider.forget();
  }
}

/** After an interrupted roll-over the database is under one key or the other: its commit is what decides. */
async function chooseKey(store: RowStore, { present, next, content }: OpenedKeyStore, path: string): Promise<DatabaseKey> {
  const state = content.next === undefined ? undefined : await store.find(STATE_KEY);
  const opens = (key: DatabaseKey | undefined): key is DatabaseKey =>
    key !== undefined && state !== undefined && new RowSeal(key.bytes).opens(state);
  if (opens(next)) return next;
  if (present !== undefined && (content.next === undefined || opens(present))) return present;
  throw new CasError("KEY_STORE", `the database was taken to a new key, and the key store ${path} has that key for newer software only`, {
    remedy: "Start the newer software again: a downgrade never gets the key.",
  });
}

/** A key that another instance sealed must open the database of that CAS, not just any. */
function assertSealedBy({ sealedBy }: DatabaseKey, { casKeyHash }: CasIdentityKeys, path: string): void {
  if (sealedBy === undefined || sealedBy === casKeyHash) return;
  throw new CasError("KEY_STORE", `the key store ${path} was sealed by the CAS ${sealedBy}, but the database is that of ${casKeyHash}`, {
    remedy: "Restore database and key store from the same snapshot.",
  });
}
