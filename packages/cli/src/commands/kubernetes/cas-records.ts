import { createPrivateKey, randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Attested, ClientCredentials } from "@vouchsafe/kubernetes";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { z } from "zod";
import { CliError } from "../../cli-error.ts";
import { obtainClientIdentity } from "../../client-identity.ts";
import type { Shell } from "../../shell.ts";

/** What the client remembers of a CAS that it attested: pinned from then on (C-57). */
const CasRecord = z.looseObject({
  url: z.string(),
  key_hash: z.string(),
  software_key_hash: z.string(),
  chain: z.array(z.string()),
  session_encryption_key: z.string(),
});
export type CasRecord = z.infer<typeof CasRecord>;
const ClientState = z.looseObject({
  identity_key: z.string(),
  default_cas: z.string().optional(),
  cas_db: z.record(z.string(), CasRecord).default({}),
});

/** Directory-bound view of `config.json`: the client's connection identity and the CAS instances it attested. */
export class CasRecords {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** Makes the client's keys at the first use. Throws E-CAS-CONFIG. */
  static async open(shell: Shell): Promise<CasRecords> {
    await obtainClientIdentity(shell);
    return new CasRecords(shell.environment["SCONE_CLI_CONFIG"] || join(shell.casConfig, "config.json"));
  }

  async find(name: string): Promise<CasRecord | undefined> {
    return (await this.#read()).cas_db[name];
  }

  /** A certificate for the client's key. Who it names and how long it lasts does not matter: the key counts (C-18). */
  async credentials(now: Date): Promise<ClientCredentials> {
    const { identity_key: privateKey } = await this.#read();
    const request = {
      ...{ isCa: false, commonName: "vouchsafe-cli", san: [], endpoint: "client" as const },
      ...{ validForSeconds: undefined, control: undefined },
    };
    const { pem } = issueCertificate(request, { ownKey: createPrivateKey(privateKey) }, { now, random: systemRandomness });
    return { certificate: pem, privateKey };
  }

  /** Remembers an attested CAS; the first one becomes the default. Written beside and renamed, so that a crash leaves the old file. */
  async remember(name: string, attested: Attested): Promise<void> {
    const state = await this.#read();
    const record: CasRecord = {
      url: `https://${name}:8081`,
      key_hash: attested.keyHash,
      software_key_hash: attested.softwareKeyHash,
      chain: [...attested.statement.chain],
      session_encryption_key: attested.statement.sessionEncryptionKey,
    };
    const next = { ...state, default_cas: state.default_cas ?? name, cas_db: { ...state.cas_db, [name]: record } };
    const draft = `${this.#file}.${randomBytes(6).toString("hex")}`;
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(next, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, this.#file);
  }

  async #read(): Promise<z.infer<typeof ClientState>> {
    try {
      return ClientState.parse(JSON.parse(await readFile(this.#file, "utf8")));
    } catch (cause) {
      const remedy = "Move it away; a new identity is made then.";
      throw new CliError("E-CAS-CONFIG", `${this.#file} is no client configuration`, { cause, remedy });
    }
  }
}
