import type { Claims } from "@vouchsafe/attestation";
import type { AttestationVariant, Resolved, SignerFactor } from "@vouchsafe/policy";
import { hardwareProblem } from "./appraise-hardware.ts";
import { differs, type PolicyRefusal, tooLow } from "./policy-refusal.ts";

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
