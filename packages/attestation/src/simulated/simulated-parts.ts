import type { KeyObject } from "node:crypto";
import type { Workload } from "../core/evidence.ts";
import type { CertificateExtension } from "../x509/issue-certificate.ts";

/** Keys of make-believe hardware and its makers, made by the caller: P-256 private keys, and one of P-384. */
export interface SimulatedPlatformKeys {
  readonly root: KeyObject;
  /** Stands for AMD's, Intel's and a TPM maker's authority, and for Intel's signer of documents. */
  readonly authority: KeyObject;
  /** P-384: signs SEV-SNP reports. */
  readonly processor: KeyObject;
  /** Certified for a platform of Intel; signs for the quoting enclave. */
  readonly platform: KeyObject;
  /** Signs quotes: of the quoting enclave, and of the TPM. */
  readonly quoting: KeyObject;
}

export interface SimulatedGuest {
  /** 64 bytes. */
  readonly userData: Uint8Array;
  readonly workload: Workload;
}

/** Issues one certificate of the platform below the root. */
export type IssueBelow = (request: {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly serial: bigint;
  readonly isCa: boolean;
  readonly issuer?: { readonly name: string; readonly key: KeyObject };
  readonly extensions?: readonly CertificateExtension[];
}) => Uint8Array;

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}
