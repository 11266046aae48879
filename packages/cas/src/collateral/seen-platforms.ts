import type { Platform } from "@vouchsafe/attestation";
import type { Database } from "../database/database.ts";

/** A platform that proved itself to this CAS. No secret, and nothing of what ran on it but the services' names. */
export interface SeenPlatform {
  readonly platform: Platform;
  /** RFC 3339. */
  readonly firstSeen: string;
  /** To within {@link FRESH_MS}. */
  readonly lastSeen: string;
  /** Sorted; at most {@link SERVICES_MAX}. */
  readonly services: readonly string[];
}

const KIND = "platform";
const FRESH_MS = 3_600_000;
const SERVICES_MAX = 256;
const PLATFORMS_MAX = 10_000;

/**
 * Remembers every platform whose evidence held and was made for a connection to this CAS, so that it can be judged again when new collateral
 * comes. One commit for each platform and service, and one an hour while it comes back.
 */
export class SeenPlatforms {
  readonly #database: Database;
  readonly #seen = new Map<string, SeenPlatform>();

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(database: Database): Promise<SeenPlatforms> {
    const platforms = new SeenPlatforms(database);
    for (const id of database.ids(KIND)) {
      const row = await database.get<SeenPlatform>({ kind: KIND, id });
      if (row !== undefined) platforms.#seen.set(id, row);
    }
    return platforms;
  }

  /** Sorted by the platform's name. */
  list(): readonly SeenPlatform[] {
    return [...this.#seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, seen]) => seen);
  }

  async note(platform: Platform, service: string, now: Date): Promise<void> {
    const id = rowId(platform);
    const known = this.#seen.get(id);
    const isKnown = known !== undefined && JSON.stringify(known.platform) === JSON.stringify(platform) && known.services.includes(service);
    if (isKnown && now.getTime() - Date.parse(known.lastSeen) < FRESH_MS) return;
    if (known === undefined && this.#seen.size >= PLATFORMS_MAX) return;
    const services = [...new Set([...(known?.services ?? []), service])].sort().slice(0, SERVICES_MAX);
    const row: SeenPlatform = { platform, firstSeen: known?.firstSeen ?? now.toISOString(), lastSeen: now.toISOString(), services };
    this.#seen.set(id, row);
    await this.#database.transact((tx) => tx.put({ kind: KIND, id }, row));
  }
}

/** A provider that hides its chips behind a VLEK has one row for each product and TCB. */
function rowId(platform: Platform): string {
  if (platform.kind !== "snp" || platform.signingKey === "VCEK") return `${platform.kind} ${platform.id}`;
  return `${platform.kind} ${platform.id} ${platform.product} ${Object.values(platform.reportedTcb).join(".")}`;
}
