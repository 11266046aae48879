import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { formatCasAddress } from "@vouchsafe/protocol";
import type { CasOptions } from "../start-cas.ts";
import { createTestClient, startTestCas, type TestCas, type TestClient } from "./test-cas.ts";

/** A CAS that waits on another machine: without owner, with a platform key of its own. */
export function startWaitingCas(t: TestContext, options: Partial<CasOptions> = {}): Promise<TestCas> {
  return startTestCas(t, { selfProvision: undefined, nodeKeys: [], ...options });
}

/** A CAS with an owner. */
export async function startOwnedCas(t: TestContext, options: Partial<CasOptions> = {}): Promise<{ cas: TestCas; owner: TestClient }> {
  const owner = createTestClient();
  const cas = await startTestCas(t, {
    selfProvision: { config: "", owner: { keyHash: owner.keyHash, pem: owner.certificate } },
    ...options,
  });
  return { cas, owner };
}

/** What the owner says to register a running CAS that no hardware protects. */
export function registrationOf({ running }: TestCas): { readonly address: string; readonly casKeyHash: string } {
  return { address: formatCasAddress(running.clientAddress), casKeyHash: running.casKeyHash };
}

/** Platform key of the machine of this CAS. */
export const platformKeyOf = ({ directory }: TestCas): string => join(directory, "platform", "key");

/** Copies database and key store of a stopped CAS, or of a snapshot, into a folder of the other machine; returns the path of the database there. */
export function carryDatabase(from: string, machine: TestCas, folder: string): string {
  const directory = join(machine.directory, folder);
  mkdirSync(directory);
  for (const name of readdirSync(from)) if (name.startsWith("cas.")) cpSync(join(from, name), join(directory, name));
  return join(directory, "cas.db");
}
