import type { OptionSpec } from "../../command-spec.ts";

/** Options of the commands that verify evidence. */
export const VERIFY_OPTIONS: readonly OptionSpec[] = [
  {
    long: "kind",
    value: "KIND",
    words: ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"],
    summary: "kind of the evidence (default: recognised)",
  },
  {
    long: "root",
    value: "FILE",
    isRepeatable: true,
    summary: "trust this root instead of the vendor's: certificate, PEM or DER; for node the agent's public key",
  },
  { long: "with", value: "NAME=FILE", isRepeatable: true, summary: "an endorsement, e.g. endorsement-key=vcek.der or signer=ask.pem" },
  {
    long: "collateral",
    value: "DIR",
    summary: "Intel's documents: tcb-info.json, qe-identity.json, tcb-signing-chain.pem, pck-crl.der, root-ca-crl.der",
  },
  { long: "at", value: "TIME", summary: "verify as of this time (default: now)" },
  {
    long: "signatures-only",
    summary: "where collateral is lost: verify the signature chain, say nothing about the platform's patch level",
  },
  { long: "json", summary: "print the result as JSON" },
  { long: "help", summary: "this text" },
];
