import { judgeCasEvidence } from "@vouchsafe/protocol";
import type { JudgeCasResource } from "../operator/attest-cas-resource.ts";

/** Judges as the operator's program does, without documents of vendors: those of simulated platforms come with their evidence. */
export const judgeWithoutCollateral: JudgeCasResource = (cas, attested, openCredential) =>
  judgeCasEvidence(attested, cas.spec.attestation, openCredential, {
    ownSecurityVersion: 1,
    findCollateral: async () => ({}),
    now: new Date(),
  });
