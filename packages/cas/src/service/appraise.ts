import type { Claims } from "@vouchsafe/attestation";
import type { AttestationVariant, HardwareFacts, Resolved, SignerFactor } from "@vouchsafe/policy";

/** Step "variants": undefined when one admits (SL-76), otherwise the reason of each (SL-78). No variant admits nothing. */
export function appraiseVariants(claims: Claims, variants: readonly Resolved<AttestationVariant<never>>[]): readonly string[] | undefined {
  const reasons: string[] = [];
  for (const [position, candidate] of variants.entries()) {
    const problem = candidate.kind === "unresolved" ? candidate.reason : variantProblem(claims, candidate.value);
    if (problem === undefined) return undefined;
    reasons.push(`variant ${position + 1}: ${problem}`);
  }
  return reasons.length === 0 ? ["the service has no attestation variant"] : reasons;
}

/** Step "platforms": undefined when the platform is listed or none is asked for. */
export function appraisePlatformId(claims: Claims, platforms: readonly string[]): string | undefined {
  if (platforms.length === 0 || platforms.includes(claims.platformId)) return undefined;
  return `platform is ${claims.platformId}, expected ${platforms.join(" or ")}`;
}

function variantProblem(claims: Claims, { mrenclave, signer, image, hardware }: AttestationVariant<never>): string | undefined {
  if (mrenclave === undefined && signer === undefined && image === undefined && hardware === undefined)
    return "asks for nothing, which admits nothing";
  if (mrenclave !== undefined && !mrenclave.includes(claims.codeIdentity)) {
    return `code measurement is ${claims.codeIdentity}, expected ${mrenclave.join(" or ") || "none"}`;
  }
  if (image !== undefined && !image.includes(claims.workload?.imageDigest ?? "")) {
    return `image is ${claims.workload?.imageDigest ?? "not measured"}, expected ${image.join(" or ") || "none"}`;
  }
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
};

/** SL-85: every fact that the variant names, and all of them of evidence of its kind. Simulated evidence counts as the kind it imitates (cas.md §9.1). */
function hardwareProblem(claims: Claims, { kind, values, minimumTcb }: HardwareFacts<never>): string | undefined {
  const found = claims.kind === "simulated" ? claims.details["imitates"] : claims.kind;
  if (found !== kind) return `evidence is of kind ${found}, expected ${kind}`;
  for (const [word, accepted] of Object.entries(values)) {
    const claim = word === "measurement" ? claims.launchMeasurement.toHex() : claims.details[CLAIM_NAMES[word] ?? word];
    if (!accepted.some((value) => value === claim)) {
      const name = word.startsWith("pcr") ? `PCR ${word.slice(3)}` : word;
      return `${name} is ${claim ?? "not in the evidence"}, expected ${accepted.join(" or ") || "none"}`;
    }
  }
  for (const [part, least] of Object.entries(minimumTcb)) {
    const claim = claims.details[`reportedTcb.${part}`];
    if (typeof claim !== "number" || claim < least)
      return `TCB version of ${part} is ${claim ?? "not in the evidence"}, expected at least ${least}`;
  }
  return undefined;
}

function signerProblem({ signer }: Claims, expected: SignerFactor<never>): string | undefined {
  if (signer === undefined) return "the evidence names no signer of the program";
  const { mrsigner, isvprodid, isvsvn, isvsvnMin, isvsvnMax } = expected;
  if (signer.mrSigner !== mrsigner) return `mrsigner is ${signer.mrSigner}, expected ${mrsigner}`;
  if (signer.isvProdId !== isvprodid) return `isvprodid is ${signer.isvProdId}, expected ${isvprodid}`;
  if (isvsvn !== undefined && signer.isvSvn !== isvsvn) return `isvsvn is ${signer.isvSvn}, expected ${isvsvn}`;
  if (isvsvnMin !== undefined && signer.isvSvn < isvsvnMin) return `isvsvn is ${signer.isvSvn}, expected at least ${isvsvnMin}`;
  if (isvsvnMax !== undefined && signer.isvSvn > isvsvnMax) return `isvsvn is ${signer.isvSvn}, expected at most ${isvsvnMax}`;
  return undefined;
}
