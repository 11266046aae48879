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
    value: "FILE|DIR",
    summary:
      "a bundle made by collateral bundle, or a directory with tcb-info.json, qe-identity.json, tcb-signing-chain.pem, pck-crl.der, root-ca-crl.der",
  },
  { long: "at", value: "TIME", summary: "verify as of this time (default: now)" },
  {
    long: "signatures-only",
    summary: "where collateral is lost: verify the signature chain, say nothing about the platform's patch level",
  },
  { long: "json", summary: "print the result as JSON" },
  { long: "help", summary: "this text" },
];

/** The policy to judge by, as the CAS would. */
export const POLICY_OPTIONS: readonly OptionSpec[] = [
  { long: "policy", value: "FILE", summary: "judge by this session, and name the line that refuses" },
  { long: "service", value: "NAME", summary: "the service of --policy, where it has several" },
];

const KINDS = ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"];

/** Reference values for `verify`. */
export const CORIM_OPTION: OptionSpec = {
  long: "reference",
  value: "FILE",
  isRepeatable: true,
  summary: "reference values as CoRIM: the evidence has to match one of them; who made the file has to be known",
};

/** What `explain` compares the claims with, beside the options of `verify`. */
export const REFERENCE_OPTIONS: readonly OptionSpec[] = [
  { long: "accept", value: "KIND", words: KINDS, isRepeatable: true, summary: "a kind of evidence that is accepted" },
  { long: "code-identity", value: "HEX", isRepeatable: true, summary: "an expected code identity, as policies name it with mrenclave" },
  { long: "launch-measurement", value: "HEX", isRepeatable: true, summary: "an expected launch measurement" },
  { long: "user-data", value: "HEX", summary: "the expected channel binding or report data (default: any)" },
  { long: "platform", value: "ID", isRepeatable: true, summary: "an accepted platform, e.g. SNP_CHIP_ID:..." },
  {
    long: "fact",
    value: "NAME=VALUE",
    isRepeatable: true,
    summary: "an expected fact of the kind, e.g. vmpl=0; for one name several mean one of them",
  },
  {
    long: "tolerate",
    value: "STATUS",
    words: ["SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
    isRepeatable: true,
    summary: "a TCB status that is accepted",
  },
  { long: "ignore-advisory", value: "ID", isRepeatable: true, summary: "an advisory that is accepted, e.g. INTEL-SA-00615" },
  { long: "allow-debug", summary: "accept debug mode" },
];
