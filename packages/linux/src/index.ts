export { forbidCoreDumps, isDumpable, setDumpable } from "./credentials.ts";
export { type Device, openDevice, type StructPointer } from "./device.ts";
export { connectHost, type HostConnection } from "./host-connection.ts";
export type { MountFlag } from "./mounts.ts";
export type { NamespaceKind } from "./namespaces.ts";
export { type ProcessEnd, type ProcessStatus, readStatus, reapChild, reapOrphans } from "./processes.ts";
export { errnoName, SystemCallError } from "./system-call-error.ts";
export { type MemoryProgram, openSystemCallProgram, renderContinuation, renderSystemCallProgram } from "./system-call-program.ts";
export { type Step, step } from "./system-call-steps.ts";
