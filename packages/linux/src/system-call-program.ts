import { closeSync, openSync, writeSync } from "node:fs";
import { createMemoryFile } from "./credentials.ts";
import { cString } from "./libc.ts";
import { MOUNT_FLAGS, type MountFlag } from "./mounts.ts";
import { NAMESPACE_FLAGS, type NamespaceKind } from "./namespaces.ts";

/*
 * A program of nothing but system calls. Node cannot make a user namespace (it has several threads) and is not there inside a container; a shell
 * with its tools would have to be. So the few dozen calls that turn a process into a container are compiled into a static ELF program of some
 * kilobytes that lives in memory only: straight-line code, one call after the other with constant arguments, no decision but "stop at the first
 * failure". Descriptor 3 is a socket to whoever starts it: the program reports there and waits there for a byte.
 */

/** An argument: a number, or text that is passed as the address of its NUL-terminated bytes, or the address of bytes as they are. */
type Argument = number | bigint | string | Uint8Array;

export type Step =
  | {
      readonly kind: "call";
      readonly name: string;
      readonly number: number;
      readonly arguments: readonly Argument[];
      readonly optional: boolean;
    }
  /** Sends one byte to the starter and goes on when one byte came back; the end of the socket is a failure. */
  | { readonly kind: "meet"; readonly name: string }
  /** The child goes on; the parent waits for it and ends with its exit status (128 and the signal's number where a signal ended it). */
  | { readonly kind: "fork" }
  | {
      readonly kind: "execute";
      readonly path: string;
      readonly argv: readonly string[];
      readonly environment: Readonly<Record<string, string>>;
    };

const NUMBERS = {
  mount: 165,
  umount2: 166,
  unshare: 272,
  chdir: 80,
  mkdir: 83,
  symlink: 88,
  mknod: 133,
  chown: 92,
  pivot_root: 155,
  sethostname: 170,
  prctl: 157,
  setgroups: 116,
  setresgid: 119,
  setresuid: 117,
  setsid: 112,
  umask: 95,
  fcntl: 72,
  capset: 126,
} as const;

const call = (syscall: keyof typeof NUMBERS, what: string, ...args: readonly Argument[]): Step => ({
  kind: "call",
  name: `${syscall} ${what}`.trimEnd(),
  number: NUMBERS[syscall],
  arguments: args,
  optional: false,
});

const REGULAR_FILE = 0o100_644;
const DETACH = 2;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const F_SETFD = 2;
const CAPABILITY_VERSION = 0x2008_0522;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;

