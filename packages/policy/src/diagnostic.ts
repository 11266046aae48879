/** What is wrong with a document, and where. Every field is safe to print: secret values are masked before they get here (SL-5). */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** Rule of the language reference, e.g. `SL-12`. */
  readonly rule: string;
  readonly file: string;
  /** Dotted, with list indices: `services[0].attestation[1].signer`. Empty for the document itself. */
  readonly path: string;
  /** From 1, columns in Unicode code points (SL-3). */
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  /** What was found. */
  readonly message: string;
  /** What is allowed. Empty when the message says it all. */
  readonly expected: string;
  /** The remedy, for instance `did you mean …?`. Empty when there is none. */
  readonly hint: string;
  /** The source line holds a secret and is not shown (SL-5). */
  readonly hidden: boolean;
}
