export {
  type AccessCaller,
  type AccessDecision,
  canContribute,
  contributes,
  couldBeSatisfied,
  evaluateAccess,
  renderDecision,
} from "./access-evaluation.ts";
export { canonicalJson } from "./canonical-json.ts";
export type { Diagnostic } from "./diagnostic.ts";
export {
  decryptSession,
  encryptSession,
  isEncryptedSession,
  parseSessionEncryptionKey,
  sessionEncryptionKeyText,
} from "./encrypted-session.ts";
export { explainAttestation } from "./explain-attestation.ts";
export { explainField, type FieldExplanation, renderExplanation, type UnknownField } from "./explain-field.ts";
export { minimumSvnWord, tcbWord } from "./hardware-words.ts";
export { AES_256_GCM, deriveKeyPair, open as openHpke, rawX25519, seal as sealHpke, x25519PublicKey } from "./hpke.ts";
export { formatIpAddress, parseIpAddress } from "./ip-address.ts";
export { sessionJsonSchema } from "./json-schema.ts";
export { keepsValue } from "./keeps-value.ts";
export { KEY_HASH_CHARACTERS, type KeyHashReading, keyHash, keyHashOf, parseKeyHash } from "./key-hash.ts";
export { dnsProblem } from "./language/certificates.ts";
export { DEFAULT_PLATFORM_RULES } from "./language/security.ts";
export { hostArgument } from "./language/services.ts";
export { type FieldPath, type LocatedField, locateServiceField } from "./locate-field.ts";
export { type CreatorOption, normaliseSession } from "./normal-form.ts";
export {
  type ConfigId,
  decodeBase32,
  encodeBase32,
  parseConfigId,
  type TotpVerdict,
  totp,
  verifyTotp,
} from "./one-time-password.ts";
export { type ParsedSession, type ParseOptions, parseSession, type SessionSource } from "./parse-session.ts";
export { encodePem, type PemBlock, parsePem } from "./pem.ts";
export { permissionRule } from "./permission-rule.ts";
export { type ParsedPlaceholder, scanPlaceholders } from "./placeholder-syntax.ts";
export {
  EXCEPTION_WARNING_DAYS,
  type ExceptionState,
  exceptionState,
  type ListedException,
  listExceptions,
} from "./platform-exceptions.ts";
export { PolicyError, type PolicyErrorCode } from "./policy-error.ts";
export { printSession } from "./print-session.ts";
export { keyTypeOf, readPrivateKey, readPublicKey } from "./private-key.ts";
export {
  PROPOSAL_ACTIONS,
  type ProposalAction,
  type ProposalStatement,
  proposalMessage,
  signProposalStatement,
  verifyProposalStatement,
} from "./proposal-statement.ts";
export { type RenderOptions, renderDiagnostics } from "./render-diagnostics.ts";
export { type PlaceholderMeaning, type PlaceholderValues, placeholderMeaning, renderFile, renderText } from "./render-placeholders.ts";
export { MAX_DIAGNOSTICS } from "./reporter.ts";
export {
  accessRule,
  accessRuleForm,
  type Resolved,
  resolveAttestation,
  resolveEntry,
  resolveOtpSecret,
  resolvePlatforms,
  resolveSecurity,
  type SectionLookup,
} from "./resolve-sections.ts";
export { IDENTITY_KINDS, INSTANCE_ID_CHARACTERS, secretsOfScope, usesIdentity } from "./secret-scope.ts";
export type {
  AadTokenSecret,
  AccessEntry,
  AccessPolicy,
  AttestationVariant,
  CertificateControl,
  Creator,
  EvidenceKind,
  ExplicitCertificate,
  ExplicitSecret,
  GeneratedCertificate,
  GeneratedPrivateKey,
  GeneratedSecret,
  GeneratedText,
  HardwareFacts,
  HardwareKind,
  Image,
  ImportedSecret,
  InjectionFile,
  JsonValue,
  JwtSecret,
  KeyType,
  Mount,
  Operation,
  Permission,
  Placeholder,
  PlatformException,
  PlatformRules,
  RemoteCas,
  Role,
  Secret,
  SecretImport,
  SecretKind,
  SecretScope,
  SecretStore,
  Security,
  Service,
  ServiceFileSystem,
  Session,
  SessionReference,
  SignerFactor,
  SnpGuestPolicy,
  SnpPlatformProperty,
  SubjectAltName,
  SuppliedSecret,
  Tolerable,
  UpdateProposals,
  Variable,
  VaultSecret,
  Volume,
  VolumeExport,
  VolumeUpdatePolicy,
} from "./session.ts";
export { DEFAULT_EVIDENCE_KINDS, EVIDENCE_KINDS, KEY_TYPES, OPERATIONS, PLATFORM_WEAKNESSES, SECRET_KINDS, TOLERABLE } from "./session.ts";
export {
  type CheckOptions,
  type CommandOutcome,
  calculateSessionHash,
  checkSessionFile,
  creatorOf,
  diffSessionFiles,
  type EncryptOptions,
  encryptSessionFile,
  keyHashOfPem,
  readSessionFile,
  type SessionFile,
  signSessionFile,
  textToSign,
} from "./session-commands.ts";
export { diffSessions, renderSessionDifference, type SessionDifference } from "./session-difference.ts";
export { hashIsPublic, sessionHash } from "./session-hash.ts";
export { isWithin, parentOf, resolveSessionName, sessionNameProblem } from "./session-name.ts";
export {
  type AppliedPatch,
  applySessionPatch,
  type PatchChange,
  parseSessionPatch,
  patchBetween,
  printSessionPatch,
  type ServicePatch,
  type SessionPatch,
} from "./session-patch.ts";
export {
  addRawSignature,
  addSessionSignature,
  encodeSignedSession,
  isSignedSession,
  parseSignedSession,
  type SessionSignature,
  type SessionSigner,
  type SignedSession,
  sessionSigningMessage,
  signSession,
  verifySignedSession,
} from "./signed-session.ts";
export { type Position, SourceText } from "./source-text.ts";
export { didYouMean, nearestWord } from "./spelling.ts";
export { type Difference, maskSecrets, renderDifferences, structuralDifference } from "./structural-difference.ts";
export { readSuppliedValue, type SuppliedReading, type SuppliedValue } from "./supplied-value.ts";
export type { TemplateVariables } from "./template-variables.ts";
export {
  accessHangsOnSecret,
  type DiagnosticRequest,
  diagnosticAt,
  hostArgumentMissing,
  type ImportProblem,
  importUnavailable,
  namespaceHashDiffers,
  namespaceMissing,
  predecessorChanged,
  relocateDiagnostic,
  uploaderLockedOut,
} from "./upload-diagnostics.ts";
export { placeholderSecret, vaultToken } from "./vault-token.ts";
export {
  isNull,
  type ListNode,
  type MapEntry,
  type MapNode,
  rangeInScalar,
  readYamlDocument,
  type ScalarNode,
  type YamlNode,
  type YamlRules,
} from "./yaml-document.ts";
