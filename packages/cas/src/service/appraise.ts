import type { Claims } from "@vouchsafe/attestation";
import type { AttestationVariant, HardwareFacts, Resolved, SignerFactor, SnpPlatformProperty } from "@vouchsafe/policy";
import { differs, type PolicyRefusal } from "./policy-refusal.ts";

/** Step "variants": undefined when one admits (SL-76), otherwise the reason of each (SL-78). No variant admits nothing. */
export function appraiseVariants(
  claims: Claims,
  variants: readonly Resolved<AttestationVariant<never>>[],
): readonly PolicyRefusal[] | undefined {
  const refusals: PolicyRefusal[] = [];
  for (const [position, candidate] of variants.entries()) {
    const problem = candidate.kind === "unresolved" ? unusable(candidate.reason) : variantProblem(claims, candidate.value);
    if (problem === undefined) return undefined;
    const { path, message } = problem;
    refusals.push({ ...problem, path: ["attestation", position, ...path], message: `variant ${position + 1}: ${message}` });
  }
  if (refusals.length > 0) return refusals;
  return [{ ...unusable("the service has no attestation variant"), path: ["attestation"] }];
}

/** Step "platforms": undefined when the platform is listed or none is asked for. */
export function appraisePlatformId(claims: Claims, platforms: readonly string[]): PolicyRefusal | undefined {
  if (platforms.length === 0 || platforms.includes(claims.platformId)) return undefined;
  return differs(["platforms"], "platform", { found: claims.platformId, expected: platforms });
}

/** A variant that cannot be compared with anything. */
const unusable = (message: string): PolicyRefusal => ({
  path: [],
  field: "code measurement",
  expected: "a variant that says what is admitted",
  found: message,
  remedy: "Name what may run: mrenclave, signer, image, or facts of the hardware's evidence.",
  message,
});

function variantProblem(claims: Claims, { mrenclave, signer, image, hardware }: AttestationVariant<never>): PolicyRefusal | undefined {
  if (mrenclave === undefined && signer === undefined && image === undefined && hardware === undefined)
    return unusable("asks for nothing, which admits nothing");
  if (mrenclave !== undefined && !mrenclave.includes(claims.codeIdentity))
    return differs(["mrenclave"], "code measurement", { found: claims.codeIdentity, expected: mrenclave });
  if (image !== undefined && !image.includes(claims.workload?.imageDigest ?? ""))
    return differs(["image"], "image", { found: claims.workload?.imageDigest ?? "not measured", expected: image });
  const problem = signer === undefined ? undefined : signerProblem(claims, signer);
  return problem ?? (hardware === undefined ? undefined : hardwareProblem(claims, hardware));
}

/** Words of the language whose claim has another name than the word itself. */
const CLAIM_NAMES: Readonly<Record<string, string>> = {
  mrtd: "mrTd",
  mrconfigid: "mrConfigId",
  mrowner: "mrOwner",
  mrownerconfig: "mrOwnerConfig",
  mrseam: "mrSeam",
  config_id: "configId",
  host_data: "hostData",
  family_id: "familyId",
  image_id: "imageId",
  id_key_digest: "idKeyDigest",
  author_key_digest: "authorKeyDigest",
  signing_key: "signingKey",
};

/** Properties of an SNP platform, by the claims that say so. */
const PLATFORM_CLAIMS: Readonly<Record<SnpPlatformProperty, { readonly claim: string; readonly wanted: boolean }>> = {
  "alias-check": { claim: "platformInfo.aliasCheckComplete", wanted: true },
  "smt-off": { claim: "platformInfo.smtEnabled", wanted: false },
  ecc: { claim: "platformInfo.eccEnabled", wanted: true },
  "ciphertext-hiding": { claim: "platformInfo.ciphertextHidingEnabled", wanted: true },
  "rapl-off": { claim: "platformInfo.raplDisabled", wanted: true },
};

/** SL-85: every fact that the variant names, and all of them of evidence of its kind. Simulated evidence counts as the kind it imitates (cas.md §9.1). */
function hardwareProblem(claims: Claims, { kind, values, platform = [], minimumTcb }: HardwareFacts<never>): PolicyRefusal | undefined {
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
    return differs(path, register === undefined ? word : `PCR ${register}`, {
      found: String(claim ?? "not in the evidence"),
      expected: accepted,
    });
  }
  for (const property of platform) {
    const { claim, wanted } = PLATFORM_CLAIMS[property];
    if (claims.details[claim] === wanted) continue;
    const found = claims.details[claim] === undefined ? "not in the evidence" : "not so";
    return differs([kind, "platform"], property, { found, expected: ["so"] });
  }
  for (const [part, least] of Object.entries(minimumTcb)) {
    const claim = claims.details[`reportedTcb.${part}`];
    if (typeof claim === "number" && claim >= least) continue;
    const word = part === "bootLoader" ? "boot_loader" : part;
    return tooLow([kind, "minimum_tcb", word], `TCB version of ${part}`, claim, least, "Update the firmware of the platform");
  }
  return undefined;
}

/** Security versions of SGX have 16 bits. */
const SVN_MAX = 0xffff;

function signerProblem({ signer }: Claims, expected: SignerFactor<never>): PolicyRefusal | undefined {
  const { mrsigner, isvprodid, isvsvn, isvsvnMin = 0, isvsvnMax = SVN_MAX } = expected;
  const at = (field: string) => ["signer", field];
  if (signer === undefined) {
    const [field, found] = ["mrsigner", "no signer"];
    const remedy = "Only SGX evidence names a signer: admit other programs by mrenclave or image.";
    return { path: at(field), field, expected: mrsigner, found, remedy, message: "the evidence names no signer of the program" };
  }
  if (signer.mrSigner !== mrsigner) return differs(at("mrsigner"), "mrsigner", { found: signer.mrSigner, expected: [mrsigner] });
  if (signer.isvProdId !== isvprodid)
    return differs(at("isvprodid"), "isvprodid", { found: String(signer.isvProdId), expected: [isvprodid] });
  if (isvsvn !== undefined && signer.isvSvn !== isvsvn)
    return differs(at("isvsvn"), "isvsvn", { found: String(signer.isvSvn), expected: [isvsvn] });
  if (signer.isvSvn < isvsvnMin)
    return tooLow(at("isvsvn_min"), "isvsvn", signer.isvSvn, isvsvnMin, "Start a newer version of the program");
  if (signer.isvSvn > isvsvnMax)
    return differs(at("isvsvn_max"), "isvsvn", { found: String(signer.isvSvn), expected: [`at most ${isvsvnMax}`] });
  return undefined;
}

function tooLow(path: readonly string[], field: string, claim: unknown, least: number, update: string): PolicyRefusal {
  const [found, expected] = [typeof claim === "number" ? String(claim) : "not in the evidence", `at least ${least}`];
  return {
    path,
    field,
    expected,
    found,
    remedy: `${update}, or lower the minimum.`,
    message: `${field} is ${found}, expected ${expected}`,
  };
}
