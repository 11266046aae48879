import { createPublicKey, type KeyObject } from "node:crypto";
import type { SnpProduct, SnpTcb } from "../snp/snp-report.ts";
import { ia5String, integer } from "../x509/der-writer.ts";
import { type CertificateExtension, issueCertificate } from "../x509/issue-certificate.ts";

export interface SnpCertificateRequest {
  readonly kind: "VCEK" | "VLEK";
  readonly product: SnpProduct;
  readonly tcb: SnpTcb;
  /** Left out for a VLEK. */
  readonly hardwareId?: Uint8Array;
  readonly key: KeyObject;
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  readonly organization?: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const AMD = "1.3.6.1.4.1.3704.1.";

/** A certificate with AMD's extensions under an authority that is not AMD. */
export function issueSnpCertificate(request: SnpCertificateRequest): Uint8Array {
  const { tcb } = request;
  const extension = (arc: string, value: Uint8Array): CertificateExtension => ({ oid: `${AMD}${arc}`, critical: false, value });
  const extensions = [
    extension("1", integer(1)),
    extension("2", ia5String(request.product)),
    ...(tcb.fmc === undefined ? [] : [extension("3.9", integer(tcb.fmc))]),
    extension("3.1", integer(tcb.bootLoader)),
    extension("3.2", integer(tcb.tee)),
    extension("3.3", integer(tcb.snp)),
    extension("3.8", integer(tcb.microcode)),
    ...(request.hardwareId === undefined ? [extension("5", ia5String("CN=cloud.example"))] : [extension("4", request.hardwareId)]),
  ];
  return issueCertificate({
    subject: `SEV-${request.kind}`,
    issuer: request.issuer,
    publicKey: createPublicKey(request.key),
    issuerKey: request.issuerKey,
    serial: 0n, // as AMD numbers them
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    isCa: false,
    ...(request.organization === undefined ? {} : { organization: request.organization }),
    extensions,
  });
}
