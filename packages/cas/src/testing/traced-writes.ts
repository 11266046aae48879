import { basename, dirname } from "node:path";

/** What a process did to its files, as `strace -f -y -xx` tells, in order. */
export type FileEvent =
  | { readonly kind: "write"; readonly file: string; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  | { readonly kind: "unlink"; readonly file: string }
  /** Everything written to the file so far is on disk; of a directory: which files it has. */
  | { readonly kind: "sync"; readonly file: string }
  | { readonly kind: "said"; readonly text: string };

/** System calls that must be traced for `readTrace`. */
export const TRACED_CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink";

const bytesOf = (text: string): Buffer => Buffer.from(text.replaceAll("\\x", ""), "hex");

/** Reads the trace of a process of which only files in `directory`, the directory itself (`.`) and standard output count. */
export function readTrace(trace: string, directory: string): FileEvent[] {
  return joinResumed(trace).flatMap((line): FileEvent[] => {
    const call = /^\d+\s+(\w+)\((.*)\)\s+=\s+(-?\d+)/.exec(line);
    const [, name = "", args = "", result = ""] = call ?? [];
    if (call === null || result.startsWith("-")) return [];
    if (name === "unlink")
      return inside(bytesOf(/^"([^"]*)"/.exec(args)?.[1] ?? "").toString(), directory, (file) => ({ kind: "unlink", file }));
    const [, descriptor, path = ""] = /^(\d+)<([^>]*)>/.exec(args) ?? [];
    const bytes = bytesOf(/"([^"]*)"/.exec(args)?.[1] ?? "");
    if (name === "write") return descriptor === "1" ? [{ kind: "said", text: bytes.toString() }] : [];
    const last = Number(/, (\d+)$/.exec(args)?.[1]);
    return inside(bytesOf(path).toString(), directory, (file) => {
      if (name === "pwrite64") return { kind: "write", file, offset: last, bytes };
      if (name === "ftruncate") return { kind: "truncate", file, size: last };
      return { kind: "sync", file };
    });
  });
}

function inside(path: string, directory: string, event: (file: string) => FileEvent): FileEvent[] {
  if (path === directory) return [event(".")];
  return dirname(path) === directory ? [event(basename(path))] : [];
}

/** A call that another thread interrupted stands on two lines. */
function joinResumed(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split("\n").flatMap((line) => {
    const pid = /^\d+/.exec(line)?.[0] ?? "";
    if (line.endsWith("<unfinished ...>")) {
      begun.set(pid, line.slice(0, -"<unfinished ...>".length).trimEnd());
      return [];
    }
    const resumed = /^\d+\s+<\.\.\. \w+ resumed>(.*)$/.exec(line);
    return [resumed === null ? line : `${begun.get(pid) ?? ""}${resumed[1]}`];
  });
}

/** Contents of the files after a power cut. */
export type DiskState = ReadonlyMap<string, Buffer>;

type Change = Exclude<FileEvent, { kind: "sync" | "said" }>;

/**
 * Every state in which a power cut after the first `count` events may leave the disk, as far as one in a few: what was synced is there; of the
 * rest nothing, everything, each beginning, all but one, one alone, and half of the last write.
 */
export function* statesAfter(events: readonly FileEvent[], count: number): Iterable<DiskState> {
  const durable: Change[] = [];
  let pending: Change[] = [];
  for (const event of events.slice(0, count)) {
    if (event.kind === "said") continue;
    if (event.kind !== "sync") {
      pending.push(event);
      continue;
    }
    const isKept = (each: Change) => (each.kind === "unlink" ? event.file === "." : event.file === each.file);
    durable.push(...pending.filter(isKept));
    pending = pending.filter((each) => !isKept(each));
  }
  yield apply([...durable, ...pending]);
  for (let length = 0; length < pending.length; length += 1) {
    yield apply([...durable, ...pending.slice(0, length)]);
    yield apply([...durable, ...pending.toSpliced(length, 1)]);
    yield apply([...durable, ...pending.slice(length, length + 1)]);
  }
  const last = pending.findLastIndex(({ kind }) => kind === "write");
  const torn = pending[last];
  if (torn?.kind === "write")
    yield apply([...durable, ...pending.with(last, { ...torn, bytes: torn.bytes.subarray(0, torn.bytes.length >> 1) })]);
}

function apply(events: readonly Change[]): DiskState {
  const files = new Map<string, Buffer>();
  for (const event of events) {
    const before = files.get(event.file) ?? Buffer.alloc(0);
    if (event.kind === "unlink") files.delete(event.file);
    else if (event.kind === "truncate")
      files.set(event.file, Buffer.concat([before, Buffer.alloc(Math.max(0, event.size - before.length))]).subarray(0, event.size));
    else {
      const end = event.offset + event.bytes.length;
      const next = Buffer.alloc(Math.max(before.length, end));
      before.copy(next);
      event.bytes.copy(next, event.offset);
      files.set(event.file, next);
    }
  }
  return files;
}
