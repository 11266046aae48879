import type { EvidenceKind } from "../core/evidence.ts";
import type { TrustAnchors } from "../core/trust.ts";
import { AMD_ARK_GENOA, AMD_ARK_MILAN, AMD_ARK_TURIN } from "./amd-roots.ts";
import { AWS_NITRO_ENCLAVES_ROOT_G1, GOOGLE_EK_AK_CA_ROOT, GOOGLE_TPM_EK_ROOT_1, INTEL_SGX_ROOT_CA } from "./cloud-and-intel-roots.ts";

type VendorKind = Exclude<EvidenceKind, "node" | "simulated">;

/**
 * The roots that hardware vendors and clouds publish, by kind. Trusting them means trusting the vendor to certify genuine hardware only.
 * `node` and `simulated` have none: whom to trust there is for the Relying Party to enrol.
 */
export const VENDOR_TRUST_ANCHORS: TrustAnchors & Readonly<Record<VendorKind, readonly Uint8Array[]>> = {
  sgx: [INTEL_SGX_ROOT_CA],
  tdx: [INTEL_SGX_ROOT_CA],
  snp: [AMD_ARK_MILAN, AMD_ARK_GENOA, AMD_ARK_TURIN],
  nitro: [AWS_NITRO_ENCLAVES_ROOT_G1],
  tpm: [GOOGLE_EK_AK_CA_ROOT, GOOGLE_TPM_EK_ROOT_1],
};
