import type { IntelCollateral } from "../../collateral/intel-documents.ts";
import { EvidenceError } from "../../core/errors.ts";
import type { VerificationContext } from "../../core/trust.ts";
import { verifyEvidence } from "../../core/verify.ts";

/** What a verifier is given besides the Evidence. Shared by many subjects, so peers are told once. */
export interface Setting {
  readonly name: string;
  readonly kind: "sgx" | "tdx" | "snp";
  /** DER; for `snp` the ARK. */
  readonly root: Uint8Array;
  /** Intel's documents; `pckCrlIssuerChain` (PEM) is for peers that ask for it. */
  readonly intel?: IntelCollateral & { readonly pckCrlIssuerChain: Uint8Array };
  readonly snp?: { readonly endorsementKey: Uint8Array; readonly signer: Uint8Array; readonly isVlek: boolean; readonly product: string };
}

/** One question to all verifiers. */
export interface Subject {
  /** What was done to which Evidence; questions with the same label are told together. */
  readonly label: string;
  readonly setting: Setting;
  readonly evidence: Uint8Array;
  readonly now: Date;
}

export interface Verdict {
  readonly verdict: "accepted" | "refused" | "crashed" | "not judged";
  /** TCB status of what was accepted, where the verifier gives one. */
  readonly status?: string;
  readonly advisories?: readonly string[];
  readonly reason?: string;
}

/** Our own verdict. What is no EvidenceError is a crash. */
export function judgeOurselves({ setting, evidence, now }: Subject): Verdict {
  const { kind, root, intel, snp } = setting;
  const context: VerificationContext = {
    now,
    trustAnchors: { [kind]: [root] },
    collateral: intel === undefined ? {} : { intel: () => intel },
  };
  const endorsements =
    snp === undefined
      ? {}
      : {
          endorsements: new Map([
            ["endorsement-key", snp.endorsementKey],
            ["signer", snp.signer],
          ]),
        };
  try {
    const { tcb, weaknesses = [] } = verifyEvidence({ kind, bytes: evidence, ...endorsements }, context);
    if (weaknesses.length > 0) return { verdict: "refused", reason: "td-attributes" }; // nobody accepts them unless told to
    return kind === "snp" ? { verdict: "accepted" } : { verdict: "accepted", status: tcb.status, advisories: tcb.advisories };
  } catch (error) {
    if (error instanceof EvidenceError) return { verdict: "refused", reason: error.reason };
    return { verdict: "crashed", reason: String(error) };
  }
}
