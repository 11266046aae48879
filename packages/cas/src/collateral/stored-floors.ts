import type { EvaluationFloors } from "@vouchsafe/collateral";
import type { Database } from "../database/database.ts";

interface FloorRow {
  readonly evaluationNumber: number;
}

const KIND = "collateral-floor";

/** Floors in the CAS's own database: a cache directory that was rolled back cannot lower them (hazard A6). */
export async function openStoredFloors(database: Database): Promise<EvaluationFloors> {
  const floors = new Map<string, number>();
  for (const id of database.ids(KIND)) floors.set(id, (await database.get<FloorRow>({ kind: KIND, id }))?.evaluationNumber ?? 0);
  return {
    get: (key) => floors.get(key) ?? 0,
    raise: async (key, evaluationNumber) => {
      if (evaluationNumber <= (floors.get(key) ?? 0)) return;
      floors.set(key, evaluationNumber); // at once: a second document must not pass while this one is being written
      await database.transact(async (tx) => {
        const stored = (await tx.get<FloorRow>({ kind: KIND, id: key }))?.evaluationNumber ?? 0;
        if (evaluationNumber > stored) tx.put({ kind: KIND, id: key }, { evaluationNumber } satisfies FloorRow);
      });
    },
  };
}
