import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isIPv4 } from "node:net";

/** One TCP connection as one of its ends sees it. */
export interface Connection {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot: with the PID it names a process for ever, also after the PID was given to another (hazard I4). */
  readonly startTime: string;
}

/**
 * Processes of this machine that hold the given end of a connection, as the kernel's tables say. The caller cannot choose the answer: an
 * address and port pair is in use once in a network namespace, and a socket's inode number once on the machine.
 *
 * Empty: no process of this machine holds it. Throws if two network namespaces both claim the connection, since then nothing is certain.
 *
 * The kernel walks its whole hash table for each namespace's list of connections, so only namespaces that have the address are asked for theirs.
 */
export function findConnectionOwners(connection: Connection, proc = "/proc"): readonly ProcessIdentity[] {
  const namespaces = new Map<string, number[]>();
  for (const pid of listProcesses(proc)) {
    const namespace = quietly(() => readlinkSync(`${proc}/${pid}/ns/net`));
    if (namespace === undefined) continue; // ended meanwhile, or a kernel thread
    namespaces.set(namespace, [...(namespaces.get(namespace) ?? []), pid]);
  }
  const found: { readonly inode: string; readonly pids: readonly number[] }[] = [];
  for (const pids of namespaces.values()) {
    if (!mayHaveAddress(connection.localAddress, pids, proc)) continue;
    const inode = findInode(connection, pids, proc);
    if (inode !== undefined) found.push({ inode, pids });
  }
  const [only, another] = found;
  if (another !== undefined) throw new Error("two network namespaces claim the same connection");
  if (only === undefined) return [];
  return only.pids.flatMap((pid) => {
    const identity = identifyProcess(pid, proc);
    return identity !== undefined && holdsSocket(pid, only.inode, proc) ? [identity] : [];
  });
}

/** Start time of a process, undefined when it has ended. Proc(5): field 22 of `stat`, counted after the name, which may hold anything. */
export function identifyProcess(pid: number, proc = "/proc"): ProcessIdentity | undefined {
  const stat = quietly(() => readFileSync(`${proc}/${pid}/stat`, "latin1"));
  const startTime = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Id of the container in whose control group a process runs: runtimes name the group after it. Undefined outside a container. */
export function findContainerId(pid: number, proc = "/proc"): string | undefined {
  const groups = quietly(() => readFileSync(`${proc}/${pid}/cgroup`, "utf8"));
  const ids = new Set<string>();
  for (const line of groups?.split("\n") ?? []) {
    const id = /(?:^|[/-])([0-9a-f]{64})(?:\.scope)?$/.exec(line)?.[1];
    if (id !== undefined) ids.add(id);
  }
  const [only] = ids;
  return ids.size === 1 ? only : undefined;
}

/** An IPv4 address that stands in an IPv6 address, by itself. */
const withoutMapping = (address: string): string =>
  address.startsWith("::ffff:") && isIPv4(address.slice(7)) ? address.slice(7) : address;

/** False only where the kernel's list of a namespace's own addresses can be read and lacks this one. Loopback is everybody's as a whole network. */
function mayHaveAddress(address: string, pids: readonly number[], proc: string): boolean {
  const plain = withoutMapping(address);
  const read = (file: string) => firstDefined(pids, (pid) => quietly(() => readFileSync(`${proc}/${pid}/net/${file}`, "latin1")));
  if (isIPv4(plain))
    return (
      plain.startsWith("127.") ||
      (read("fib_trie")
        ?.split("\n")
        .some((line) => line.trim() === `|-- ${plain}`) ??
        true)
    );
  // Four words in the order of the network, where the tables of connections have them in the machine's.
  const [, words = ""] = addressSpellings(plain);
  const own = Buffer.from(words, "hex").swap32().toHex();
  return (
    read("if_inet6")
      ?.split("\n")
      .some((line) => line.startsWith(own)) ?? true
  );
}

function findInode(connection: Connection, pids: readonly number[], proc: string): string | undefined {
  const wanted = new Set(endpointSpellings(connection));
  for (const table of ["tcp", "tcp6"]) {
    // The tables of one namespace are the same for all its processes; the first that is still there will do.
    const text = firstDefined(pids, (pid) => quietly(() => readFileSync(`${proc}/${pid}/net/${table}`, "latin1")));
    for (const line of text?.split("\n").slice(1) ?? []) {
      const [, local = "", remote = "", state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === ESTABLISHED && inode !== undefined && inode !== "0" && wanted.has(`${local} ${remote}`)) return inode;
    }
  }
  return undefined;
}

const ESTABLISHED = "01";

/** How the kernel writes the two ends: as IPv4, and as IPv4 mapped into IPv6. It writes no end without an address. */
function endpointSpellings(connection: Connection): readonly string[] {
  const locals = addressSpellings(connection.localAddress);
  const remotes = addressSpellings(connection.remoteAddress);
  const port = (number: number) => number.toString(16).toUpperCase().padStart(4, "0");
  return locals.map((local, form) => `${local}:${port(connection.localPort)} ${remotes[form]}:${port(connection.remotePort)}`);
}

/** [IPv4 form or "", IPv6 form]. The kernel prints 32-bit words in the machine's byte order. */
function addressSpellings(address: string): readonly [string, string] {
  const plain = withoutMapping(address);
  if (isIPv4(plain)) {
    const word = hexWord(plain.split(".").map(Number));
    return [word, `0000000000000000${hexWord([0, 0, 0xff, 0xff])}${word}`];
  }
  const [head = "", tail] = plain.split("%")[0]?.split("::") ?? [];
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = tail === undefined ? front : [...front, ...Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
  const bytes = all.flatMap((group) => [group >> 8, group & 0xff]);
  return ["", [0, 4, 8, 12].map((at) => hexWord(bytes.slice(at, at + 4))).join("")];
}

const hexWord = (bytes: readonly number[]): string => Uint8Array.from(bytes).reverse().toHex().toUpperCase();

function holdsSocket(pid: number, inode: string, proc: string): boolean {
  const directory = `${proc}/${pid}/fd`;
  const files = quietly(() => readdirSync(directory)) ?? [];
  return files.some((file) => quietly(() => readlinkSync(`${directory}/${file}`)) === `socket:[${inode}]`);
}

function listProcesses(proc: string): readonly number[] {
  return readdirSync(proc).flatMap((name) => (/^[0-9]+$/.test(name) ? [Number(name)] : []));
}

function firstDefined<T, R>(values: readonly T[], read: (value: T) => R | undefined): R | undefined {
  for (const value of values) {
    const result = read(value);
    if (result !== undefined) return result;
  }
  return undefined;
}

/** Processes end while their files are read; such a file is then simply not there. */
function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
