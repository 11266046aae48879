import { createHash } from "node:crypto";
import { type Session, vaultToken } from "@vouchsafe/policy";
import { ApiError } from "../cas-error.ts";
import { NeedsOutside, type Transaction } from "../database/transaction.ts";
import { ValueCache } from "../database/value-cache.ts";
import type { Log } from "../log-line.ts";
import { currentKey, issuedKey, type SessionVersion, valuesKey } from "../sessions/session-records.ts";
import type { Reader, RowKey } from "../store/row-store.ts";
import type { KeyVaults, VaultDoor } from "./key-vault.ts";
import { ENTRY_BYTES, ENTRY_TYPE, entryName, type KeptElsewhere, openValues, sealValues } from "./sealed-entries.ts";
import { VaultError } from "./vault-error.ts";

/** A row whose values lie in a vault (SL-154). */
export interface ElsewhereRow {
  readonly elsewhere: KeptElsewhere;
  /** When the first of the values is to be made anew, in ms since the epoch; null: never. */
  readonly renewAt: number | null;
}

/** Values that a session keeps in a vault cannot be had. */
export class KeptValuesError extends Error {
  /** The vault answered, and its answer is missing, changed or old; otherwise it could not be asked. */
  readonly isLost: boolean;

  constructor(message: string, isLost: boolean) {
    super(message);
    this.name = new.target.name;
    this.isLost = isLost;
  }
}

type Outcome =
  | { readonly kind: "ok"; readonly value: object; readonly askedAt: number; readonly answeredAt: number }
  | { readonly kind: "failed"; readonly isLost: boolean; readonly problem: string; readonly askedAt: number };

export interface KeptValuesOptions {
  readonly vaults: () => KeyVaults;
  readonly now: () => Date;
  readonly log: Log;
}

/** An answer this young is used again. */
const FRESH_MS = 5_000;
/** While a vault is away, what it last said holds for this long, in memory only. */
const STALE_MS = 10 * 60_000;
/** Rows whose values follow the session's store. */
const KINDS: ReadonlySet<string> = new Set([valuesKey("").kind, issuedKey("").kind]);

/**
 * Where the values of sessions with `store_in: !akv` are (SL-154): in a vault, sealed, while the database remembers key and tags. The vault has
 * confirmed every entry before the database refers to it; former entries stay. Nothing waits for a vault within a transaction.
 */
export class KeptValues {
  readonly #options: KeptValuesOptions;
  #outcomes = new ValueCache();
  readonly #asking = new Map<string, Promise<Outcome>>();

  constructor(options: KeptValuesOptions) {
    this.#options = options;
  }

  /** Rows with their values, wherever these lie; waits for the vault. `get` throws KeptValuesError. */
  reader(rows: Reader): Reader {
    return {
      get: async <T>(key: RowKey): Promise<T | undefined> => {
        const row = await rows.get<T | ElsewhereRow>(key);
        if (!KINDS.has(key.kind) || !isElsewhere(row)) return row as T | undefined; // what is not elsewhere is the value
        const fresh = this.#fresh(row.elsewhere) ?? (await this.#load(row.elsewhere, await doorsTo(rows, row.elsewhere, [])));
        return knownValue<T>(fresh);
      },
    };
  }

