import { type KeyObject, verify, X509Certificate } from "node:crypto";
import {
  appendLeaf,
  EMPTY_EDGE,
  LogError,
  leafHash,
  type NoteVerifier,
  openCheckpoint,
  parseVerifierKey,
  rootOf,
  type TreeEdge,
} from "@vouchsafe/attestation";
import { z } from "zod";
import { logKeyMessage, logOrigin } from "./log-signer.ts";

/** What is known besides the file. */
export interface LogExpectations {
  /** Key hash of the CAS whose log this is. */
  readonly casKeyHash: string;
  /** Verifier keys of that CAS's log: asked from it, or proven by the chain in the log itself. */
  readonly verifierKeys: readonly string[];
  /** Signed checkpoints that the CAS gave now; the newest one is its latest position. Undefined: the CAS was not asked. */
  readonly checkpoints: readonly string[] | undefined;
  /** Number of entries before this file, for rotated files (C-88). */
  readonly predecessor?: number;
  /** Sequence that the file must end with or reach (C-88). */
  readonly last?: number;
}

/** Exit codes of `verify-audit-log` (cas.md §15), most severe first. */
export type LogExit = 20 | 19 | 18 | 17 | 16 | 15 | 14 | 10 | 0;

export interface LogVerdict {
  readonly exit: LogExit;
  readonly reasons: readonly string[];
  readonly entries: readonly LogEntry[];
}

const LogEntry = z.strictObject({ sequence: z.int().min(1), time: z.string(), cas: z.string(), event: z.string(), data: z.json() });
export type LogEntry = z.infer<typeof LogEntry>;
/** `edge`: roots of the complete subtrees of the tree that the checkpoint signs, largest first. */
const CheckpointLine = z.strictObject({ checkpoint: z.string(), edge: z.array(z.base64().length(44)).max(53) });

type Line =
  | { readonly kind: "entry"; readonly entry: LogEntry; readonly text: string }
  | { readonly kind: "checkpoint"; readonly note: string; readonly edge: readonly Uint8Array[] };

interface Checkpoint {
  readonly size: number;
  readonly root: Uint8Array;
}

interface Finding {
  readonly exit: Exclude<LogExit, 0>;
  readonly reason: string;
}

/** Verifies a log file against what its CAS says now (C-81). Pure. */
export function verifyAuditLog(text: string, expected: LogExpectations): LogVerdict {
  const lines = parseLines(text);
  if ("exit" in lines) return { exit: lines.exit, reasons: [lines.reason], entries: [] };
  const findings: Finding[] = [];
  const walk = new LogWalk(expected, findings);
  for (const line of lines) {
    if (line.kind === "entry") walk.entry(line.entry, line.text);
    else walk.checkpoint(line.note, line.edge);
  }
  walk.finish();
  const ordered = findings.toSorted((a, b) => b.exit - a.exit);
  return { exit: ordered[0]?.exit ?? 0, reasons: ordered.map(({ reason }) => reason), entries: walk.entries };
}

/** Rebuilds the tree line by line, and compares it with every checkpoint. */
class LogWalk {
  readonly #expected: LogExpectations;
  readonly #findings: Finding[];
  readonly #verifiers: readonly NoteVerifier[];
  readonly #texts: string[] = [];
  readonly entries: LogEntry[] = [];
  /** Entries before those of `#texts`. */
  #offset: number | undefined;
  /** The tree at `#offset`: empty, or as a checkpoint of the log gave it. Undefined: nothing can be compared with a checkpoint yet. */
  #edge: TreeEdge | undefined;
  /** How far `#rootAt` came: checkpoints stand in ascending order. */
  #walked: TreeEdge | undefined;
  #cas: string | undefined;
  /** Entries up to here are pinned by a checkpoint. */
  #pinned = 0;

  constructor(expected: LogExpectations, findings: Finding[]) {
    this.#expected = expected;
    this.#findings = findings;
    this.#verifiers = expected.verifierKeys.map(parseVerifierKey);
  }

