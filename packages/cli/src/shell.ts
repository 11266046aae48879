/** What a command may use of the process: everything else it gets as options. Commands are functions `(options, shell) → exit code`. */
export interface Shell {
  /** Name under which the program was called. */
  readonly program: "vouchsafe" | "sconectl" | "scone";
  /** Writes one piece of the result to standard output; a line end is added. */
  readonly out: (text: string) => void;
  /** Writes bytes to standard output, as they are. */
  readonly outBytes: (bytes: Uint8Array) => void;
  /** Writes progress, warnings and errors to standard error; a line end is added. */
  readonly note: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The current directory. */
  readonly directory: string;
  /** Directory of the client's CAS state (CL-8), absolute. */
  readonly casConfig: string;
  readonly readInput: () => Promise<Uint8Array>;
  /** Whether standard error takes colours (CL-10). */
  readonly colour: boolean;
  /** Whether standard error is a terminal. */
  readonly isTerminal: boolean;
  /** Whether standard output is a terminal. */
  readonly isOutTerminal: boolean;
  /** Ends with the process: SIGINT, SIGTERM. */
  readonly signal: AbortSignal;
}

/** Exit statuses (CL-40). */
export const ExitCode = { ok: 0, failed: 1, usage: 2, refused: 3 } as const;