  /** The same within a transaction, which is run again when the vault has answered. `alsoBy`: sessions whose tokens may open the vault too. */
  transactionReader(tx: Transaction, alsoBy: readonly Session[] = []): Reader {
    return {
      get: async <T>(key: RowKey): Promise<T | undefined> => {
        const row = await tx.get<T | ElsewhereRow>(key);
        if (!KINDS.has(key.kind) || !isElsewhere(row)) return row as T | undefined; // what is not elsewhere is the value
        const name = `${nameOf(row.elsewhere)} ${alsoBy.length}`;
        const fresh = this.#fresh(row.elsewhere);
        const isRefused = fresh?.kind === "failed" && !fresh.isLost;
        // Another token may be let in where those that were tried were not.
        const known = (tx.prepared.get(name) as Outcome | undefined) ?? (isRefused && alsoBy.length > 0 ? undefined : fresh); // put there below
        if (known !== undefined) return knownValue<T>(known);
        const doors = await doorsTo(tx, row.elsewhere, alsoBy);
        throw new NeedsOutside(async (prepared) => {
          prepared.set(name, await this.#load(row.elsewhere, doors));
        });
      },
    };
  }

  /** Writes values to where this version keeps them. In a vault: first there, then, in the next run of the transaction, in the database. */
  async put(
    tx: Transaction,
    key: RowKey,
    { session, hash }: Pick<SessionVersion, "session" | "hash">,
    value: object,
    renewAt: number,
  ): Promise<void> {
    if (session.secretStore.kind === "cas") return tx.put(key, value);
    const name = `put ${key.kind} ${key.id} ${hash}`;
    const base = digest(await tx.get<object>(key));
    const prepared = tx.prepared.get(name) as { readonly base: string; readonly row: ElsewhereRow } | undefined; // put there below
    // What was made on other values than those that are there now would undo somebody's change: it is made again.
    if (prepared?.base === base) return tx.put(key, prepared.row);
    throw new NeedsOutside(async (next) => {
      const elsewhere = await this.#write(key, session, hash, value);
      next.set(name, { base, row: { elsewhere, renewAt: Number.isFinite(renewAt) ? renewAt : null } });
    });
  }

  /** Other vaults are configured. */
  forget(): void {
    this.#outcomes = new ValueCache();
  }

  #fresh(kept: KeptElsewhere): Outcome | undefined {
    const known = this.#outcome(kept);
    const ageMs = known === undefined ? -1 : this.#options.now().getTime() - known.askedAt;
    // A clock that went back makes an answer old, not young.
    return ageMs >= 0 && ageMs < FRESH_MS ? known : undefined;
  }

  /** Of many who want the same at once, one asks. */
  #load(kept: KeptElsewhere, doors: readonly VaultDoor[]): Promise<Outcome> {
    const name = `${nameOf(kept)} ${doors.map(({ identity }) => JSON.stringify(identity)).join()}`;
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const asking = this.#read(kept, doors)
      .then((outcome) => {
        this.#remember(kept, outcome);
        return outcome;
      })
      .finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  #outcome(kept: KeptElsewhere): Outcome | undefined {
    return this.#outcomes.get(nameOf(kept)) as Outcome | undefined; // put there by #remember alone
  }

  async #read(kept: KeptElsewhere, doors: readonly VaultDoor[]): Promise<Outcome> {
    const { now, log } = this.#options;
    let last = new VaultError("TOKEN_REFUSED", `no aad-token of session ${kept.session} opens vault ${kept.vault}`);
    for (const door of doors) {
      const sealed = await this.#entries(kept, door);
      const at = now().getTime();
      if (!(sealed instanceof VaultError)) {
        const value = openValues(kept, sealed);
        if (value !== undefined) return { kind: "ok", value, askedAt: at, answeredAt: at };
        log.error(`session ${kept.session}: values in vault ${kept.vault} were changed`);
        return {
          kind: "failed",
          isLost: true,
          askedAt: at,
          problem: `values in vault ${kept.vault} are not those that this CAS put there`,
        };
      }
      last = sealed;
      if (!REFUSALS.has(sealed.code)) break;
    }
    log.error(`session ${kept.session}: values in vault ${kept.vault}: ${last.code}: ${last.message}`);
    const askedAt = now().getTime();
    const before = this.#outcome(kept);
    if (last.isPassing && before?.kind === "ok" && askedAt >= before.answeredAt && askedAt - before.answeredAt < STALE_MS)
      return { ...before, askedAt };
    return { kind: "failed", isLost: last.code === "VAULT_MISSING", askedAt, problem: `${last.code}: ${last.message}` };
  }

  async #entries(kept: KeptElsewhere, door: VaultDoor): Promise<readonly string[] | VaultError> {
    try {
      const entries = await Promise.all(kept.tags.map((tag) => this.#options.vaults().read(door, entryName(kept, tag))));
      return entries.map(({ value }) => value);
    } catch (error) {
      if (error instanceof VaultError) return error;
      throw error;
    }
  }

  async #write(key: RowKey, session: Session, hash: string, value: object): Promise<KeptElsewhere> {
    const door = doorOf(session);
    if (door === undefined) throw new ApiError("invalid_session", "secret_config.store_in: no aad-token opens the vault");
    const sealed = sealValues({ vault: door.vault, session: session.name, sessionHash: hash, row: key.kind }, value);
    if (sealed === undefined) throw new ApiError("too_large", "the values of the session are too large for a vault");
    const { kept, entries } = sealed;
    try {
      await Promise.all(
        entries.map((entry) => this.#options.vaults().write(door, entry.name, { value: entry.value, contentType: ENTRY_TYPE })),
      );
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      this.#options.log.error(`session ${session.name}: values are not stored in vault ${door.vault}: ${error.code}: ${error.message}`);
      throw new KeptValuesError(`the values cannot be stored, nothing was changed: ${error.code}: ${error.message}`, false);
    }
    const at = this.#options.now().getTime();
    this.#remember(kept, { kind: "ok", value, askedAt: at, answeredAt: at });
    return kept;
  }

  #remember(kept: KeptElsewhere, outcome: Outcome): void {
    this.#outcomes.set(nameOf(kept), outcome, kept.tags.length * ENTRY_BYTES);
  }
}

