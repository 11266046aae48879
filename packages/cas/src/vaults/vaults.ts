import { ImportNetworks } from "../imports/import-networks.ts";
import type { Log } from "../log-line.ts";
import type { AzureSettings } from "./azure-settings.ts";
import { KeptValues } from "./kept-values.ts";
import { KeyVaults } from "./key-vault.ts";
import { VaultImports } from "./vault-imports.ts";

/** External key vaults (SL-151 to SL-154): what sessions import from them, and what they keep in them. */
export class Vaults implements Disposable {
  readonly imports: VaultImports;
  readonly kept: KeptValues;
  readonly #now: () => Date;
  #vaults: KeyVaults;

  constructor(settings: AzureSettings, { now, log }: { readonly now: () => Date; readonly log: Log }) {
    this.#now = now;
    this.#vaults = new KeyVaults(settings, new ImportNetworks(undefined), now);
    const options = { vaults: () => this.#vaults, now, log };
    this.imports = new VaultImports(options);
    this.kept = new KeptValues(options);
  }

  get settings(): AzureSettings {
    return this.#vaults.settings;
  }

  /** As the owner configures them. Open connections are closed, tokens and answers forgotten. */
  configure(settings: AzureSettings, networks: readonly string[] | undefined): void {
    this.#vaults[Symbol.dispose]();
    this.#vaults = new KeyVaults(settings, new ImportNetworks(networks), this.#now);
    this.imports.forget();
    this.kept.forget();
  }

  [Symbol.dispose](): void {
    this.#vaults[Symbol.dispose]();
  }
}
