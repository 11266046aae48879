import { parseOwnerConfig } from "../config/owner-config.ts";
import type { Database } from "../database/database.ts";
import { type ProvisioningRecord, RECORD_KEY } from "../provisioning/provisioning.ts";
import type { Access } from "../sealing/key-ring.ts";
import { readRegistrations } from "./registration.ts";

/** Who may open this database, as it says itself: registered instances, and holders of recovery keys. */
export async function readAccess(database: Database): Promise<Access> {
  const record = await database.get<ProvisioningRecord>(RECORD_KEY);
  const recovery = record === undefined ? undefined : parseOwnerConfig(record.config, "owner configuration").recovery;
  return { instances: await readRegistrations(database), recovery };
}