/** The steps a program can consist of. */
export const step = {
  unshare: (...kinds: readonly NamespaceKind[]): Step =>
    call(
      "unshare",
      kinds.join(","),
      kinds.reduce((bits, kind) => bits | NAMESPACE_FLAGS[kind], 0),
    ),
  mount: (source: string, target: string, type: string, flags: readonly MountFlag[] = [], options = ""): Step => {
    const bits = flags.reduce((all, flag) => all | MOUNT_FLAGS[flag], 0n);
    return call("mount", `${type || flags.join(",")} at ${target}`, source, target, type, bits, options);
  },
  detach: (target: string): Step => call("umount2", target, target, DETACH),
  changeDirectory: (path: string): Step => call("chdir", path, path),
  makeDirectory: (path: string, mode: number): Step => call("mkdir", path, path, mode),
  /** An empty file, to mount another one over it. */
  makeFile: (path: string): Step => call("mknod", path, path, REGULAR_FILE, 0),
  makeLink: (path: string, target: string): Step => call("symlink", path, target, path),
  changeOwner: (path: string, uid: number, gid: number): Step => call("chown", path, path, uid, gid),
  /** The working directory becomes the root; the old root is stacked on it and can be detached as ".". */
  pivotHere: (): Step => call("pivot_root", "", ".", "."),
  setHostName: (name: string): Step => call("sethostname", name, name, Buffer.byteLength(name)),
  becomeUser: (uid: number, gid: number): Step[] => [
    call("setgroups", "", 0, 0),
    call("setresgid", String(gid), gid, gid, gid),
    call("setresuid", String(uid), uid, uid, uid),
  ],
  /**
   * Keeps these capabilities (numbers of linux/capability.h, below 32) and no others, also for an ordinary user and through the next execve:
   * they become permitted, effective, inheritable and ambient.
   */
  keepCapabilities: (...capabilities: readonly number[]): Step[] => {
    const header = new Uint8Array(8);
    new DataView(header.buffer).setUint32(0, CAPABILITY_VERSION, true);
    const sets = new Uint8Array(24);
    const bits = capabilities.reduce((all, one) => all | (1 << one), 0);
    for (const offset of [0, 4, 8]) new DataView(sets.buffer).setUint32(offset, bits, true);
    return [
      call("capset", "", header, sets),
      ...capabilities.map((one) => call("prctl", `PR_CAP_AMBIENT ${one}`, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0)),
    ];
  },
  /** Ends with whoever started it, even if that was killed. */
  dieWithParent: (): Step => call("prctl", "PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0),
  newSession: (): Step => call("setsid", ""),
  setMask: (mask: number): Step => call("umask", "", mask),
  /** Closes the socket to the starter when the next program begins. */
  closeOnExecute: (descriptor: number): Step => call("fcntl", String(descriptor), descriptor, F_SETFD, 1),
  meet: (name: string): Step => ({ kind: "meet", name }),
  fork: (): Step => ({ kind: "fork" }),
  execute: (path: string, argv: readonly string[], environment: Readonly<Record<string, string>>): Step => ({
    kind: "execute",
    path,
    argv,
    environment,
  }),
  /** The same step, whose failure does not matter. */
  optional: (one: Step): Step => (one.kind === "call" ? { ...one, optional: true } : one),
} as const;

const IMAGE_BASE = 0x40_0000n;
const CODE_OFFSET = 64 + 56;
const STATUS_DESCRIPTOR = 3;
const EXECVE = 59;
/** mov rdi|rsi|rdx|r10|r8|r9, imm64: where the kernel takes its arguments from. */
const ARGUMENT_MOVES = ["48bf", "48be", "48ba", "49ba", "49b8", "49b9"] as const;

/** Code and data while they grow. Addresses of data are known only when the code is complete, so they are filled in at the end. */
class Assembly {
  readonly #code: number[] = [];
  readonly #data: number[] = [];
  readonly #dataFixes: { readonly at: number; readonly offset: number }[] = [];
  readonly #pointerFixes: { readonly at: number; readonly offset: number }[] = [];
  readonly #jumps: { readonly at: number; readonly label: string }[] = [];
  readonly #labels = new Map<string, number>();

  emit(hex: string): void {
    this.#code.push(...Uint8Array.fromHex(hex));
  }
  emitUint(value: bigint, bytes: 4 | 8): void {
    for (let at = 0n; at < bytes; at++) this.#code.push(Number((BigInt.asUintN(64, value) >> (at * 8n)) & 0xffn));
  }
  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }
  /** A jump instruction with a 32-bit distance. */
  jump(hex: string, label: string): void {
    this.emit(hex);
    this.#jumps.push({ at: this.#code.length, label });
    this.emitUint(0n, 4);
  }
  /** Offset of bytes in the data. */
  place(bytes: Uint8Array): number {
    const offset = this.#data.length;
    this.#data.push(...bytes);
    return offset;
  }
  /** Offset of a NULL-terminated list of pointers to texts. */
  placeList(texts: readonly string[]): number {
    const offsets = texts.map((text) => this.place(cString(text)));
    while (this.#data.length % 8 !== 0) this.#data.push(0);
    const list = this.#data.length;
    for (const [index, offset] of offsets.entries()) this.#pointerFixes.push({ at: list + index * 8, offset });
    this.place(new Uint8Array(8 * (offsets.length + 1)));
    return list;
  }
  /** A 64-bit immediate operand that holds an address in the data. */
  emitAddress(offset: number): void {
    this.#dataFixes.push({ at: this.#code.length, offset });
    this.emitUint(0n, 8);
  }
  finish(): Uint8Array {
    while (this.#code.length % 8 !== 0) this.#code.push(0x90);
    const body = Buffer.from([...this.#code, ...this.#data]);
    const dataBase = IMAGE_BASE + BigInt(CODE_OFFSET + this.#code.length);
    for (const { at, offset } of this.#dataFixes) body.writeBigUInt64LE(dataBase + BigInt(offset), at);
    for (const { at, offset } of this.#pointerFixes) body.writeBigUInt64LE(dataBase + BigInt(offset), this.#code.length + at);
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new TypeError(`no label ${label}`);
      body.writeInt32LE(target - (at + 4), at);
    }
    return body;
  }
}

function emitCall(code: Assembly, number: number, args: readonly Argument[]): void {
  for (const [index, argument] of args.entries()) {
    code.emit(ARGUMENT_MOVES[index] ?? "");
    if (typeof argument === "string") code.emitAddress(code.place(cString(argument)));
    else if (argument instanceof Uint8Array) code.emitAddress(code.place(argument));
    else code.emitUint(BigInt(argument), 8);
  }
  code.emit("b8"); // mov eax, number
  code.emitUint(BigInt(number), 4);
  code.emit("0f05"); // syscall
}

/** At `fail-N` the kernel's answer is in rax: the step's name goes to the starter, its errno becomes the exit status. */
function emitFailure(code: Assembly, index: number, name: string): void {
  const bytes = Buffer.from(`!${name}`);
  code.label(`fail-${index}`);
  code.emit("48be"); // mov rsi, name
  code.emitAddress(code.place(bytes));
  code.emit("ba"); // mov edx, length
  code.emitUint(BigInt(bytes.length), 4);
  code.jump("e9", "fail");
}

function emitMeeting(code: Assembly, index: number, name: string): void {
  emitCall(code, 1, [STATUS_DESCRIPTOR, name.slice(0, 1), 1]); // write
  code.emit("4889e6"); // mov rsi, rsp: a byte of the stack that nobody needs any more
  code.emit(`bf0${STATUS_DESCRIPTOR}000000`); // mov edi, descriptor
  code.emit("ba01000000"); // mov edx, 1
  code.emit("31c0"); // xor eax, eax: read
  code.emit("0f05");
  code.emit("4883f801"); // cmp rax, 1
  code.jump("0f85", `fail-${index}`); // jne
}

function emitFork(code: Assembly, index: number): void {
  emitCall(code, 57, []); // fork
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", `fail-${index}`); // js
  code.jump("0f84", `child-${index}`); // je
  code.emit("4989c5"); // mov r13, rax
  emitCall(code, 3, [STATUS_DESCRIPTOR]); // close
  code.label(`wait-${index}`);
  code.emit("4c89ef"); // mov rdi, r13
  code.emit("4889e6"); // mov rsi, rsp
  code.emit("31d2"); // xor edx, edx
  code.emit("4d31d2"); // xor r10, r10
  code.emit("b83d000000"); // mov eax, 61: wait4
  code.emit("0f05");
  code.emit("4883f8fc"); // cmp rax, -EINTR
  code.jump("0f84", `wait-${index}`);
  code.emit("8b3c24"); // mov edi, [rsp]
  code.emit("89f8"); // mov eax, edi
  code.emit("83e07f"); // and eax, 127: the signal
  code.jump("0f84", `exited-${index}`);
  code.emit("8db880000000"); // lea edi, [rax+128]
  code.jump("e9", "exit");
  code.label(`exited-${index}`);
  code.emit("c1ef08"); // shr edi, 8
  code.emit("81e7ff000000"); // and edi, 255
  code.jump("e9", "exit");
  code.label(`child-${index}`);
}

const nameOf = (one: Step): string => (one.kind === "fork" ? "fork" : one.kind === "execute" ? `execve ${one.path}` : one.name);

/** The program's bytes. Its last step has to be `execute`. Runs on x86-64. */
export function renderSystemCallProgram(steps: readonly Step[]): Uint8Array {
  if (steps.at(-1)?.kind !== "execute") throw new TypeError("the last step must execute a program");
  const code = new Assembly();
  for (const [index, one] of steps.entries()) {
    if (one.kind === "meet") emitMeeting(code, index, one.name);
    else if (one.kind === "fork") emitFork(code, index);
    else if (one.kind === "execute") {
      const argv = code.placeList(one.argv);
      const environment = code.placeList(Object.entries(one.environment).map(([name, value]) => `${name}=${value}`));
      code.emit("48bf");
      code.emitAddress(code.place(cString(one.path)));
      code.emit("48be");
      code.emitAddress(argv);
      code.emit("48ba");
      code.emitAddress(environment);
      emitCall(code, EXECVE, []);
      code.jump("e9", `fail-${index}`);
    } else {
      emitCall(code, one.number, one.arguments);
      if (!one.optional) {
        code.emit("4885c0"); // test rax, rax
        code.jump("0f88", `fail-${index}`); // js
      }
    }
  }
  for (const [index, one] of steps.entries()) emitFailure(code, index, nameOf(one));
  code.label("fail");
  code.emit("4989c4"); // mov r12, rax
  code.emit(`bf0${STATUS_DESCRIPTOR}000000`);
  code.emit("b801000000"); // write
  code.emit("0f05");
  code.emit("49f7dc"); // neg r12
  code.emit("4c89e7"); // mov rdi, r12
  code.label("exit");
  code.emit("b8e7000000"); // exit_group
  code.emit("0f05");
  return elf(code.finish());
}

function elf(body: Uint8Array): Uint8Array {
  const program = Buffer.alloc(CODE_OFFSET + body.length);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]); // 64 bits, little-endian, System V
  program.writeUInt16LE(2, 16); // ET_EXEC
  program.writeUInt16LE(62, 18); // x86-64
  program.writeUInt32LE(1, 20);
  program.writeBigUInt64LE(IMAGE_BASE + BigInt(CODE_OFFSET), 24); // entry
  program.writeBigUInt64LE(64n, 32); // program headers
  program.writeUInt16LE(64, 52);
  program.writeUInt16LE(56, 54);
  program.writeUInt16LE(1, 56);
  program.writeUInt32LE(1, 64); // PT_LOAD
  program.writeUInt32LE(5, 68); // read, execute
  program.writeBigUInt64LE(IMAGE_BASE, 80);
  program.writeBigUInt64LE(IMAGE_BASE, 88);
  program.writeBigUInt64LE(BigInt(program.length), 96);
  program.writeBigUInt64LE(BigInt(program.length), 104);
  program.writeBigUInt64LE(0x1000n, 112);
  program.set(body, CODE_OFFSET);
  return program;
}

/** A program in memory that can be started by `path` as long as it is not closed, by this process and its children. */
export interface MemoryProgram extends Disposable {
  readonly path: string;
}

export function openSystemCallProgram(steps: readonly Step[]): MemoryProgram {
  if (process.arch !== "x64") throw new TypeError(`containers cannot be made on ${process.arch} in this release`);
  const writable = createMemoryFile("vouchsafe-start");
  let descriptor: number;
  try {
    writeSync(writable, renderSystemCallProgram(steps));
    descriptor = openSync(`/proc/self/fd/${writable}`, "r"); // a file that is open for writing cannot be executed
  } finally {
    closeSync(writable);
  }
  return { path: `/proc/self/fd/${descriptor}`, [Symbol.dispose]: () => closeSync(descriptor) };
}
