import { HOST_ARCHITECTURE } from "./descriptor.ts";
import { ImageError } from "./image-error.ts";

/** Where the runtime lies in every image. */
export const RUNTIME = {
  node: "/vouchsafe/runtime/bin/node",
  /** At most 27 characters: it replaces the usual loader's path inside the Node binary. */
  loader: "/vouchsafe/runtime/ld.so",
  libraries: "/vouchsafe/runtime/lib",
  main: "/vouchsafe/runtime/main.js",
} as const;

/*
 * The launcher must run on any base, even an empty one, and nothing that the host puts into the container's environment (LD_PRELOAD,
 * NODE_OPTIONS, …) may change what it starts (MF-68). So it is a static program of a few instructions, written out here. What it does:
 *
 *   keep the variables that start with SCONE_ or VOUCHSAFE_, and add LD_LIBRARY_PATH=<libraries>
 *   execve("<node>", ["<node>", "<main>", arguments…], variables); exit with 127 if that fails
 *
 * The new argument vector takes the place of the old: at the start the stack holds argc, argv[0], argv[1], …, NULL, envp[0], …, NULL, auxv.
 * argc becomes the pointer to "<node>", argv[0] that to "<main>". Overwriting the first auxv entry is harmless: nothing reads it here.
 */
const IMAGE_BASE = 0x400000;
const CODE_OFFSET = 64 + 56;

type Instruction =
  /** Machine code as it is. */
  | string
  /** A short jump to a label. */
  | { readonly opcode: string; readonly to: string }
  | { readonly label: string }
  /** An instruction whose 32-bit operand is the address of a text. */
  | { readonly opcode: string; readonly text: string };

const X86_64: readonly Instruction[] = [
  "488b0c24", //                              mov  rcx, [rsp]             argc
  "4885c9", //                                test rcx, rcx
  { opcode: "74", to: "fail" }, //            jz   fail
  "488d54cc10", //                            lea  rdx, [rsp+rcx*8+16]    envp
  "4889d6", //                                mov  rsi, rdx               next to read
  "4889d7", //                                mov  rdi, rdx               next to write
  { label: "next" },
  "488b06", //                                mov  rax, [rsi]
  "4885c0", //                                test rax, rax
  { opcode: "74", to: "done" }, //            jz   done
  "4883c608", //                              add  rsi, 8
  "813853434f4e", //                          cmp  dword [rax], "SCON"
  { opcode: "75", to: "other" }, //           jne  other
  "66817804455f", //                          cmp  word [rax+4], "E_"
  { opcode: "74", to: "keep" }, //            je   keep
  { label: "other" },
  "48bb564f554348534146", //                  mov  rbx, "VOUCHSAF"
  "483918", //                                cmp  [rax], rbx
  { opcode: "75", to: "next" }, //            jne  next
  "66817808455f", //                          cmp  word [rax+8], "E_"
  { opcode: "75", to: "next" }, //            jne  next
  { label: "keep" },
  "488907", //                                mov  [rdi], rax
  "4883c708", //                              add  rdi, 8
  { opcode: "eb", to: "next" }, //            jmp  next
  { label: "done" },
  { opcode: "b8", text: `LD_LIBRARY_PATH=${RUNTIME.libraries}` }, // mov eax, …
  "488907", //                                mov  [rdi], rax
  "48c7470800000000", //                      mov  qword [rdi+8], 0
  { opcode: "b8", text: RUNTIME.main }, //    mov  eax, main
  "4889442408", //                            mov  [rsp+8], rax
  { opcode: "bf", text: RUNTIME.node }, //    mov  edi, node
  "48893c24", //                              mov  [rsp], rdi
  "4889e6", //                                mov  rsi, rsp
  "b83b000000", //                            mov  eax, 59                execve
  "0f05", //                                  syscall
  { label: "fail" },
  "bf7f000000", //                            mov  edi, 127
  "b83c000000", //                            mov  eax, 60                exit
  "0f05", //                                  syscall
];

const sizeOf = (instruction: Instruction): number => {
  if (typeof instruction === "string") return instruction.length / 2;
  if ("label" in instruction) return 0;
  return "to" in instruction ? 2 : 5;
};

function assemble(instructions: readonly Instruction[]): Uint8Array {
  const labels = new Map<string, number>();
  let size = 0;
  for (const instruction of instructions) {
    if (typeof instruction === "object" && "label" in instruction) labels.set(instruction.label, size);
    size += sizeOf(instruction);
  }
  const code: number[] = [];
  const texts: number[] = [];
  for (const instruction of instructions) {
    if (typeof instruction === "string") code.push(...Uint8Array.fromHex(instruction));
    else if ("to" in instruction) {
      const distance = (labels.get(instruction.to) ?? Number.NaN) - (code.length + 2);
      if (!(distance >= -128 && distance <= 127)) throw new TypeError(`jump to ${instruction.to} is too far`);
      code.push(...Uint8Array.fromHex(instruction.opcode), distance & 0xff);
    } else if ("text" in instruction) {
      const address = IMAGE_BASE + CODE_OFFSET + size + texts.length;
      code.push(...Uint8Array.fromHex(instruction.opcode), address & 0xff, (address >> 8) & 0xff, (address >> 16) & 0xff, address >>> 24);
      texts.push(...new TextEncoder().encode(`${instruction.text}\0`));
    }
  }
  return Uint8Array.from([...code, ...texts]);
}

/** The launcher's bytes: a static ELF program for the machine's architecture. Throws E-BUILD-KIND where there is none. */
export function renderLauncher(architecture: string = HOST_ARCHITECTURE): Uint8Array {
  if (architecture !== "amd64") {
    throw new ImageError("E-BUILD-KIND", `images for ${architecture} cannot be built in this release`, {
      remedy: "Build on a machine with an x86-64 processor.",
    });
  }
  const body = assemble(X86_64);
  const program = new Uint8Array(CODE_OFFSET + body.length);
  const view = new DataView(program.buffer);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]); // 64 bits, little-endian, System V
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // x86-64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(IMAGE_BASE + CODE_OFFSET), true); // entry
  view.setBigUint64(32, 64n, true); // program headers
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // read, execute
  view.setBigUint64(80, BigInt(IMAGE_BASE), true);
  view.setBigUint64(88, BigInt(IMAGE_BASE), true);
  view.setBigUint64(96, BigInt(program.length), true);
  view.setBigUint64(104, BigInt(program.length), true);
  view.setBigUint64(112, 0x1000n, true);
  program.set(body, CODE_OFFSET);
  return program;
}
