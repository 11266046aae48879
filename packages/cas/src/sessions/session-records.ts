import type { Session } from "@vouchsafe/policy";
import type { StoredCertificate, StoredSecret } from "@vouchsafe/secrets";
import type { RowKey } from "../store/row-store.ts";

/** Who uploaded or signed a version (SL-185). */
export type Uploader =
  | { readonly kind: "certificate"; readonly keyHash: string; readonly pem: string }
  /** Side by side: key hashes and PEM SPKI of the signers, in the order of the signatures. */
  | { readonly kind: "signers"; readonly keyHashes: readonly string[]; readonly publicKeys: readonly string[] };

/** One version of a session, as it is kept. */
export interface SessionVersion {
  readonly name: string;
  /** 64 hex digits, SL-51. */
  readonly hash: string;
  /** Normal form with its creator. */
  readonly session: Session;
  readonly uploader: Uploader;
  /** RFC 3339. */
  readonly uploadedAt: string;
  /** This version or one before it has a salt (SL-49). */
  readonly isHashPublic: boolean;
}

/** Values that the CAS made for the current version. */
export interface SessionValues {
  readonly secrets: Readonly<Record<string, StoredSecret>>;
  /** 64 hex digits by volume name, for auto-initialised volumes. */
  readonly volumeKeys: Readonly<Record<string, string>>;
  /** By service, values with `scope: service`; absent where the session has none. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, StoredSecret>>>> | undefined;
  /** CA of the predefined identities (`self::ca`); absent until a service uses one. */
  readonly identityCa?: StoredCertificate | undefined;
  /** When a secret with `supplied_by` was last set, and by whose key; absent where nothing was supplied. */
  readonly supplied?: Readonly<Record<string, SuppliedRecord>> | undefined;
}

export interface SuppliedRecord {
  /** RFC 3339. */
  readonly at: string;
  readonly keyHash: string;
}

/** Every value of a session. */
export const allValues = ({ secrets, services = {} }: SessionValues): StoredSecret[] => [
  ...Object.values(secrets),
  ...Object.values(services).flatMap((own) => Object.values(own)),
];

/** When the first of them is to be made anew, in ms since the epoch; infinity: never. */
export function nextRenewal(secrets: Iterable<StoredSecret>): number {
  const times = [...secrets].flatMap((secret) =>
    "renewAfter" in secret && secret.renewAfter !== undefined ? [Date.parse(secret.renewAfter)] : [],
  );
  return Math.min(Number.POSITIVE_INFINITY, ...times);
}

/** Last reported state of a volume or of a service's file system. */
export interface TagRecord {
  readonly tag: string;
  readonly reportedAt: string;
}

/** Certificates whose issuer or key is an import: issued once for what was imported then (SL-104), and again when that changes or they are due. */
export interface IssuedBelowImports {
  /** Version of the session that they were issued for. */
  readonly sessionHash: string;
  /** SHA-256 of the imported values, hex. */
  readonly imports: string;
  readonly secrets: Readonly<Record<string, StoredSecret>>;
}

export const currentKey = (name: string): RowKey => ({ kind: "session", id: name });
export const versionKey = (name: string, hash: string): RowKey => ({ kind: "session-version", id: `${name} ${hash}` });
export const issuedKey = (name: string): RowKey => ({ kind: "issued-below-imports", id: name });
export const valuesKey = (name: string): RowKey => ({ kind: "session-values", id: name });
export const volumeTagKey = (session: string, volume: string): RowKey => ({ kind: "volume-tag", id: `${session}\n${volume}` });
export const fileSystemTagKey = (session: string, service: string): RowKey => ({ kind: "file-system-tag", id: `${session}\n${service}` });
