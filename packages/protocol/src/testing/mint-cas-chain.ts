import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { type CertificateRequest, issueCertificate } from "../../../attestation/src/x509/issue-certificate.ts";

export const NOW = new Date("2026-06-15T12:00:00Z");
export const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

/** Keys of one CAS: its TLS key, its software key, the CAS key. */
export const casKeys = { leaf: newKey(), software: newKey(), root: newKey() };

type Changes = Readonly<Partial<Record<keyof typeof casKeys, Partial<CertificateRequest>>>>;

/** The chain of a CAS, end entity first, with what is to be different of each certificate. */
export function mintCasChain(changes: Changes = {}): readonly X509Certificate[] {
  const certificate = (subject: string, key: KeyObject, issuer: string, issuerKey: KeyObject, change: Partial<CertificateRequest> = {}) =>
    new X509Certificate(
      issueCertificate({
        ...{ subject, issuer, issuerKey, publicKey: createPublicKey(key), serial: 1n, isCa: subject !== "tls" },
        ...{ notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z"), ...change },
      }),
    );
  return [
    certificate("tls", casKeys.leaf, "software", casKeys.software, changes.leaf),
    certificate("software", casKeys.software, "cas", casKeys.root, changes.software),
    certificate("cas", casKeys.root, "cas", casKeys.root, changes.root),
  ];
}

export const pemOf = (chain: readonly X509Certificate[]): readonly string[] => chain.map((certificate) => certificate.toString());
