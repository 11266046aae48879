import type { Claims } from "@vouchsafe/attestation";
import {
  type HardwareFacts,
  type HardwareKind,
  minimumSvnWord,
  type SnpGuestPolicy,
  type SnpPlatformProperty,
  tcbWord,
} from "@vouchsafe/policy";
import { differs, type PolicyRefusal, tooLow } from "./policy-refusal.ts";

/** Words of the language whose claim has another name than the word itself. */
const CLAIM_NAMES: Readonly<Record<string, string>> = {
  mrtd: "mrTd",
  mrconfigid: "mrConfigId",
  mrowner: "mrOwner",
  mrownerconfig: "mrOwnerConfig",
  mrseam: "mrSeam",
  mrservicetd: "mrServiceTd",
  td_attributes: "tdAttributes",
  config_id: "configId",
  isvextprodid: "isvExtProdId",
  isvfamilyid: "isvFamilyId",
  host_data: "hostData",
  family_id: "familyId",
  image_id: "imageId",
  id_key_digest: "idKeyDigest",
  author_key_digest: "authorKeyDigest",
  signing_key: "signingKey",
  firmware_version: "firmwareVersion",
};

type WantedClaims<Word extends string> = Readonly<Record<Word, { readonly claim: string; readonly wanted: boolean }>>;

/** Properties of an SNP platform, by the claims that say so. */
const PLATFORM_CLAIMS: WantedClaims<SnpPlatformProperty> = {
  "alias-check": { claim: "platformInfo.aliasCheckComplete", wanted: true },
  "smt-off": { claim: "platformInfo.smtEnabled", wanted: false },
  ecc: { claim: "platformInfo.eccEnabled", wanted: true },
  "ciphertext-hiding": { claim: "platformInfo.ciphertextHidingEnabled", wanted: true },
  "rapl-off": { claim: "platformInfo.raplDisabled", wanted: true },
};

/** What the policy demands that an SNP guest was started with, by the claims that say so. */
const GUEST_POLICY_CLAIMS: WantedClaims<SnpGuestPolicy> = {
  "smt-off": { claim: "policy.smtAllowed", wanted: false },
  "single-socket": { claim: "policy.singleSocketRequired", wanted: true },
  "cxl-off": { claim: "policy.cxlAllowed", wanted: false },
  "aes-256-xts": { claim: "policy.aes256XtsRequired", wanted: true },
  "rapl-off": { claim: "policy.raplDisabled", wanted: true },
  "ciphertext-hiding": { claim: "policy.ciphertextHidingRequired", wanted: true },
  "page-swap-off": { claim: "policy.pageSwapDisabled", wanted: true },
};

/** SL-85: every fact that the variant names, and all of them of evidence of its kind. Simulated evidence counts as the kind it imitates (cas.md §9.1). */
export function hardwareProblem(claims: Claims, facts: HardwareFacts<never>): PolicyRefusal | undefined {
  const { kind, values, platform = [], guestPolicy = [] } = facts;
  const found = String(claims.kind === "simulated" ? claims.details["imitates"] : claims.kind);
  if (found !== kind) {
    const remedy = `Attest with ${kind} evidence, or write a variant for ${found}.`;
    return {
      path: [kind],
      field: "evidence kind",
      expected: kind,
      found,
      remedy,
      message: `evidence is of kind ${found}, expected ${kind}`,
    };
  }
  for (const [word, accepted] of Object.entries(values)) {
    const claim = word === "measurement" ? claims.launchMeasurement.toHex() : claims.details[CLAIM_NAMES[word] ?? word];
    if (claim !== undefined && accepted.some((value) => value === String(claim))) continue;
    const register = /^pcr(\d+)$/.exec(word)?.[1];
    const path = register === undefined ? [kind, word] : [kind, "pcrs", register];
    const refusal = differs(path, register === undefined ? word : `PCR ${register}`, {
      found: String(claim ?? "not in the evidence"),
      expected: accepted,
    });
    if (register === undefined || kind !== "nitro" || !claims.debug) return refusal;
    return { ...refusal, message: `${refusal.message}; in debug mode every PCR is zero`, remedy: NITRO_DEBUG };
  }
  return (
    wantedProblem(claims, platform, PLATFORM_CLAIMS, [kind, "platform"]) ??
    wantedProblem(claims, guestPolicy, GUEST_POLICY_CLAIMS, [kind, "guest_policy"]) ??
    minimumProblem(claims, facts)
  );
}

const NITRO_DEBUG = "Start the enclave without debug mode: in it the hypervisor reports every PCR as zero.";

function wantedProblem<Word extends string>(
  { details }: Claims,
  words: readonly Word[],
  table: WantedClaims<Word>,
  path: readonly string[],
): PolicyRefusal | undefined {
  const word = words.find((candidate) => details[table[candidate].claim] !== table[candidate].wanted);
  if (word === undefined) return undefined;
  const found = details[table[word].claim] === undefined ? "not in the evidence" : "not so";
  return differs(path, word, { found, expected: ["so"] });
}

/** Claims of a kind that say the security versions of its platform begin with this. */
const TCB_CLAIMS: Readonly<Partial<Record<HardwareKind, string>>> = { snp: "reportedTcb", tdx: "teeTcb" };
const SVN_CLAIMS: Readonly<Partial<Record<HardwareKind, string>>> = { snp: "guestSvn", sgx: "configSvn" };

function minimumProblem({ details }: Claims, { kind, minimumTcb, minimumSvn }: HardwareFacts<never>): PolicyRefusal | undefined {
  const found = (part: string) => details[`${TCB_CLAIMS[kind]}.${part}`];
  for (const [part, least] of Object.entries(minimumTcb)) {
    // Each version of the TDX module counts its security versions anew, so that those of a newer one are not compared with this.
    const leastVersion = part === "moduleSvn" ? minimumTcb["moduleVersion"] : undefined;
    if (leastVersion !== undefined && Number(found("moduleVersion")) > leastVersion) continue;
    const claim = found(part);
    if (typeof claim === "number" && claim >= least) continue;
    const word = tcbWord(part);
    return tooLow([kind, "minimum_tcb", word], `TCB version of ${word}`, claim, least, "Update the firmware of the platform");
  }
  if (minimumSvn === undefined) return undefined;
  const claim = details[SVN_CLAIMS[kind] ?? ""];
  if (typeof claim === "number" && claim >= minimumSvn) return undefined;
  const word = minimumSvnWord(kind);
  return tooLow([kind, word], word.replace("_min", ""), claim, minimumSvn, "Start a newer version of the program");
}
