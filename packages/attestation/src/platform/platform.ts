import type { SnpProduct, SnpTcb } from "../snp/snp-report.ts";

/** What decides the patch level of a platform that was seen. No secret; goes through JSON unchanged. */
export type Platform = IntelPlatform | SnpPlatform;

/** A machine with SGX or TDX, as a verified quote and its PCK certificate name it. */
export interface IntelPlatform {
  readonly kind: "sgx" | "tdx";
  /** As policies name it: `INTEL_QE_ID:…`, `TDX_QE_ID:…`. */
  readonly id: string;
  /** Hex in lower case, 6 bytes: selects the TCB Info. */
  readonly fmspc: string;
  /** Hex, 2 bytes. */
  readonly pceId: string;
  readonly authority: "processor" | "platform";
  /** 16 SVNs, as the PCK certificate says. */
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  readonly qeIsvSvn: number;
  /** Only for `tdx`. */
  readonly tdx?: {
    /** 16 SVNs: module, SEAM loader, microcode. */
    readonly teeTcbSvn: readonly number[];
    /** Hex. */
    readonly mrSignerSeam: string;
    readonly seamAttributes: string;
  };
  /** When its certificate ends; RFC 3339. */
  readonly certifiedUntil: string;
}

/** A part of the platform that is older than the collateral asks for. */
export interface Shortfall {
  /** For example `SGX component 3`, `PCE`, `TDX module TDX_03`, `quoting enclave`, `microcode`. */
  readonly component: string;
  readonly found: number;
  readonly needed: number;
}

/** A machine with SEV-SNP, as a verified report and its endorsement key name it. */
export interface SnpPlatform {
  readonly kind: "snp";
  /** As policies name it: `SNP_CHIP_ID:…`, or `SNP_VLEK` where the provider hides the chip. */
  readonly id: string;
  readonly product: SnpProduct;
  readonly signingKey: "VCEK" | "VLEK";
  readonly reportedTcb: SnpTcb;
  readonly certifiedUntil: string;
}
