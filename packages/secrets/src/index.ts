export { type CertificateRequest, type IssuedCertificate, type Issuer, issueCertificate } from "./certificate.ts";
export {
  type ExportedSecret,
  type Exporter,
  exportedSecret,
  type Importer,
  type ImportRefusal,
  type ImportRequest,
} from "./exported-secret.ts";
export { type FormatOptions, type Formatted, formatSecret } from "./format-secret.ts";
export { type JwtOptions, signJsonWebToken } from "./json-web-token.ts";
export {
  certificatesToRenew,
  completeCertificates,
  generateValue,
  type Materialised,
  type MaterialiseOptions,
  materialise,
  refreshScope,
  renewCertificates,
  supplyValue,
} from "./materialise.ts";
export { type Randomness, RandomnessError, systemRandomness, testRandomness, watchedRandomness } from "./randomness.ts";
export { SecretError, type SecretErrorCode } from "./secret-error.ts";
export type { StoredCertificate, StoredPrivateKey, StoredSecret, StoredSecrets } from "./stored-secret.ts";
export { type VaultEntry, type VaultValue, vaultValue } from "./vault-value.ts";
