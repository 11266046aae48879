export type { StoredCertificate, StoredPrivateKey, StoredSecret, StoredSecrets } from "./stored-secret.ts";
