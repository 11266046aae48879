export { type HclReport, type HclRuntimeData, parseHclReport } from "./azure-vtpm/hcl-report.ts";
export { type AzureVtpmInput, type VerifiedAzureVtpm, verifyAzureSnpVtpm, verifyAzureTdxVtpm } from "./azure-vtpm/verify-azure-vtpm.ts";
export { verifyQeIdentity, verifyTcbInfo } from "./collateral/intel-collateral.ts";
export type { IntelCollateral, IntelCollateralQuery, IntelCollateralSource } from "./collateral/intel-documents.ts";
export type { QeIdentity } from "./collateral/qe-identity.ts";
export type { TcbInfo } from "./collateral/tcb-info.ts";
export { VerificationCache } from "./collateral/verification-cache.ts";
export {
  type Accepted,
  type AppraisalCheck,
  type AttestationResult,
  appraise,
  type CheckOutcome,
  type ReferenceValues,
  type SignerReference,
} from "./core/appraise.ts";
export { ByteCursor } from "./core/byte-cursor.ts";
export { type Claims, type ClaimValue, codeIdentity, describeLag, type SignerClaim, type TcbClaim, type TcbStatus } from "./core/claims.ts";
export { EvidenceError, type EvidenceReason, type Mismatch, OperationalError } from "./core/errors.ts";
export { decodeEvidence, type Evidence, type EvidenceJson, type EvidenceKind, encodeEvidence, type Workload } from "./core/evidence.ts";
export type { Collateral, IntelFreshness, TrustAnchors, VerificationContext } from "./core/trust.ts";
export { verifyEvidence } from "./core/verify.ts";
export { encodeWorkload, parseWorkload } from "./core/workload.ts";
export { type Corim, type CorimDigest, type CorimEnvironment, type CorimReference, corimDigests, parseCorim } from "./corim/corim.ts";
export { type CorimTrust, type SignedCorim, verifySignedCorim } from "./corim/signed-corim.ts";
export {
  type CryptoProvider,
  CryptoUnavailableError,
  type HashAlgorithm,
  type NamedCurve,
  type PublicKey,
  type SignatureDigest,
  type SignatureQuestion,
  type SignatureScheme,
} from "./crypto/crypto-provider.ts";
export { verifyAsync } from "./crypto/verify-async.ts";
export { type DstackClaims, type DstackEvent, parseDstackEventLog, verifyDstackEventLog } from "./dstack/dstack-event-log.ts";
export {
  AttestationResultError,
  type AttestationResultToken,
  type EarStatus,
  type EarSubmodule,
  type ResultAlgorithm,
  type ResultTrust,
  signAttestationResult,
  type TrustworthinessClaim,
  verifyAttestationResult,
} from "./ear/attestation-result-token.ts";
export { earSubmodule } from "./ear/ear-submodule.ts";
export { assertDataMeasured, assertLogExplainsPcrs, assertLogExplainsRtmrs } from "./eventlog/compare.ts";
export { type DigestAlgorithm, type EventLog, type LoggedEvent, parseEventLog } from "./eventlog/event-log.ts";
export { extendRegister, isDataMeasured, replayPcrs, replayRtmrs, zeroRegister } from "./eventlog/replay.ts";
export { findCertificateEvidence } from "./inspect/certificate-evidence.ts";
export { type Described, type Description, inspectEvidence } from "./inspect/describe.ts";
export { type Recognised, type RecognisedFormat, recogniseEvidence } from "./inspect/recognise.ts";
export { type NitroDocument, parseNitroDocument } from "./nitro/nitro-document.ts";
export { type NitroTrust, type VerifiedNitroDocument, verifyNitroDocument } from "./nitro/verify-nitro-document.ts";
export { nodeKeyHash } from "./node/key-hash.ts";
export { NODE_AGENT_MEASUREMENT, type NodeStatement } from "./node/node-statement.ts";
export { type NodeTrust, type VerifiedNodeStatement, verifyNodeStatement } from "./node/verify-node-statement.ts";
export { intelPlatform, snpPlatform } from "./platform/describe-platform.ts";
export {
  type IntelDocuments,
  judgeIntelPlatform,
  type PlatformJudgement,
  snpShortfalls,
} from "./platform/judge-platform.ts";
export type { IntelPlatform, Platform, Shortfall, SnpPlatform } from "./platform/platform.ts";
export { VENDOR_TRUST_ANCHORS } from "./roots/vendor-roots.ts";
export { parseQuote, type Quote } from "./sgx/quote.ts";
export { type SignedQuote, verifyQuoteSignatures } from "./sgx/verify-quote.ts";
export { SIMULATED_KINDS, type SimulatedKind, simulatedCodeIdentity } from "./simulated/simulated-launch.ts";
export { readSnpEndorsementKey, type SnpEndorsementKey } from "./snp/endorsement-key.ts";
export {
  parseSnpReport,
  type SnpPolicy,
  type SnpProduct,
  type SnpReport,
  type SnpTcb,
  snpProduct,
  snpSigningKey,
  splitSnpPlatformInfo,
  splitSnpPolicy,
  splitSnpTcb,
} from "./snp/snp-report.ts";
export { type SnpReportInput, type VerifiedSnpReport, verifySnpReport } from "./snp/verify-snp-report.ts";
export { type Checkpoint, formatCheckpoint, type OpenedCheckpoint, openCheckpoint, parseCheckpoint } from "./tlog/checkpoint.ts";
export { LogError } from "./tlog/log-error.ts";
export {
  type Position,
  verifyConsistency,
  verifyInclusion,
  verifySubtreeConsistency,
  verifySubtreeInclusion,
} from "./tlog/merkle-proof.ts";
export {
  appendLeaf,
  type CompleteNode,
  EMPTY_EDGE,
  EMPTY_ROOT,
  leafHash,
  type NodeReader,
  nodeHash,
  proveConsistency,
  proveInclusion,
  rootOf,
  type TreeEdge,
} from "./tlog/merkle-tree.ts";
export {
  asWitness,
  type NoteSignature,
  type NoteVerifier,
  type OpenedNote,
  openNote,
  parseVerifierKey,
} from "./tlog/signed-note.ts";
export { verifyAttestationKeyCertificate } from "./tpm/attestation-key-certificate.ts";
export { parsePcrBanks } from "./tpm/pcr-banks.ts";
export { assertAttestationKey, parseTpmPublic, type TpmAttributes, type TpmPublic } from "./tpm/tpm-public.ts";
export { type PcrSelection, parseTpmQuote, parseTpmSignature, type TpmHash, type TpmQuote, type TpmSignature } from "./tpm/tpm-quote.ts";
export { type PcrBanks, type TpmQuoteInput, type VerifiedTpmQuote, verifyTpmQuote } from "./tpm/verify-tpm-quote.ts";
export { type Certificate, parseCertificate, parsePemCertificates, publicKeyOf } from "./x509/certificate.ts";
export { type PathOptions, type VerifiedPath, verifyCertificationPath } from "./x509/certification-path.ts";
export { describeName, findCommonName } from "./x509/distinguished-name.ts";
export { findCertificationPath } from "./x509/find-certification-path.ts";
export { describeKey, isSameKey, readPublicKey } from "./x509/public-key.ts";
export { parseRevocationList, type RevocationList, type VerifiedRevocationList, verifyRevocationList } from "./x509/revocation-list.ts";
