import type { Claims } from "../core/claims.ts";
import { verifyTdxEvidence } from "../tdx/verify-tdx-evidence.ts";
import { anchorOf, fileOf, timeOf } from "./case-input.ts";
import type { VectorCase } from "./vector-case.ts";

const INTEL_ROOT = "intel-sgx-root-ca.pem";

/** Verifies the signature chain of a TDX quote that is a part of other Evidence, up to Intel's root and at the case's time. */
export function verifyTdxSignatures(vectorCase: VectorCase, file: string): Claims {
  return verifyTdxEvidence(
    { kind: "tdx", bytes: fileOf(vectorCase, file) },
    {
      now: timeOf(vectorCase),
      trustAnchors: { tdx: anchorOf(vectorCase, INTEL_ROOT) },
      collateral: {},
      insecure: "signature-chain-only",
    },
  );
}

/** The fields that the collection gives for a TDX guest. */
export function tdxFields({ details, userData }: Claims): Record<string, unknown> {
  const { rtmr0, rtmr1, rtmr2, rtmr3, mrTd, mrConfigId, tdAttributes } = details;
  return { rtmr0, rtmr1, rtmr2, rtmr3, mrtd: mrTd, mrconfigid: mrConfigId, tdAttributes, reportData: userData.toHex() };
}

export const rtmrsOf = ({ details }: Claims): readonly Uint8Array[] =>
  ["rtmr0", "rtmr1", "rtmr2", "rtmr3"].map((name) => Uint8Array.fromHex(String(details[name])));
