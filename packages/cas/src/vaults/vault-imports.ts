import { type AadTokenSecret, placeholderSecret, type Session, type VaultSecret, vaultToken } from "@vouchsafe/policy";
import { type StoredSecret, type VaultEntry, vaultValue } from "@vouchsafe/secrets";
import type { Log } from "../log-line.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import type { KeyVaults } from "./key-vault.ts";
import { VaultError } from "./vault-error.ts";

/** An answer this young is used again: it spares the vault when many instances start at once. */
const FRESH_MS = 5_000;
/** While a vault is away, what it last said holds for this long. */
const STALE_MS = 10 * 60_000;
/** Each at most as large as a secret of a vault, 25 KB. */
const MAX_ENTRIES = 2_000;

/** What was last heard; a text says why there is nothing. */
export interface Heard {
  readonly answer: VaultEntry | string;
  /** In ms since the epoch. */
  readonly askedAt: number;
  readonly answeredAt: number | undefined;
}

export interface VaultImportsOptions {
  readonly vaults: () => KeyVaults;
  readonly now: () => Date;
  readonly log: Log;
}

/**
 * Secrets that sessions import from vaults (SL-151). `refresh` asks, `find` tells what was heard; values are kept in memory only. A value that changes
 * in the vault is in the next delivery.
 */
export class VaultImports {
  readonly #options: VaultImportsOptions;
  readonly #heard = new Map<string, Heard>();
  readonly #asking = new Map<string, Promise<void>>();
  /** By hash of the session's version. */
  readonly #tokensSeen = new Map<string, string>();
  /** Called when a vault says something else than before to this session. */
  onChanged: ((session: string) => void) | undefined;

  constructor(options: VaultImportsOptions) {
    this.#options = options;
  }

  /** Other vaults are configured: what was heard of the former ones is nothing to go on. */
  forget(): void {
    this.#heard.clear();
  }

