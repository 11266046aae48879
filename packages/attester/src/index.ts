export { AttesterError } from "./attester-error.ts";
export type { CertifyKey, EvidenceRequest, EvidenceSource, KeyToCertify } from "./evidence-source.ts";
export { hardwareSources } from "./hardware-sources.ts";
export { openTpm, parseTpmAddress, type TpmAddress, type TpmConnection } from "./tpm-connection.ts";
export { openTpmCredential } from "./tpm-source.ts";
export { readWorkload, WORKLOAD_FILE } from "./workload-file.ts";
