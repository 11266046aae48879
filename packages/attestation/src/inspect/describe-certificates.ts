import { EvidenceError } from "../core/errors.ts";
import { readPckIdentity } from "../sgx/pck-certificate.ts";
import { type Certificate, parseCertificate, serialNumberHex, splitPem } from "../x509/certificate.ts";
import { describeName } from "../x509/distinguished-name.ts";

/** What a reader wants to know of a chain; undefined when its certificates cannot be read, and the bytes have to speak for themselves. */
export function describeChain(chain: readonly Uint8Array[]): readonly unknown[] | undefined {
  try {
    return chain.map((der) => describeCertificate(parseCertificate(der)));
  } catch (error) {
    if (error instanceof EvidenceError) return undefined;
    throw error;
  }
}

/** The PCK certificate chain of a quote (PEM), with the platform that its first certificate names. */
export function describePckChain(pem: Uint8Array): { readonly certificates: readonly unknown[]; readonly platform: unknown } | undefined {
  try {
    const ders = splitPem(pem);
    const certificates = describeChain(ders);
    const [leaf] = ders;
    if (certificates === undefined || leaf === undefined) return undefined;
    return { certificates, platform: readPckIdentity(parseCertificate(leaf)) };
  } catch (error) {
    if (error instanceof EvidenceError) return undefined;
    throw error;
  }
}

function describeCertificate({ subject, issuer, serialNumber, notBefore, notAfter }: Certificate): unknown {
  return {
    subject: unquoted(describeName(subject)),
    issuer: unquoted(describeName(issuer)),
    serial: serialNumberHex(serialNumber),
    validFrom: new Date(notBefore),
    validUntil: new Date(notAfter),
  };
}

/** Names come escaped for messages; here they are values of their own. */
const unquoted = (name: string): string => JSON.parse(name) as string; // describeName writes one JSON string
