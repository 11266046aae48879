export { type Application, listApplications, startApplication, stopApplication, type UpOptions } from "./application.ts";
export { type LogOptions, readLogs } from "./application-log.ts";
export { examineMachine, type Finding } from "./doctor.ts";
export { type EmbeddedCas, findEmbeddedCas, startEmbeddedCas, stopEmbeddedCas } from "./embedded-cas.ts";
export type { EngineStatus, InstanceStatus, PublishedPort } from "./engine-status.ts";
export { LocalError, type LocalErrorCode } from "./local-error.ts";
export { agentKeyFile, defaultStateDir } from "./state-paths.ts";