/**
 * For operations that need no value: throws KeptValuesError when the vault says that values of this session are missing, changed or old. A vault that
 * cannot be asked keeps nobody from reading or replacing a document. `rows` come from `reader` or `transactionReader`.
 */
export async function assertIntact(rows: Reader, { name, session }: Pick<SessionVersion, "name" | "session">): Promise<void> {
  if (session.secretStore.kind === "cas") return;
  try {
    await rows.get(valuesKey(name));
  } catch (error) {
    if (!(error instanceof KeptValuesError) || error.isLost) throw error;
  }
}

/** Another token might be let in. */
const REFUSALS: ReadonlySet<string> = new Set(["TOKEN_REFUSED", "VAULT_UNAUTHORIZED", "VAULT_FORBIDDEN"]);

export const isElsewhere = (row: unknown): row is ElsewhereRow => typeof row === "object" && row !== null && "elsewhere" in row;

const nameOf = ({ session, row, tags }: KeptElsewhere): string => `kept ${row} ${session} ${tags.join()}`;

const digest = (row: object | undefined): string =>
  createHash("sha256")
    .update(JSON.stringify(row ?? null))
    .digest("hex");

function knownValue<T>(outcome: Outcome): T {
  if (outcome.kind === "failed") throw new KeptValuesError(outcome.problem, outcome.isLost);
  return outcome.value as T; // sealed by this CAS from a value of this kind of row
}

/** Vault and token where a session keeps its values. */
function doorOf(session: Session): VaultDoor | undefined {
  const { secretStore: store } = session;
  const identity = store.kind === "akv" ? vaultToken(session, store.token) : undefined;
  return store.kind === "akv" && identity !== undefined ? { vault: store.vault, identity } : undefined;
}

/** Tokens that may open the vault where something lies: of the current version, and of others that the caller names. */
async function doorsTo(rows: Reader, kept: KeptElsewhere, alsoBy: readonly Session[]): Promise<readonly VaultDoor[]> {
  const current = await rows.get<SessionVersion>(currentKey(kept.session));
  const doors = [...(current === undefined ? [] : [current.session]), ...alsoBy].map((session) => doorOf(session));
  return doors.filter((door) => door !== undefined).filter(({ vault }) => vault === kept.vault);
}