  entry(entry: LogEntry, text: string): void {
    this.#cas ??= entry.cas;
    if (entry.cas !== this.#cas) this.#find(19, `entry ${entry.sequence} was written by ${entry.cas}, the ones before by ${this.#cas}`);
    if (this.#offset === undefined) this.#start(entry.sequence);
    const expectedNext = this.#end + 1;
    if (entry.sequence > expectedNext) {
      this.#find(17, `entries ${expectedNext} to ${entry.sequence - 1} are missing`);
      this.#edge = undefined;
      this.#restart(entry.sequence - 1);
    } else if (entry.sequence < expectedNext) this.#fork(entry.sequence, expectedNext - entry.sequence);
    this.#texts.push(text);
    this.entries.push(entry);
  }

  /** A checkpoint that stands in the log, with the edge of its tree. */
  checkpoint(note: string, hashes: readonly Uint8Array[]): void {
    const checkpoint = this.#open(note, "the log");
    if (checkpoint === undefined) return;
    const { size, root } = checkpoint;
    const edge = { size, hashes };
    if (!isEdgeOf(edge, root)) this.#find(20, `the subtrees beside the checkpoint of ${size} entries do not lead to it`);
    else if (this.#offset === undefined) this.#begin(edge);
    else if (size > this.#end) this.#find(17, `a checkpoint covers ${size} entries, the log before it ends with ${this.#end}`);
    else if (this.#edge === undefined && size === this.#end) this.#begin(edge);
    else if (this.#isRoot(size, root) === false) this.#find(20, `the entries up to ${size} do not lead to the checkpoint of the log`);
  }

  /** What the CAS signs now about the log as it was. */
  #compare({ size, root }: Checkpoint): void {
    if (size <= this.#end && this.#isRoot(size, root) === false)
      this.#find(18, `the CAS has other entries up to ${size}: it was rolled back, or the log was changed`);
  }

  /** What follows can be compared with checkpoints from here on; entries of the file before cannot. */
  #begin(edge: TreeEdge): void {
    if (this.#offset === undefined) this.#start(edge.size + 1);
    if (this.#texts.length > 0) this.#find(16, `no checkpoint before them covers the entries ${(this.#offset ?? 0) + 1} to ${edge.size}`);
    this.#edge = edge;
    this.#pinned = edge.size;
  }

  /** Number of the last entry. */
  get #end(): number {
    return (this.#offset ?? 0) + this.#texts.length;
  }

  /** Whether the tree had this root; undefined where that cannot be known. What has it is pinned. */
  #isRoot(size: number, root: Uint8Array): boolean | undefined {
    const found = this.#rootAt(size);
    if (found === undefined) return undefined;
    if (Buffer.compare(found, root) !== 0) return false;
    this.#pinned = Math.max(this.#pinned, size);
    return true;
  }

  finish(): void {
    const { checkpoints, last } = this.#expected;
    const end = this.#end;
    if (checkpoints === undefined) {
      this.#find(16, "the CAS was not asked for its position, so a roll-back cannot be excluded");
      if (this.#pinned < end) this.#find(16, `no checkpoint in the log covers the entries after ${this.#pinned}: nobody signed them`);
    }
    if (checkpoints !== undefined) this.#compareWithCas(checkpoints, end);
    if (last !== undefined && end < last) this.#find(14, `the log ends with entry ${end}, expected ${last}`);
  }

  #compareWithCas(checkpoints: readonly string[], end: number): void {
    const positions = checkpoints.flatMap((note) => this.#open(note, "the CAS") ?? []);
    const latest = Math.max(0, ...positions.map(({ size }) => size));
    if (positions.length === 0) this.#find(16, "the CAS gave no checkpoint");
    else if (end > latest) this.#find(18, `the CAS ends with entry ${latest}, the log with ${end}: the CAS was rolled back`);
    else if (end < latest && this.#expected.last === undefined)
      this.#find(14, `the newest entries are missing: the CAS has ${latest}, the log ${end}`);
    for (const position of positions) this.#compare(position);
    if (this.#pinned < Math.min(end, latest)) this.#find(16, `no checkpoint of the CAS covers the entries after ${this.#pinned}`);
  }

  #start(first: number): void {
    const offset = this.#expected.predecessor ?? 0;
    this.#offset = first - 1;
    if (first === 1) this.#edge = EMPTY_EDGE;
    if (first - 1 !== offset) this.#find(15, `the log begins with entry ${first}, expected ${offset + 1}`);
  }

  /** The numbers go on from here. */
  #restart(offset: number): void {
    this.#offset = offset;
    this.#walked = undefined;
    this.#texts.length = 0;
  }

  #fork(sequence: number, length: number): void {
    if (sequence <= this.#pinned) this.#find(18, `entry ${sequence} is there twice, and a checkpoint covered the first one: roll-back`);
    else if (length > 1) this.#find(18, `entries ${sequence} to ${sequence + length - 1} are there in two versions: roll-back`);
    else this.#find(10, `entry ${sequence} is there twice: its first version was not committed`);
    this.#texts.length = Math.max(0, sequence - 1 - (this.#offset ?? 0));
    this.#walked = undefined;
    this.entries.length = Math.max(0, this.entries.length - length);
  }

  #open(note: string, source: string): Checkpoint | undefined {
    try {
      const { checkpoint } = openCheckpoint(note, this.#verifiers);
      if (checkpoint.origin === logOrigin(this.#expected.casKeyHash)) return { size: Number(checkpoint.size), root: checkpoint.root };
      this.#find(19, `a checkpoint of ${source} belongs to ${checkpoint.origin}`);
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      const isForeign = error.code === "LOG_SIGNATURE" && !note.includes(logOrigin(this.#expected.casKeyHash));
      this.#find(isForeign ? 19 : 20, `a checkpoint of ${source}: ${error.message}`);
    }
    return undefined;
  }

  #rootAt(size: number): Uint8Array | undefined {
    const offset = this.#offset ?? 0;
    if (this.#edge === undefined || size < offset) return undefined;
    let edge = this.#walked !== undefined && this.#walked.size <= size ? this.#walked : this.#edge;
    for (const text of this.#texts.slice(edge.size - offset, size - offset)) edge = appendLeaf(edge, leafHash(Buffer.from(text))).edge;
    this.#walked = edge;
    return rootOf(edge);
  }

  #find(exit: Finding["exit"], reason: string): void {
    this.#findings.push({ exit, reason });
  }
}

/** As many subtrees as `size` has one bits, which together give the root. */
function isEdgeOf(edge: TreeEdge, root: Uint8Array): boolean {
  const ones = [...edge.size.toString(2)].filter((bit) => bit === "1").length;
  return edge.hashes.length === ones && Buffer.compare(rootOf(edge), root) === 0;
}

function parseLines(text: string): readonly Line[] | Finding {
  const lines: Line[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const parsed = parseLine(line);
    if (parsed === undefined) return { exit: 20, reason: `line ${at + 1} is neither an entry nor a checkpoint` };
    lines.push(parsed);
  }
  return lines.length === 0 ? { exit: 20, reason: "the log is empty" } : lines;
}

/** The entries of a log, as they stand there; lines that are no entries are passed over. Nothing is verified. */
export function parseLogEntries(text: string): readonly LogEntry[] {
  return text.split("\n").flatMap((line) => {
    const parsed = parseLine(line);
    return parsed?.kind === "entry" ? [parsed.entry] : [];
  });
}

function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // the caller names the line
  }
  const checkpoint = CheckpointLine.safeParse(value);
  if (checkpoint.success) {
    const { checkpoint: note, edge } = checkpoint.data;
    return { kind: "checkpoint", note, edge: edge.map((hash) => Uint8Array.fromBase64(hash)) };
  }
  const entry = LogEntry.safeParse(value);
  return entry.success ? { kind: "entry", entry: entry.data, text } : undefined;
}

const Binding = z.looseObject({
  verifierKey: z.string().max(512),
  signature: z.base64().max(256),
  chain: z.array(z.string()).max(3).optional(),
});

/**
 * Log keys that the log itself proves: signed by a software key whose certificate the CAS key issued (C-87). For verification without a
 * connection to the CAS.
 */
export function provenLogKeys(text: string, casCertificatePem: string): readonly string[] {
  const casKey = new X509Certificate(casCertificatePem).publicKey;
  const bindings: z.infer<typeof Binding>[] = [];
  const softwareKeys: KeyObject[] = [];
  for (const { data } of parseLogEntries(text)) {
    const binding = Binding.safeParse(data);
    if (!binding.success) continue;
    bindings.push(binding.data);
    const certificate = readCertificate(binding.data.chain?.[1]);
    if (certificate?.ca === true && certificate.verify(casKey)) softwareKeys.push(certificate.publicKey);
  }
  const proven = bindings.filter(({ verifierKey, signature }) =>
    softwareKeys.some((key) => verify("sha256", logKeyMessage(verifierKey), key, Buffer.from(signature, "base64"))),
  );
  return [...new Set(proven.map(({ verifierKey }) => verifierKey))];
}

/** Undefined for what is none: it proves nothing, and a log may say anything. */
function readCertificate(pem: string | undefined): X509Certificate | undefined {
  try {
    return new X509Certificate(pem ?? "");
  } catch {
    return undefined;
  }
}
