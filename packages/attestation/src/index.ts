export { createNodeStatement } from "./node/create-node-statement.ts";
export * from "./portable.ts";
export {
  createSimulatedPlatform,
  type SimulatedGuest,
  type SimulatedPlatform,
  type SimulatedPlatformKeys,
  simulateSnpEvidence,
} from "./simulated/simulated-platform.ts";
export { cosignNote, formatVerifierKey, signNote } from "./tlog/sign-note.ts";
export { makeCredential, type TpmCredential } from "./tpm/make-credential.ts";
export { judgeCase, vectorFamilies } from "./vectors/judge-case.ts";
export type { CaseVerdict, VectorCase } from "./vectors/vector-case.ts";
