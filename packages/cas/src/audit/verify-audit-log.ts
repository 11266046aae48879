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
const CheckpointLine = z.strictObject({ checkpoint: z.string() });

type Line =
  | { readonly kind: "entry"; readonly entry: LogEntry; readonly text: string }
  | { readonly kind: "checkpoint"; readonly note: string };

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
    else walk.checkpoint(line.note, "the log");
  }
  walk.finish();
  const worst = findings.reduce<Finding | undefined>(
    (found, next) => (found === undefined || next.exit > found.exit ? next : found),
    undefined,
  );
  const reasons = findings.toSorted((a, b) => b.exit - a.exit).map(({ reason }) => reason);
  return { exit: worst?.exit ?? 0, reasons, entries: walk.entries };
}

/** Rebuilds the tree line by line, and compares it with every checkpoint. */
class LogWalk {
  readonly #expected: LogExpectations;
  readonly #findings: Finding[];
  readonly #verifiers: readonly NoteVerifier[];
  readonly #texts: string[] = [];
  readonly entries: LogEntry[] = [];
  #offset: number | undefined;
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
    const expectedNext = (this.#offset ?? 0) + this.#texts.length + 1;
    if (entry.sequence > expectedNext) {
      this.#find(17, `entries ${expectedNext} to ${entry.sequence - 1} are missing`);
      this.#restart(entry.sequence - 1);
    } else if (entry.sequence < expectedNext) this.#fork(entry.sequence, expectedNext - entry.sequence);
    this.#texts.push(text);
    this.entries.push(entry);
  }

  checkpoint(note: string, source: string): void {
    const checkpoint = this.#open(note, source);
    if (checkpoint === undefined) return;
    const { size, root } = checkpoint;
    const offset = this.#offset ?? 0;
    if (size < offset || this.#offset !== 0) return; // begins later: nothing to compare with, see `finish`
    if (size > offset + this.#texts.length) {
      if (source === "the log") this.#find(17, `a checkpoint covers ${size} entries, the log before it has ${this.#texts.length}`);
      return;
    }
    if (Buffer.compare(this.#rootAt(size), root) === 0) this.#pinned = Math.max(this.#pinned, size);
    else if (source === "the log") this.#find(20, `the entries up to ${size} do not lead to the checkpoint of ${source}`);
    else this.#find(18, `the CAS has other entries up to ${size}: it was rolled back, or the log was changed`);
  }

  finish(): void {
    const { checkpoints, last } = this.#expected;
    const end = (this.#offset ?? 0) + this.#texts.length;
    if (checkpoints === undefined) this.#find(16, "the CAS was not asked for its position, so a roll-back cannot be excluded");
    else this.#compareWithCas(checkpoints, end);
    if (last !== undefined && end < last) this.#find(14, `the log ends with entry ${end}, expected ${last}`);
  }

  #compareWithCas(checkpoints: readonly string[], end: number): void {
    const positions = checkpoints.flatMap((note) => this.#open(note, "the CAS") ?? []);
    const latest = Math.max(0, ...positions.map(({ size }) => size));
    if (positions.length === 0) this.#find(16, "the CAS gave no checkpoint");
    else if (end > latest) this.#find(18, `the CAS ends with entry ${latest}, the log with ${end}: the CAS was rolled back`);
    else if (end < latest && this.#expected.last === undefined)
      this.#find(14, `the newest entries are missing: the CAS has ${latest}, the log ${end}`);
    for (const note of checkpoints) this.checkpoint(note, "the CAS");
    if (this.#offset === 0 && this.#pinned < Math.min(end, latest))
      this.#find(16, `no checkpoint of the CAS covers the entries after ${this.#pinned}`);
  }

  #start(first: number): void {
    const offset = this.#expected.predecessor ?? 0;
    this.#offset = first - 1;
    if (first - 1 !== offset) this.#find(15, `the log begins with entry ${first}, expected ${offset + 1}`);
  }

  /** The numbers go on behind a gap; what follows cannot be compared with a tree any more. */
  #restart(offset: number): void {
    this.#offset = offset;
    this.#texts.length = 0;
  }

  #fork(sequence: number, length: number): void {
    if (sequence <= this.#pinned) this.#find(18, `entry ${sequence} is there twice, and a checkpoint covered the first one: roll-back`);
    else if (length > 1) this.#find(18, `entries ${sequence} to ${sequence + length - 1} are there in two versions: roll-back`);
    else this.#find(10, `entry ${sequence} is there twice: its first version was not committed`);
    this.#texts.length = Math.max(0, sequence - 1 - (this.#offset ?? 0));
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

  #rootAt(size: number): Uint8Array {
    let edge: TreeEdge = EMPTY_EDGE;
    for (const text of this.#texts.slice(0, size)) edge = appendLeaf(edge, leafHash(Buffer.from(text))).edge;
    return rootOf(edge);
  }

  #find(exit: Finding["exit"], reason: string): void {
    this.#findings.push({ exit, reason });
  }
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

function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // the caller names the line
  }
  const checkpoint = CheckpointLine.safeParse(value);
  if (checkpoint.success) return { kind: "checkpoint", note: checkpoint.data.checkpoint };
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
  for (const line of text.split("\n")) {
    const parsed = parseLine(line);
    const binding = parsed?.kind === "entry" ? Binding.safeParse(parsed.entry.data) : undefined;
    if (binding?.success !== true) continue;
    bindings.push(binding.data);
    const software = binding.data.chain?.[1];
    if (software === undefined) continue;
    const certificate = new X509Certificate(software);
    if (certificate.ca && certificate.verify(casKey)) softwareKeys.push(certificate.publicKey);
  }
  const proven = bindings.filter(({ verifierKey, signature }) =>
    softwareKeys.some((key) => verify("sha256", logKeyMessage(verifierKey), key, Buffer.from(signature, "base64"))),
  );
  return [...new Set(proven.map(({ verifierKey }) => verifierKey))];
}
