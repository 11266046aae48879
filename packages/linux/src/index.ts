export {
  becomeUser,
  clearAmbientCapabilities,
  createMemoryFile,
  forbidCoreDumps,
  isDumpable,
  type PeerCredentials,
  readPeerCredentials,
  setDumpable,
  setNoNewPrivileges,
} from "./credentials.ts";
export { type Device, openDevice, type StructPointer } from "./device.ts";
export { connectHost, type HostConnection } from "./host-connection.ts";
export {
  bindMount,
  changeRoot,
  detachMount,
  type MountFlag,
  type MountRequest,
  makeMountsPrivate,
  mount,
  pivotRoot,
} from "./mounts.ts";
export { enterNamespace, type NamespaceKind, setHostName, unshare } from "./namespaces.ts";
export { closeFilesOnExec, type ProcessEnd, type ProcessStatus, readStatus, reapChild, reapOrphans, resetSignals } from "./processes.ts";
export { errnoName, SystemCallError } from "./system-call-error.ts";
export { type MemoryProgram, openSystemCallProgram, renderSystemCallProgram, type Step, step } from "./system-call-program.ts";
