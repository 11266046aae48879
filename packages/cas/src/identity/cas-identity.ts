import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { keyHashOf } from "@vouchsafe/policy";
import { type CertificateRequest, type Issuer, issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import type { Database } from "../database/database.ts";
import type { RowKey } from "../store/row-store.ts";
import type { Software } from "../version.ts";

/** Identity keys as they lie, sealed, in the database. PEM; PKCS#8 for private keys. */
interface StoredIdentity {
  /** Random name of this CAS in its log; public. */
  readonly instance: string;
  readonly casKey: string;
  readonly casCertificate: string;
  /** One for each revision of the software, under its version. */
  readonly software: { readonly revision: string; readonly key: string; readonly certificate: string };
  /** Ed25519. */
  readonly auditKey: string;
  /** X25519: sessions are encrypted to it. Earlier ones stay usable for decryption. */
  readonly sessionEncryptionKeys: readonly string[];
}

/** Who this CAS is (cas.md §3). The TLS key is new at each start. */
export interface CasIdentityKeys {
  readonly instance: string;
  readonly casKeyHash: string;
  readonly softwareKeyHash: string;
  /** DER SubjectPublicKeyInfo of the CAS key. */
  readonly casKey: Uint8Array;
  readonly casPrivateKey: KeyObject;
  readonly casCertificate: string;
  readonly softwareCertificate: string;
  readonly softwareKey: KeyObject;
  readonly auditKey: KeyObject;
  /** Private X25519 keys, the present one first. */
  readonly sessionEncryptionKeys: readonly KeyObject[];
}

export interface TlsIdentity {
  readonly privateKey: KeyObject;
  /** PEM: TLS certificate, software certificate, CAS certificate. */
  readonly chain: readonly string[];
}

const IDENTITY_KEY: RowKey = { kind: "identity", id: "keys" };
/** A CAS that runs longer renews its TLS certificate; see `tlsIdentity`. */
const TLS_VALID_SECONDS = 400 * 86_400;

/** Reads the identity, or makes it on first start; a new software revision gets its own key below the CAS key. */
export async function openIdentity(database: Database, { version }: Software, now: Date): Promise<CasIdentityKeys> {
  const stored = await database.get<StoredIdentity>(IDENTITY_KEY);
  if (stored !== undefined && stored.software.revision === version) return readIdentity(stored);
  if (database.isReadOnly && stored !== undefined) return readIdentity(stored);
  const next =
    stored === undefined
      ? createIdentity(version, now)
      : {
          ...stored,
          software: issueSoftware({ privateKey: createPrivateKey(stored.casKey), certificate: stored.casCertificate }, version, now),
        };
  await database.transact((tx) => tx.put(IDENTITY_KEY, next));
  return readIdentity(next);
}

/** An identity that is kept nowhere: of a CAS that cannot open its database (C-80). */
export function temporaryIdentity({ version }: Software, now: Date): CasIdentityKeys {
  return readIdentity(createIdentity(version, now));
}

/** New keys: at provisioning, never after (C-17). */
function createIdentity(version: string, now: Date): StoredIdentity {
  const cas = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const options = { now, random: systemRandomness };
  const casCertificate = issueCertificate(certificateRequest("cas", true), { ownKey: cas.privateKey }, options).pem;
  const audit = generateKeyPairSync("ed25519").privateKey;
  return {
    instance: randomBytes(8).toString("hex"),
    casKey: pem(cas.privateKey),
    casCertificate,
    software: issueSoftware({ privateKey: cas.privateKey, certificate: casCertificate }, version, now),
    auditKey: pem(audit),
    sessionEncryptionKeys: [pem(generateKeyPairSync("x25519").privateKey)],
  };
}

function issueSoftware(issuer: Issuer, revision: string, now: Date): StoredIdentity["software"] {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { pem: certificate } = issueCertificate(
    certificateRequest("cas-instance", true),
    { publicKey, issuer },
    { now, random: systemRandomness },
  );
  return { revision, key: pem(privateKey), certificate };
}

/** A fresh TLS key below the software key, for these names. */
export function tlsIdentity(identity: CasIdentityKeys, commonName: string, altNames: readonly string[], now: Date): TlsIdentity {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = { privateKey: identity.softwareKey, certificate: identity.softwareCertificate };
  const request = certificateRequest(commonName, false, altNames);
  const { pem: certificate } = issueCertificate(request, { publicKey, issuer }, { now, random: systemRandomness });
  return { privateKey, chain: [certificate, identity.softwareCertificate, identity.casCertificate] };
}

/** CA certificates end on 4096-01-01 (C-7). Without an endpoint the TLS certificate serves as server and as client (§3). */
function certificateRequest(commonName: string, isCa: boolean, altNames: readonly string[] = []): CertificateRequest {
  const san = altNames.map((value) => ({ kind: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value }));
  return { isCa, commonName, san, endpoint: undefined, validForSeconds: isCa ? undefined : TLS_VALID_SECONDS, control: undefined };
}

function readIdentity(stored: StoredIdentity): CasIdentityKeys {
  const casPublicKey = createPublicKey(stored.casKey);
  return {
    instance: stored.instance,
    casKeyHash: keyHashOf(casPublicKey),
    softwareKeyHash: keyHashOf(createPublicKey(stored.software.key)),
    casKey: casPublicKey.export({ type: "spki", format: "der" }),
    casPrivateKey: createPrivateKey(stored.casKey),
    casCertificate: stored.casCertificate,
    softwareCertificate: stored.software.certificate,
    softwareKey: createPrivateKey(stored.software.key),
    auditKey: createPrivateKey(stored.auditKey),
    sessionEncryptionKeys: stored.sessionEncryptionKeys.map((key) => createPrivateKey(key)),
  };
}

const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
