export { ANSWER_SIGNER, type SignedAnswer, signAnswer, verifyAnswer } from "./answer-signature.ts";
export {
  appraiseCas,
  type CasExpectations,
  type CasMismatch,
  describeMismatch,
  neededTolerances,
} from "./appraise-cas.ts";
export { AttestationKeyAuthority, type PendingCertification, type TpmTrust } from "./attestation-key-authority.ts";
export { CAS_CLIENT_PORT, CAS_SERVICE_PORT, type CasAddress, formatCasAddress, parseCasAddress } from "./cas-address.ts";
export { type CasIdentity, type CasPin, verifyCasChain, verifyCasChainPem } from "./cas-chain.ts";
export { CasClient, type CasClientOptions, CLIENT_ALPN } from "./cas-client.ts";
export { type CasConnection, type CasConnectionOptions, connectToCas, KEY_EXCHANGE_GROUPS, peerCasIdentity } from "./cas-connection.ts";
export {
  type CasEvidenceTrust,
  casEvidenceUserData,
  certifyTpmEvidence,
  type OpenCredential,
  verifyCasEvidence,
  verifyEvidenceOver,
} from "./cas-evidence.ts";
export { casStatementMessage, requestCasStatement, type VerifiedCasStatement, verifyCasStatement } from "./cas-statement.ts";
export { CasTerms, casExpectations, casTrustAnchors } from "./cas-terms.ts";
export {
  accessTokenProof,
  type Channel,
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  evidenceUserData,
  isEqualProof,
  isInstanceKeyType,
  signInstanceProof,
  verifyInstanceProof,
} from "./channel-binding.ts";
export {
  ActivationList,
  AuditCheckpoints,
  BACKUP_AUDIENCE_PREFIX,
  backupAudience,
  CAS_STATES,
  CAS_TOLERANCES,
  CasAttestation,
  CasStatement,
  type CasTolerance,
  CasVersion,
  ClusterIssuer,
  CollateralForecast,
  CollateralStatus,
  HealthReport,
  NODE_AUDIENCE_PREFIX,
  NodeEnrolled,
  OpenedCredential,
  ProposalDetail,
  ProposalList,
  ProposalOutcome,
  ProposalRequest,
  ProposalSummary,
  Provisioned,
  PublicValue,
  PublicValues,
  RecoveryRequest,
  RegisteredInstance,
  RegisteredInstances,
  RegisterInstance,
  SecretList,
  SecretSupplied,
  SecretValue,
  SessionExceptions,
  SessionHash,
  SessionList,
  SessionUploaded,
  ShareAccepted,
  SignedShare,
  TpmCredential,
  UpgradeStarted,
  VerifiedEvidence,
} from "./client-api.ts";
export { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from "./frames.ts";
export {
  appraiseByTerms,
  type CasJudge,
  type CasVerdict,
  describeCasClaims,
  describeMissingEvidence,
  type JudgeOptions,
  judgeCasEvidence,
} from "./judge-cas-evidence.ts";
export {
  type Activation,
  AgentReply,
  AgentRequest,
  ATTESTATION_STEPS,
  type AttestationStep,
  AttestRequest,
  CasMessage,
  type CertifyKeyRequest,
  Configuration,
  EvidenceJson,
  FILE_SYSTEM_POLICIES,
  type FileConfiguration,
  InstanceMessage,
  OpeningMessage,
  PROTOCOL_VERSION,
  REFUSAL_CODES,
  Refusal,
  type RefusalCode,
  type Renewal,
  type RenewedFile,
  SERVICE_ALPN,
  StartNote,
  type TagReport,
  type TagTarget,
  VOLUME_POLICIES,
  type VolumeConfiguration,
} from "./messages.ts";
export { type AgentAddress, askNodeAgent, describeAgent, NODE_AGENT_PORT } from "./node-agent.ts";
export { CasProblemError, PROBLEM_CODES, PROBLEM_STATUS, Problem, type ProblemCode, UpdatePendingError } from "./problem.ts";
export { ProtocolError, type ProtocolErrorCode } from "./protocol-error.ts";
export {
  type AttestedService,
  type AttestServiceOptions,
  attestService,
  type CertifyKey,
  generateInstanceKey,
  type KeyToCertify,
  RefusedError,
} from "./service-client.ts";
export { ServiceConnection } from "./service-connection.ts";
export { isSessionName, parseServiceId, type ServiceId, serviceName } from "./service-id.ts";
export {
  EXPORT_REFUSALS,
  ExportAnswer,
  type ExportRefusal,
  ExportRequest,
  ImportQuery,
  MAX_IMPORT_QUERIES,
  SharedValue,
} from "./shared-secrets.ts";
