import type { IntelCollateral } from "../collateral/intel-documents.ts";

/** Names under which the documents travel with simulated evidence: nobody publishes them. */
export const COLLATERAL_ENDORSEMENTS = {
  tcbInfo: "tcb-info",
  qeIdentity: "qe-identity",
  tcbSigningChain: "tcb-signing-chain",
  pckCrl: "pck-crl",
  rootCaCrl: "root-ca-crl",
} as const satisfies Partial<Record<keyof IntelCollateral, string>>;
