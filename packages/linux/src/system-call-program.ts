import { closeSync, openSync, writeSync } from "node:fs";
import { createMemoryFile } from "./credentials.ts";
import { cString } from "./libc.ts";
import { Assembly } from "./system-call-assembly.ts";
import type { Step } from "./system-call-steps.ts";

/*
 * A program of nothing but system calls. Node cannot make a user namespace (it has several threads) and is not there inside a container; a shell
 * with its tools would have to be. So the few dozen calls that turn a process into a container, or into a program, are compiled into a static ELF
 * program of some kilobytes that lives in memory only: straight-line code, one call after the other with constant arguments, no decision but "stop
 * at the first failure". Descriptor 3 is a socket to whoever starts it: the program reports there and waits there for a byte.
 *
 * What must not be in a file, not even in one without a name, comes later: a program that ends in `continue` reads the rest of its steps from
 * descriptor 4, once it has closed itself to others, and then the content of the files that it writes.
 */

const STATUS_DESCRIPTOR = 3;
const ORDER_DESCRIPTOR = 4;

const IMAGE_BASE = 0x40_0000n;
const CODE_OFFSET = 64 + 56;
/** Where a continuation lies: far from the program, below anything that the kernel places by itself. */
const CONTINUATION_BASE = 0x1000_0000n;

/* System calls that the machinery itself makes (x86-64). */
const WRITE = 1;
const OPEN = 2;
const CLOSE = 3;
const MMAP = 9;
const MPROTECT = 10;
const RECVFROM = 45;
const FORK = 57;
const EXECVE = 59;

const READ_WRITE = 3;
const READ_EXECUTE = 5;
const PRIVATE_ANONYMOUS_HERE = 0x2 | 0x20 | 0x10_0000; // MAP_FIXED_NOREPLACE
const WRITE_CREATE_TRUNCATE = 0o1 | 0o100 | 0o1000 | 0o2_000_000; // O_CLOEXEC
const WAIT_FOR_ALL = 0x100;

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
  code.emitCall(WRITE, [STATUS_DESCRIPTOR, name.slice(0, 1), 1]);
  code.emit("4889e6"); // mov rsi, rsp: a byte of the stack that nobody needs any more
  code.emit(`bf0${STATUS_DESCRIPTOR}000000`); // mov edi, descriptor
  code.emit("ba01000000"); // mov edx, 1
  code.emit("31c0"); // xor eax, eax: read
  code.emit("0f05");
  code.emit("4883f801"); // cmp rax, 1
  code.jump("0f85", `fail-${index}`); // jne
}

