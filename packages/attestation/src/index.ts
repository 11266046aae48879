export { encodeNsmAttestation, NSM_REQUEST_MAX_BYTES, NSM_RESPONSE_MAX_BYTES, parseNsmAttestation } from "./nitro/nsm-request.ts";
export { createNodeStatement } from "./node/create-node-statement.ts";
export * from "./portable.ts";
export { createDevelopmentRoot } from "./simulated/development-root.ts";
export type { SimulatedGuest, SimulatedPlatformKeys } from "./simulated/simulated-parts.ts";
export { createSimulatedPlatform, type SimulatedPlatform, simulateEvidence } from "./simulated/simulated-platform.ts";
export { parseSnpCertificateTable, type SnpCertificates } from "./snp/certificate-table.ts";
export { encodeQgsRequest, parseQgsAnswer, QGS_LENGTH_BYTES, readQgsLength, TD_LOCAL_REPORT_BYTES } from "./tdx/qgs-message.ts";
export { cosignNote, formatVerifierKey, signNote } from "./tlog/sign-note.ts";
export { certifyAttestationKey, createAttestationKeyAuthority } from "./tpm/certify-attestation-key.ts";
export { type EndorsementTrust, endorsementKeyId, type VerifiedEndorsementKey, verifyEndorsementKey } from "./tpm/endorsement-key.ts";
export { ENDORSEMENT_KEYS, type EndorsementKeyKind } from "./tpm/endorsement-key-kinds.ts";
export { credentialEntropyBytes, makeCredential, type TpmCredential } from "./tpm/make-credential.ts";
export { encodePcrBank } from "./tpm/pcr-banks.ts";
export { type TpmCommand, TpmError } from "./tpm/tpm-command.ts";
export {
  activateCredential,
  createPrimary,
  extendPcr,
  flushContext,
  policySecret,
  quote,
  readNv,
  readNvSize,
  readPcrs,
  readPublic,
  startPolicySession,
  TPM_HANDLES,
} from "./tpm/tpm-commands.ts";
export { ATTESTATION_KEY_TEMPLATE } from "./tpm/tpm-templates.ts";
export { judgeCase, vectorFamilies } from "./vectors/judge-case.ts";
export type { CaseVerdict, VectorCase } from "./vectors/vector-case.ts";
