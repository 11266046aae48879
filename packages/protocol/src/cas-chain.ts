import { X509Certificate } from "node:crypto";
import { keyHashOf } from "@vouchsafe/policy";
import { ProtocolError } from "./protocol-error.ts";

/** Who a CAS is, as its certificate chain says: every signature, CA flag and validity verified, from the TLS key up to the CAS key. */
export interface CasIdentity {
  /** Key hash of the CAS key: the identity that survives upgrades (`cas_key`). */
  readonly casKeyHash: string;
  /** Key hash of the software key (`cas_software_key`). */
  readonly softwareKeyHash: string;
  /** DER SubjectPublicKeyInfo of the CAS key. */
  readonly casKey: Uint8Array;
  /** PEM, end entity first, self-signed CAS certificate last. */
  readonly chain: readonly string[];
}

/** What the client expects; nothing given means "any CAS", which the caller has to justify. */
export interface CasPin {
  readonly casKeyHash?: string | undefined;
  readonly softwareKeyHash?: string | undefined;
}

const CHAIN_LENGTH = 3;
/** Larger keys are for burning our processor time. */
const MAX_RSA_BITS = 8192;

/**
 * Verifies a chain TLS key ← software key ← CAS key (cas.md §3) and compares it with the pin. Names in certificates prove nothing here: the
 * key does. Throws CAS_IDENTITY.
 */
export function verifyCasChain(chain: readonly X509Certificate[], pin: CasPin, now: Date): CasIdentity {
  const [, software, root] = chain;
  if (software === undefined || root === undefined || chain.length !== CHAIN_LENGTH) {
    throw identityError(`the server sent a chain of ${chain.length} certificates, expected ${CHAIN_LENGTH}`);
  }
  for (const [position, certificate] of chain.entries()) {
    const issuer = chain[position + 1] ?? certificate;
    const name = ["TLS", "software", "CAS"][position];
    if (certificate.validFromDate > now || certificate.validToDate < now) {
      throw identityError(`the ${name} certificate is valid from ${certificate.validFrom} to ${certificate.validTo}`);
    }
    const bits = issuer.publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits > MAX_RSA_BITS) throw identityError(`the issuer of the ${name} certificate has an RSA key of ${bits} bits`);
    if (certificate.ca !== position > 0) throw identityError(`the ${name} certificate has the wrong CA flag`);
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
      throw identityError(`the ${name} certificate was not issued by the next one of the chain`);
    }
  }
  const identity = {
    casKeyHash: keyHashOf(root.publicKey),
    softwareKeyHash: keyHashOf(software.publicKey),
    casKey: root.publicKey.export({ type: "spki", format: "der" }),
    chain: chain.map((certificate) => certificate.toString()),
  };
  comparePin("CAS key hash", identity.casKeyHash, pin.casKeyHash);
  comparePin("CAS software key hash", identity.softwareKeyHash, pin.softwareKeyHash);
  return identity;
}

/** As `verifyCasChain`, for a chain kept as PEM. */
export function verifyCasChainPem(chain: readonly string[], pin: CasPin, now: Date): CasIdentity {
  return verifyCasChain(chain.map(readCertificate), pin, now);
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new ProtocolError("CAS_IDENTITY", "a certificate of the chain cannot be read", { cause });
  }
}

function comparePin(what: string, found: string, expected: string | undefined): void {
  if (expected === undefined || expected === found) return;
  throw identityError(`${what} is ${found}, expected ${expected}`);
}

function identityError(message: string): ProtocolError {
  const remedy = "Check the address of the CAS, or attest it again and use the key hash that it then shows.";
  return new ProtocolError("CAS_IDENTITY", message, { remedy });
}
