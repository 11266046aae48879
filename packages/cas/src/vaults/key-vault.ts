import type { AadTokenSecret } from "@vouchsafe/policy";
import type { VaultEntry } from "@vouchsafe/secrets";
import { z } from "zod";
import { type AzureSettings, isVaultHost } from "./azure-settings.ts";
import { AzureTokens } from "./azure-tokens.ts";
import { type OutsideAnswer, OutsideHttps, type OutsideOptions } from "./outside-https.ts";
import { VaultError } from "./vault-error.ts";

const API_VERSION = "7.4";
const Bundle = z.object({ value: z.string(), contentType: z.string().max(255).nullish(), id: z.string().max(1024) });
const Refusal = z.object({ error: z.object({ code: z.string().regex(/^[A-Za-z]{1,48}$/) }) });

/** Name of a vault, and what opens it. */
export interface VaultDoor {
  /** Host name. */
  readonly vault: string;
  readonly identity: AadTokenSecret;
}

/** Secrets in Azure Key Vaults, by its REST interface (7.4), and the tokens for them. */
export class KeyVaults implements Disposable {
  readonly #settings: AzureSettings;
  readonly #https: OutsideHttps;
  readonly #tokens: AzureTokens;

  constructor(settings: AzureSettings, networks: OutsideOptions["networks"], now: () => Date) {
    this.#settings = settings;
    this.#https = new OutsideHttps({ ...settings, networks });
    this.#tokens = new AzureTokens(settings, this.#https, now);
  }

  get settings(): AzureSettings {
    return this.#settings;
  }

  /** For kind `aad-token`. Throws VaultError. */
  token(identity: AadTokenSecret): Promise<string> {
    this.#assertEnabled();
    return this.#tokens.token(identity);
  }

  /** The newest version of a secret. Throws VaultError. */
  async read(door: VaultDoor, name: string): Promise<VaultEntry> {
    const { value, contentType } = await this.#exchange(door, name, undefined);
    return { value, contentType: contentType ?? "" };
  }

  /** Makes a version of a secret. Returns when the vault has confirmed it. Throws VaultError. */
  async write(door: VaultDoor, name: string, entry: VaultEntry): Promise<void> {
    const { value } = await this.#exchange(door, name, JSON.stringify(entry));
    if (value !== entry.value) throw new VaultError("VAULT_ANSWER", `${door.vault} confirmed another value for ${name}`);
  }

  [Symbol.dispose](): void {
    this.#https[Symbol.dispose]();
  }

  #assertEnabled(): void {
    if (!this.#settings.isEnabled) throw new VaultError("VAULT_EXCLUDED", "the owner of this CAS has switched Azure off (azure.enabled)");
  }

  async #exchange(door: VaultDoor, name: string, body: string | undefined): Promise<z.infer<typeof Bundle>> {
    this.#assertEnabled();
    if (!isVaultHost(this.#settings, door.vault))
      throw new VaultError("VAULT_EXCLUDED", `${door.vault} is no vault below ${this.#settings.vaultDomain} (azure.vault_domain)`);
    const first = await this.#ask(door, name, body);
    // A token may have been withdrawn before its end: one more try, with a new one.
    const answer = first.status === 401 ? await this.#ask(door, name, body) : first;
    if (answer.status !== 200) throw refusal(door.vault, name, answer);
    const read = Bundle.safeParse(answer.body);
    const isOurs =
      read.success && new RegExp(`^https://${RegExp.escape(door.vault)}(?::443)?/secrets/${name}(?:/|$)`, "i").test(read.data.id);
    if (!isOurs) throw new VaultError("VAULT_ANSWER", `${door.vault} gave an answer that is not secret ${name}`);
    return read.data;
  }

  async #ask({ vault, identity }: VaultDoor, name: string, body: string | undefined): Promise<OutsideAnswer> {
    const token = await this.#tokens.token(identity);
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
    const path = `/secrets/${encodeURIComponent(name)}?api-version=${API_VERSION}`;
    const answer = await this.#https.call({
      method: body === undefined ? "GET" : "PUT",
      host: vault,
      path,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    if (answer.status === 401) this.#tokens.forget(identity, token);
    return answer;
  }
}

function refusal(vault: string, name: string, { status, body }: OutsideAnswer): VaultError {
  const read = Refusal.safeParse(body);
  const reason = read.success ? ` (${read.data.error.code})` : "";
  switch (status) {
    case 401:
      return new VaultError("VAULT_UNAUTHORIZED", `${vault} does not accept the token for ${name}: 401${reason}`);
    case 403:
      return new VaultError("VAULT_FORBIDDEN", `${vault} does not permit ${name}: 403${reason}`);
    case 404:
      return new VaultError("VAULT_MISSING", `${vault} has no secret ${name}: 404${reason}`);
    default:
      return new VaultError("VAULT_ANSWER", `${vault} answers ${status} for ${name}${reason}`);
  }
}
