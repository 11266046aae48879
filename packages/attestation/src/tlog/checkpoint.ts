import { LogError } from "./log-error.ts";
import { type NoteVerifier, type OpenedNote, openNote } from "./signed-note.ts";

/** State of a log at one moment (C2SP tlog-checkpoint). */
export interface Checkpoint {
  /** Unique name of the log. */
  readonly origin: string;
  readonly size: bigint;
  /** SHA-256 root of the Merkle tree over the first `size` entries. */
  readonly root: Uint8Array;
  readonly extensions: readonly string[];
}

export interface OpenedCheckpoint extends OpenedNote {
  readonly checkpoint: Checkpoint;
}

/** Text of a checkpoint, ready to be signed as a note. */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  if (root.length !== 32 || size < 0n || [origin, ...extensions].some((line) => line === "" || line.includes("\n"))) {
    throw new TypeError("a checkpoint has an origin, a size, a root of 32 bytes, and extension lines that are not empty");
  }
  return `${[origin, String(size), root.toBase64(), ...extensions].join("\n")}\n`;
}

/** Reads the text of an opened note. Throws LOG_MALFORMED. */
export function parseCheckpoint(text: string): Checkpoint {
  const malformed = (detail: string) => new LogError("LOG_MALFORMED", `checkpoint: ${detail}`);
  if (!text.endsWith("\n")) throw malformed("the last line has no newline");
  const [origin, size, root, ...extensions] = text.slice(0, -1).split("\n");
  if (!origin) throw malformed("the origin is empty");
  if (size === undefined || !/^(?:0|[1-9][0-9]{0,19})$/.test(size)) throw malformed("the second line is not a tree size");
  // The last character of 43 carries four bits of the hash and two that must be zero: one root has one spelling.
  if (root === undefined || !/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(root))
    throw malformed("the third line is not a root hash of 32 bytes");
  if (extensions.some((line) => line === "")) throw malformed("an extension line is empty");
  return { origin, size: BigInt(size), root: Uint8Array.fromBase64(root), extensions };
}

/** Opens a signed checkpoint; see {@link openNote} for what the verifiers mean. */
export function openCheckpoint(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedCheckpoint {
  const opened = openNote(note, verifiers);
  return { ...opened, checkpoint: parseCheckpoint(opened.text) };
}
