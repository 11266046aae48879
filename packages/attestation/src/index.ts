export { ByteCursor } from "./core/byte-cursor.ts";
export { type Claims, type ClaimValue, codeIdentity, type SignerClaim, type TcbClaim, type TcbStatus } from "./core/claims.ts";
export { EvidenceError, OperationalError } from "./core/errors.ts";
export { decodeEvidence, type Evidence, type EvidenceJson, type EvidenceKind, encodeEvidence, type Workload } from "./core/evidence.ts";
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
export { type DigestAlgorithm, type EventLog, type LoggedEvent, parseEventLog } from "./eventlog/event-log.ts";
export { extendRegister, replayPcrs, replayRtmrs, zeroRegister } from "./eventlog/replay.ts";
export { createNodeStatement } from "./node/create-node-statement.ts";
export { nodeKeyHash } from "./node/key-hash.ts";
export { NODE_AGENT_MEASUREMENT, type NodeStatement } from "./node/node-statement.ts";
export { type NodeTrust, type VerifiedNodeStatement, verifyNodeStatement } from "./node/verify-node-statement.ts";
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
  cosignNote,
  formatVerifierKey,
  type NoteSignature,
  type NoteVerifier,
  type OpenedNote,
  openNote,
  parseVerifierKey,
  signNote,
} from "./tlog/signed-note.ts";
export { makeCredential, type TpmCredential } from "./tpm/make-credential.ts";
export { assertAttestationKey, parseTpmPublic, type TpmAttributes, type TpmPublic } from "./tpm/tpm-public.ts";
export { type PcrSelection, parseTpmQuote, parseTpmSignature, type TpmHash, type TpmQuote, type TpmSignature } from "./tpm/tpm-quote.ts";
export { type PcrBanks, type TpmQuoteInput, type VerifiedTpmQuote, verifyTpmQuote } from "./tpm/verify-tpm-quote.ts";
export { judgeLimboCase } from "./vectors/limbo-case.ts";
export type { CaseVerdict, VectorCase } from "./vectors/vector-case.ts";
export { type Certificate, parseCertificate, parsePemCertificates, publicKeyOf } from "./x509/certificate.ts";
export { type PathOptions, type VerifiedPath, verifyCertificationPath } from "./x509/certification-path.ts";
export { describeName, findCommonName } from "./x509/distinguished-name.ts";
export { findCertificationPath } from "./x509/find-certification-path.ts";
export { parseRevocationList, type RevocationList } from "./x509/revocation-list.ts";