  /** Asks for every vault secret of this version whose last answer is not fresh. Does not throw: `find` tells what failed. */
  async refresh(version: SessionVersion): Promise<void> {
    await Promise.all(vaultSecrets(version.session).map((secret) => this.#refresh(version, secret)));
  }

  /** Has `refresh` asked for this one lately? */
  isFresh(version: SessionVersion, secret: VaultSecret): boolean {
    const heard = this.#heard.get(entryName(version, secret));
    const ageMs = heard === undefined ? -1 : this.#options.now().getTime() - heard.askedAt;
    // A clock that went back makes an answer old, not young.
    return ageMs >= 0 && ageMs < FRESH_MS;
  }

  /** The value as last heard, or why there is none. `keys` are values that may decrypt it (SL-152). */
  find(version: SessionVersion, secret: VaultSecret, keys: ReadonlyMap<string, StoredSecret>): StoredSecret | string {
    const answer = this.#heard.get(entryName(version, secret))?.answer ?? `vault ${secret.vault} has not been asked yet`;
    if (typeof answer === "string") return answer;
    const key = decryptionKey(version.session, secret, keys);
    if (typeof key === "string") return key;
    const read = vaultValue(answer, key, secret.kind);
    return read.kind === "ok" ? read.value : `${secret.secretName} in vault ${secret.vault}: ${read.problem}`;
  }

  /** Tokens of kind `aad-token`, by secret name; those that cannot be had are in `problems`. Does not throw. */
  async tokens({
    session,
  }: SessionVersion): Promise<{ readonly values: ReadonlyMap<string, string>; readonly problems: ReadonlyMap<string, string> }> {
    const values = new Map<string, string>();
    const problems = new Map<string, string>();
    for (const secret of session.secrets) {
      if (secret.origin !== "generated" || secret.kind !== "aad-token") continue;
      const found = await this.#token(session.name, secret);
      (found.isToken ? values : problems).set(secret.name, found.text);
    }
    return { values, problems };
  }

  /** Has one of the session's tokens been renewed since this was last asked? */
  async hasOtherTokens(version: SessionVersion): Promise<boolean> {
    if (!version.session.secrets.some(({ kind }) => kind === "aad-token")) return false;
    const now = JSON.stringify([...(await this.tokens(version)).values]);
    const before = this.#tokensSeen.get(version.hash);
    this.#tokensSeen.set(version.hash, now);
    for (const oldest of this.#tokensSeen.size > MAX_ENTRIES ? this.#tokensSeen.keys() : []) {
      this.#tokensSeen.delete(oldest);
      break;
    }
    return before !== undefined && before !== now;
  }

  async #token(session: string, identity: AadTokenSecret): Promise<{ readonly isToken: boolean; readonly text: string }> {
    try {
      return { isToken: true, text: await this.#options.vaults().token(identity) };
    } catch (error) {
      return { isToken: false, text: this.#explain(session, error) };
    }
  }

  #refresh(version: SessionVersion, secret: VaultSecret): Promise<void> {
    if (this.isFresh(version, secret)) return Promise.resolve();
    const name = entryName(version, secret);
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const asking = this.#ask(name, version, secret).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  async #ask(name: string, { session }: SessionVersion, secret: VaultSecret): Promise<void> {
    const before = this.#heard.get(name);
    const heard = await this.#exchange(session, secret, before);
    this.#heard.delete(name); // so that the entry that was asked for longest ago is the first
    this.#heard.set(name, heard);
    for (const oldest of this.#heard.keys()) {
      if (this.#heard.size <= MAX_ENTRIES) break;
      this.#heard.delete(oldest);
    }
    if (before !== undefined && JSON.stringify(before.answer) !== JSON.stringify(heard.answer)) this.onChanged?.(session.name);
  }

  async #exchange(session: Session, secret: VaultSecret, before: Heard | undefined): Promise<Heard> {
    const { now, vaults } = this.#options;
    const identity = vaultToken(session, secret.token);
    if (identity === undefined)
      return { answer: `no aad-token opens vault ${secret.vault}`, askedAt: now().getTime(), answeredAt: undefined };
    try {
      const answer = await vaults().read({ vault: secret.vault, identity }, secret.secretName);
      return { answer, askedAt: now().getTime(), answeredAt: now().getTime() };
    } catch (error) {
      const problem = this.#explain(session.name, error);
      const askedAt = now().getTime();
      const holds =
        error instanceof VaultError && error.isPassing && before?.answeredAt !== undefined && isYoung(askedAt - before.answeredAt);
      return holds ? { ...before, askedAt } : { answer: problem, askedAt, answeredAt: undefined };
    }
  }

  #explain(session: string, error: unknown): string {
    if (!(error instanceof VaultError)) throw error;
    this.#options.log.warn(`session ${session}: ${error.code}: ${error.message}`);
    return `${error.code}: ${error.message}`;
  }
}

const isYoung = (ageMs: number): boolean => ageMs >= 0 && ageMs < STALE_MS;

/** Secrets of a session that come from vaults. */
export function vaultSecrets({ secrets }: Session): readonly VaultSecret[] {
  return secrets.filter((secret): secret is VaultSecret => secret.origin === "vault");
}

/** Another version asks anew: it may have other rights. */
const entryName = ({ name, hash }: SessionVersion, secret: VaultSecret): string => `${name} ${hash} ${secret.name}`;

function decryptionKey(session: Session, secret: VaultSecret, keys: ReadonlyMap<string, StoredSecret>): Uint8Array | string | undefined {
  if (secret.decryptionKey === undefined) return undefined;
  const name = placeholderSecret(secret.decryptionKey, (wanted) => session.secrets.some((candidate) => candidate.name === wanted));
  const key = name === undefined ? undefined : keys.get(name);
  if (key === undefined) return `its decryption key ${name ?? ""} has no value`;
  return key.kind === "binary" ? Uint8Array.fromHex(key.hex) : `its decryption key ${name} is ${key.kind}; expected binary`;
}
