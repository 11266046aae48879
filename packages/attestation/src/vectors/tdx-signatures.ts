import type { Claims } from "../core/claims.ts";
import { parseQuote } from "../sgx/quote.ts";
import { verifyTdxEvidence } from "../tdx/verify-tdx-evidence.ts";
import type { Fields } from "./answer.ts";
import { anchorOf, fileOf, timeOf } from "./case-input.ts";
import { bodyFields } from "./judge-intel.ts";
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
export function tdxFields(vectorCase: VectorCase, file: string): Fields {
  const { body } = parseQuote(fileOf(vectorCase, file));
  return body.kind === "SgxEnclave" ? {} : bodyFields(body);
}

export const rtmrsOf = ({ details }: Claims): readonly Uint8Array[] =>
  ["rtmr0", "rtmr1", "rtmr2", "rtmr3"].map((name) => Uint8Array.fromHex(String(details[name])));
