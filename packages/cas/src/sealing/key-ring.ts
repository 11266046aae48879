import { randomBytes } from "node:crypto";
import { fitsRule, makeRecoveryShares, type RecoveryRule } from "../recovery/recovery-shares.ts";
import { keyStorePath, openKeyStore, type SealedKeys, writeKeyStore } from "./key-store.ts";
import { openPlatformKeyFile, type SealingProvider } from "./platform-key.ts";
import { type Instance, isSealedFor, type SealedKey, sealForInstance, sealForPlatform } from "./sealed-key.ts";

export interface KeyRingOptions {
  readonly databasePath: string;
  readonly platformKeyPath: string;
  /** Of this software. */
  readonly securityVersion: number;
  /** Key hash of this CAS: a sealed key names whose database it opens. */
  readonly cas: string;
  /** A roll-over was interrupted after the database had got its new key: `next` in the key store is what opens it. */
  readonly isNextInForce: boolean;
}

/** Who may open the database besides the platforms that it was made on. */
export interface Access {
  readonly instances: readonly Instance[];
  readonly recovery: RecoveryRule | undefined;
}

interface OpenedRing extends Disposable {
  /** The key that is in force, overwritten on disposal. */
  readonly key: Uint8Array;
  /** It, for each who may open the database. */
  readonly sealed: SealedKeys;
  readonly isSettled: boolean;
  readonly provider: SealingProvider;
}

const KEY_BYTES = 32;

/** The key store of a running CAS. The database key is unsealed for each change, and forgotten after it (hazard D9). */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #path: string;
  #isNextInForce: boolean;

  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#path = keyStorePath(options.databasePath);
    this.#isNextInForce = options.isNextInForce;
  }

  /** Does the key store open on this platform by itself, and not because another instance registered it? */
  get isOfThisPlatform(): boolean {
    using opened = this.#open();
    const { sealed, provider } = opened;
    return sealed.keys.some((key) => key.recipient === "platform" && isSealedFor(key, provider));
  }

  /**
   * Besides the platforms that it was made on, exactly these can open the database from now on. Of an interrupted roll-over only the key in force is
   * left. Throws KEY_STORE.
   */
  async sealFor(access: Access): Promise<void> {
    using opened = this.#open();
    const { key, sealed, isSettled } = opened;
    const wanted = await this.#sealedFor(key, sealed, access);
    if (!isSettled || JSON.stringify(wanted) !== JSON.stringify(sealed)) writeKeyStore(this.#path, wanted);
    this.#isNextInForce = false;
  }

  /**
   * A new database key, for this platform and these only (C-78). `reseal` makes the database one under the new key, durably; if it throws,
   * `isUnchanged` tells whether the database certainly is what it was. A crash at any moment leaves a key store that opens the database.
   */
  async rollOver(access: Access, reseal: (key: Uint8Array) => Promise<void>, isUnchanged: () => boolean): Promise<void> {
    using opened = this.#open();
    const { sealed, provider } = opened;
    const key = randomBytes(KEY_BYTES);
    try {
      const next = await this.#sealedFor(key, { keys: [sealForPlatform(key, provider)] }, access);
      writeKeyStore(this.#path, { ...sealed, next });
      try {
        await reseal(key);
      } catch (error) {
        if (isUnchanged()) writeKeyStore(this.#path, sealed);
        throw error;
      }
      writeKeyStore(this.#path, next);
    } finally {
      key.fill(0);
    }
  }

  /** The key for the platforms in `sealed`, and for exactly these; what is sealed already stays as it is. */
  async #sealedFor(databaseKey: Uint8Array, sealed: SealedKeys, { instances, recovery }: Access): Promise<SealedKeys> {
    const { cas } = this.#options;
    const keys = this.#keysFor(databaseKey, sealed.keys, instances);
    if (recovery === undefined) return { keys };
    if (sealed.recovery !== undefined && fitsRule(sealed.recovery, recovery, cas)) return { keys, recovery: sealed.recovery };
    return { keys, recovery: await makeRecoveryShares(databaseKey, recovery, cas) };
  }

  #keysFor(databaseKey: Uint8Array, keys: readonly SealedKey[], instances: readonly Instance[]): SealedKey[] {
    const { cas } = this.#options;
    const platforms = keys.filter(({ recipient }) => recipient === "platform");
    const wanted = new Map(instances.map((instance) => [`${instance.instanceKey} ${instance.securityVersion}`, instance]));
    const forInstances = [...wanted.values()].map((instance) => {
      const { instanceKey: of, securityVersion } = instance;
      const known = keys.find(
        (key) => key.recipient === "instance" && key.instanceKey === of && key.securityVersion === securityVersion && key.cas === cas,
      );
      return known ?? sealForInstance(databaseKey, instance, cas);
    });
    return [...platforms, ...forInstances];
  }

  #open(): OpenedRing {
    const { platformKeyPath, securityVersion } = this.#options;
    const provider = openPlatformKeyFile(platformKeyPath, securityVersion);
    try {
      const { content, present, next } = openKeyStore(undefined, this.#path, provider);
      const { next: following, ...former } = content;
      const [key, other, sealed] = this.#isNextInForce ? [next, present, following] : [present, next, former];
      other?.bytes.fill(0);
      if (key === undefined || sealed === undefined) throw new TypeError("the key store of a running CAS opens its database");
      const forget = () => {
        key.bytes.fill(0);
        provider.forget();
      };
      return { key: key.bytes, sealed, isSettled: following === undefined, provider, [Symbol.dispose]: forget };
    } catch (error) {
      provider.forget();
      throw error;
    }
  }
}
