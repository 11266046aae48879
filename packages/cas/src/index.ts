export { findLogKeyEvidence, type LogKeyEvidence, namedLogKeys } from "./audit/log-key-evidence.ts";
export { casKeyHashOfLog } from "./audit/log-signer.ts";
export {
  type LogEntry,
  type LogExit,
  type LogExpectations,
  type LogVerdict,
  provenLogKeys,
  verifyAuditLog,
} from "./audit/verify-audit-log.ts";
export { CasError, type CasErrorCode } from "./cas-error.ts";
export { refusalReasons } from "./collateral/refusing-services.ts";
export { type AvailabilityConfig, type ListenAddress, parseAvailabilityConfig, parseListenAddress } from "./config/availability-config.ts";
export { type OwnerConfig, parseOwnerConfig } from "./config/owner-config.ts";
export { type DevelopmentPlatform, openDevelopmentPlatform } from "./development/development-platform.ts";
export { SoftwarePlatform } from "./development/software-platform.ts";
export { startCas } from "./load-cas.ts";
export {
  type CasProcessOptions,
  CasProcessStatus,
  casLogFile,
  casStatusFile,
  findCasProcess,
  startCasProcess,
  stopCasProcess,
} from "./process/cas-process.ts";
export { signShare } from "./recovery/signed-share.ts";
export { evidenceResult } from "./service/evidence-result.ts";
export type { ServiceRules } from "./service/service-rules.ts";
export type { CasOptions, RunningCas } from "./start-cas.ts";
export { CAS_SOFTWARE, CAS_VERSION, type Software } from "./version.ts";