function emitFork(code: Assembly, index: number): void {
  code.emitCall(FORK, []);
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", `fail-${index}`); // js
  code.jump("0f84", `child-${index}`); // je
  code.emit("4989c5"); // mov r13, rax
  code.emitCall(CLOSE, [STATUS_DESCRIPTOR]);
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

/** Length and bytes of the continuation are read to its place, which is never writable and executable at once. */
function emitContinue(code: Assembly, index: number): void {
  code.emit("4883ec10"); // sub rsp, 16
  code.emit("4889e6"); // mov rsi, rsp
  emitReceiveAll(code, () => code.emit("ba08000000")); // mov edx, 8
  code.emit("4883f808"); // cmp rax, 8
  code.jump("0f85", `fail-${index}`); // jne
  code.emit("488b1c24"); // mov rbx, [rsp]
  const atBase = (number: number, protection: number, more: () => void) => {
    code.emit("48bf"); // mov rdi, base
    code.emitUint(CONTINUATION_BASE, 8);
    code.emit("4889de"); // mov rsi, rbx
    code.emit("ba"); // mov edx, protection
    code.emitUint(BigInt(protection), 4);
    more();
    code.emit("b8"); // mov eax, number
    code.emitUint(BigInt(number), 4);
    code.emit("0f05");
    code.emit("4885c0"); // test rax, rax
    code.jump("0f88", `fail-${index}`); // js
  };
  atBase(MMAP, READ_WRITE, () => {
    code.emit("49ba"); // mov r10, flags
    code.emitUint(BigInt(PRIVATE_ANONYMOUS_HERE), 8);
    code.emit("49b8"); // mov r8, -1
    code.emitUint(-1n, 8);
    code.emit("4d31c9"); // xor r9, r9
  });
  code.emit("48be"); // mov rsi, base
  code.emitUint(CONTINUATION_BASE, 8);
  emitReceiveAll(code, () => code.emit("4889da")); // mov rdx, rbx
  code.emit("4839d8"); // cmp rax, rbx
  code.jump("0f85", `fail-${index}`);
  atBase(MPROTECT, READ_EXECUTE, () => {});
  code.emit("48b8"); // mov rax, base
  code.emitUint(CONTINUATION_BASE, 8);
  code.emit("ffe0"); // jmp rax
}

/** recvfrom on the order socket until all is there that `length` puts into rdx; the address is in rsi. */
function emitReceiveAll(code: Assembly, length: () => void): void {
  code.emit(`bf0${ORDER_DESCRIPTOR}000000`); // mov edi, descriptor
  length();
  code.emit("41ba"); // mov r10d, flags
  code.emitUint(BigInt(WAIT_FOR_ALL), 4);
  code.emit("4d31c0"); // xor r8, r8
  code.emit("4d31c9"); // xor r9, r9
  code.emit("b8"); // mov eax, recvfrom
  code.emitUint(BigInt(RECVFROM), 4);
  code.emit("0f05");
}

function emitReceive(code: Assembly, index: number, path: string, length: number): void {
  code.emitCall(OPEN, [path, WRITE_CREATE_TRUNCATE, 0o600]);
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", `fail-${index}`); // js
  code.emit("4989c6"); // mov r14, rax: the file
  code.emit("49bf"); // mov r15, length: what is still to come
  code.emitUint(BigInt(length), 8);
  code.jump("e8", "copy"); // call
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", `fail-${index}`);
}

const BUFFER_BYTES = 0x1_0000n;

/** Copies r15 bytes from the order socket into the file r14 and closes it. Leaves 0 or a negative errno in rax. */
function emitCopy(code: Assembly): void {
  code.label("copy");
  code.emit("4881ec"); // sub rsp, buffer
  code.emitUint(BUFFER_BYTES, 4);
  code.label("copy-next");
  code.emit("4d85ff"); // test r15, r15
  code.jump("0f84", "copy-done"); // je
  code.emit("4889e6"); // mov rsi, rsp
  emitReceiveAll(code, () => {
    code.emit("4c89fa"); // mov rdx, r15
    code.emit("b8"); // mov eax, buffer
    code.emitUint(BUFFER_BYTES, 4);
    code.emit("4839c2"); // cmp rdx, rax
    code.emit("480f47d0"); // cmova rdx, rax
  });
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", "copy-end"); // js
  code.jump("0f84", "copy-short"); // je: the starter has ended
  code.emit("4929c7"); // sub r15, rax
  code.emit("4989c5"); // mov r13, rax: what is to be written
  code.emit("4889e3"); // mov rbx, rsp
  code.label("copy-write");
  code.emit("4c89f7"); // mov rdi, r14
  code.emit("4889de"); // mov rsi, rbx
  code.emit("4c89ea"); // mov rdx, r13
  code.emit("b8"); // mov eax, write
  code.emitUint(BigInt(WRITE), 4);
  code.emit("0f05");
  code.emit("4885c0"); // test rax, rax
  code.jump("0f88", "copy-end"); // js
  code.emit("4801c3"); // add rbx, rax
  code.emit("4929c5"); // sub r13, rax
  code.jump("0f85", "copy-write"); // jne
  code.jump("e9", "copy-next");
  code.label("copy-short");
  code.emit("48c7c0e0ffffff"); // mov rax, -EPIPE
  code.jump("e9", "copy-end");
  code.label("copy-done");
  code.emit("4c89f7"); // mov rdi, r14
  code.emit("b8"); // mov eax, close
  code.emitUint(BigInt(CLOSE), 4);
  code.emit("0f05");
  code.label("copy-end");
  code.emit("4881c4"); // add rsp, buffer
  code.emitUint(BUFFER_BYTES, 4);
  code.emit("c3"); // ret
}

function emitExecute(code: Assembly, index: number, one: Extract<Step, { kind: "execute" }>): void {
  const argv = code.placeList(one.argv);
  const environment = code.placeList(Object.entries(one.environment).map(([name, value]) => `${name}=${value}`));
  code.emit("48bf"); // mov rdi, path
  code.emitAddress(code.place(cString(one.path)));
  code.emit("48be"); // mov rsi, argv
  code.emitAddress(argv);
  code.emit("48ba"); // mov rdx, environment
  code.emitAddress(environment);
  code.emitCall(EXECVE, []);
  if (!one.optional) code.jump("e9", `fail-${index}`);
}

/** The end that a program must have: it becomes another one, or is continued. */
function endsProperly(steps: readonly Step[]): boolean {
  const last = steps.at(-1);
  return last?.kind === "continue" || (last?.kind === "execute" && !last.optional);
}

function assemble(steps: readonly Step[], base: bigint): Buffer {
  if (!endsProperly(steps)) throw new TypeError("the last step must execute a program");
  const code = new Assembly();
  for (const [index, one] of steps.entries()) {
    if (one.kind === "meet") emitMeeting(code, index, one.name);
    else if (one.kind === "say") code.emitCall(WRITE, [STATUS_DESCRIPTOR, one.byte, 1]);
    else if (one.kind === "fork") emitFork(code, index);
    else if (one.kind === "continue") emitContinue(code, index);
    else if (one.kind === "receive") emitReceive(code, index, one.path, one.length);
    else if (one.kind === "execute") emitExecute(code, index, one);
    else {
      code.emitCall(one.number, one.arguments);
      if (!one.optional) {
        code.emit("4885c0"); // test rax, rax
        code.jump("0f88", `fail-${index}`); // js
      }
    }
  }
  for (const [index, one] of steps.entries()) emitFailure(code, index, one.name);
  code.label("fail");
  code.emit("4989c4"); // mov r12, rax
  code.emit(`bf0${STATUS_DESCRIPTOR}000000`);
  code.emit("b801000000"); // write
  code.emit("0f05");
  code.emit("49f7dc"); // neg r12
  code.emit("4c89e7"); // mov rdi, r12
  code.jump("0f8f", "exit"); // jg
  code.emit("bf20000000"); // mov edi, EPIPE: less came than was asked for, which is no errno
  code.label("exit");
  code.emit("b8e7000000"); // exit_group
  code.emit("0f05");
  if (steps.some(({ kind }) => kind === "receive")) emitCopy(code);
  return code.finish(base);
}

/** The program's bytes. Its last step has to be `execute` or `continue`. Runs on x86-64. */
export function renderSystemCallProgram(steps: readonly Step[]): Uint8Array {
  return elf(assemble(steps, IMAGE_BASE + BigInt(CODE_OFFSET)));
}

/**
 * The rest of a program that waits in `continue`, as the order socket wants it: length (u64), code. The content of the files that it receives
 * follows, in their order.
 */
export function renderContinuation(steps: readonly Step[]): Uint8Array {
  const body = assemble(steps, CONTINUATION_BASE);
  const order = Buffer.alloc(8 + body.length);
  order.writeBigUInt64LE(BigInt(body.length));
  order.set(body, 8);
  body.fill(0);
  return order;
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
