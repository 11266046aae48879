import type { CollateralRequest } from "../collateral-request.ts";

/** The highest TCB evaluation number seen of each document: an older evaluation hides newer findings and is refused (hazard A6). */
export interface EvaluationFloors {
  get(key: string): number;
  /** Never lowers. */
  raise(key: string, evaluationNumber: number): Promise<void>;
}

/** Floors of one process. */
export function memoryFloors(): EvaluationFloors {
  const floors = new Map<string, number>();
  return {
    get: (key) => floors.get(key) ?? 0,
    raise: async (key, evaluationNumber) => void floors.set(key, Math.max(floors.get(key) ?? 0, evaluationNumber)),
  };
}

/** Early and standard set each have their own: the early one is ahead by intention. Undefined for documents without evaluation numbers. */
export function floorKey(request: CollateralRequest): string | undefined {
  if (request.kind === "tcb-info") return `${request.tee}/tcb-info/${request.fmspc}/${request.update}`;
  return request.kind === "qe-identity" ? `${request.tee}/qe-identity/${request.update}` : undefined;
}
