import type { Database } from "../database/database.ts";
import type { RowKey } from "../store/row-store.ts";

/** For what an instance was registered: to take over the database, or to take it to a new version of the software. */
export type Purpose = "backup" | "upgrade";

/** Another instance of the CAS that may open the database of this one (C-74, C-78). */
export interface Registration {
  readonly purpose: Purpose;
  /** Its address unless the owner gave a name; registering the same name again replaces. */
  readonly name: string;
  readonly address: string;
  /** As attested. */
  readonly instanceKey: string;
  readonly version: string;
  readonly securityVersion: number;
  /** Kind of the evidence that it was judged by; absent where the owner vouched by its key. */
  readonly evidence?: string;
  readonly at: string;
}

const KIND = "registration";

export const registrationKey = ({ purpose, name }: Pick<Registration, "purpose" | "name">): RowKey => ({
  kind: KIND,
  id: `${purpose} ${name}`,
});

/** All registrations, sorted by purpose and name. */
export async function readRegistrations(database: Database): Promise<Registration[]> {
  const found: Registration[] = [];
  for (const id of [...database.ids(KIND)].toSorted()) {
    const registration = await database.get<Registration>({ kind: KIND, id });
    if (registration !== undefined) found.push(registration);
  }
  return found;
}
