import { randomBytes } from "node:crypto";
import { keyStorePath, openKeyStore, writeKeyStore } from "./key-store.ts";
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

interface OpenedRing extends Disposable {
  /** The key that is in force, overwritten on disposal. */
  readonly key: Uint8Array;
  /** It, for each who may open the database. */
  readonly keys: readonly SealedKey[];
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
    const { keys, provider } = opened;
    return keys.some((key) => key.recipient === "platform" && isSealedFor(key, provider));
  }

  /**
   * Besides the platforms that it was made on, exactly these instances can open the database from now on. Of an interrupted roll-over only the key
   * in force is left. Throws KEY_STORE.
   */
  sealFor(instances: readonly Instance[]): void {
    using opened = this.#open();
    const { key, keys, isSettled } = opened;
    const wanted = this.#keysFor(key, keys, instances);
    if (!isSettled || JSON.stringify(wanted) !== JSON.stringify(keys)) writeKeyStore(this.#path, { keys: wanted });
    this.#isNextInForce = false;
  }

  /**
   * A new database key, for this platform and these instances only (C-78). `reseal` makes the database one under the new key, durably; if it throws,
   * `isUnchanged` tells whether the database certainly is what it was. A crash at any moment leaves a key store that opens the database.
   */
  async rollOver(instances: readonly Instance[], reseal: (key: Uint8Array) => Promise<void>, isUnchanged: () => boolean): Promise<void> {
    using opened = this.#open();
    const { keys, provider } = opened;
    const next = randomBytes(KEY_BYTES);
    try {
      const nextKeys = this.#keysFor(next, [sealForPlatform(next, provider)], instances);
      writeKeyStore(this.#path, { keys: [...keys], next: nextKeys });
      try {
        await reseal(next);
      } catch (error) {
        if (isUnchanged()) writeKeyStore(this.#path, { keys: [...keys] });
        throw error;
      }
      writeKeyStore(this.#path, { keys: nextKeys });
    } finally {
      next.fill(0);
    }
  }

  /** Keys for the platforms in `keys`, and for exactly these instances; what is sealed already stays as it is. */
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
      const [key, other, keys] = this.#isNextInForce ? [next, present, content.next] : [present, next, content.keys];
      other?.bytes.fill(0);
      if (key === undefined || keys === undefined) throw new TypeError("the key store of a running CAS opens its database");
      const forget = () => {
        key.bytes.fill(0);
        provider.forget();
      };
      return { key: key.bytes, keys, isSettled: content.next === undefined, provider, [Symbol.dispose]: forget };
    } catch (error) {
      provider.forget();
      throw error;
    }
  }
}
