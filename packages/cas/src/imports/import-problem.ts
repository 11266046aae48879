import type { ImportRefusal } from "@vouchsafe/secrets";

export interface ImportNames {
  /** The exporting session, with its CAS where that is another one. */
  readonly session: string;
  readonly secret: string;
  readonly importer: string;
}

/** Why an import has no value, for whoever runs the importing service (SL-145). */
export function importProblem(reason: ImportRefusal, { session, secret, importer }: ImportNames): string {
  switch (reason) {
    case "secret missing":
      return `session ${session} has no secret ${secret}`;
    case "not exported":
      return `session ${session} does not export ${secret} to ${importer}`;
    case "hash differs":
      return `session ${session} or session ${importer} does not have the hash that the other one names`;
    case "kind differs":
      return `secret ${secret} of session ${session} is of another kind than ${importer} expects`;
    case "no value":
      return `secret ${secret} of session ${session} has no value yet`;
    default:
      return reason satisfies never;
  }
}
