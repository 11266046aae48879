import type { Claims, TcbStatus } from "@vouchsafe/attestation";
import type { CasStatement, CasTolerance } from "./client-api.ts";

/** What a CAS has to be (C-65 to C-68). */
export interface CasExpectations {
  /** Code identities, any of which matches; empty: none is named, and the security version counts instead. */
  readonly codeIdentities: readonly string[];
  /** Undefined: the signer of an official release; a build that knows none accepts no signed code without being told its signer. */
  readonly signer: { readonly mrSigner: string; readonly isvProdId: number } | undefined;
  /** Of the signed enclave (ISVSVN), for other kinds of the software as its statement says. */
  readonly minSecurityVersion: number;
  readonly ignoresSigner: boolean;
  readonly allowsDebug: boolean;
  readonly tolerated: readonly CasTolerance[];
}

/** One thing that is not as expected, and the switch of the command line that would accept it. */
export interface CasMismatch {
  readonly what: string;
  readonly expected: string;
  readonly found: string;
  readonly acceptedBy: string | undefined;
}

const NEEDED: Readonly<Partial<Record<TcbStatus, readonly CasTolerance[]>>> = {
  UpToDate: [],
  SWHardeningNeeded: ["hardening-needed"],
  ConfigurationNeeded: ["configuration-needed"],
  ConfigurationAndSWHardeningNeeded: ["configuration-needed", "hardening-needed"],
  OutOfDate: ["out-of-date"],
  OutOfDateConfigurationNeeded: ["out-of-date", "configuration-needed"],
};

/** What has to be tolerated of a platform of this status; undefined where no tolerance helps. */
export const neededTolerances = (status: TcbStatus): readonly CasTolerance[] | undefined => NEEDED[status];

/** Compares what the evidence of a CAS proves with what is expected. Empty: the CAS is accepted. */
export function appraiseCas(
  claims: Claims,
  { securityVersion }: Pick<CasStatement, "securityVersion">,
  expected: CasExpectations,
): CasMismatch[] {
  return [
    ...codeMismatches(claims, expected),
    ...signerMismatches(claims, expected),
    ...versionMismatches(claims.signer?.isvSvn ?? securityVersion, expected),
    ...debugMismatches(claims, expected),
    ...platformMismatches(claims, expected),
  ];
}

/** `Caused by:` in the words of C-71. */
export const describeMismatch = ({ what, expected, found }: CasMismatch): string =>
  `${what} does not match: ${found}; expected ${expected}`;

/** Code that nobody signed has no other name than its measurement. */
function codeMismatches({ codeIdentity, signer, kind }: Claims, { codeIdentities }: CasExpectations): CasMismatch[] {
  if (codeIdentities.includes(codeIdentity) || (codeIdentities.length === 0 && signer !== undefined)) return [];
  const expected = codeIdentities.join(" or ") || `one that you name, as evidence of kind ${kind} names no signer`;
  return [{ what: "measurement", expected, found: codeIdentity, acceptedBy: `--mrenclave ${codeIdentity}` }];
}

function signerMismatches({ signer: found }: Claims, { signer, ignoresSigner, minSecurityVersion }: CasExpectations): CasMismatch[] {
  if (found === undefined || ignoresSigner) return [];
  const acceptedBy = `--mrsigner ${found.mrSigner} --isvprodid ${found.isvProdId} --isvsvn ${Math.min(found.isvSvn, minSecurityVersion)}`;
  if (signer === undefined)
    return [{ what: "signer", expected: "that of an official release, of which this build knows none", found: found.mrSigner, acceptedBy }];
  return [
    ...(signer.mrSigner === found.mrSigner ? [] : [{ what: "signer", expected: signer.mrSigner, found: found.mrSigner, acceptedBy }]),
    ...(signer.isvProdId === found.isvProdId
      ? []
      : [{ what: "product", expected: String(signer.isvProdId), found: String(found.isvProdId), acceptedBy }]),
  ];
}

function versionMismatches(found: number, { codeIdentities, minSecurityVersion }: CasExpectations): CasMismatch[] {
  if (codeIdentities.length > 0 || found >= minSecurityVersion) return [];
  return [{ what: "security version", expected: `at least ${minSecurityVersion}`, found: String(found), acceptedBy: `--isvsvn ${found}` }];
}

function debugMismatches({ debug }: Claims, { allowsDebug }: CasExpectations): CasMismatch[] {
  if (!debug || allowsDebug) return [];
  return [{ what: "mode", expected: "production", found: "debug", acceptedBy: "--only_for_testing-debug" }];
}

function platformMismatches({ tcb, weaknesses = [] }: Claims, { tolerated }: CasExpectations): CasMismatch[] {
  const needed = neededTolerances(tcb.status);
  const missing = needed?.filter((tolerance) => !tolerated.includes(tolerance));
  const advisories = tcb.advisories.length === 0 ? "" : ` (${tcb.advisories.join(", ")})`;
  const expected = ["UpToDate", ...tolerated].join(" or ");
  return [
    ...(missing?.length === 0
      ? []
      : [
          {
            what: "platform",
            expected,
            found: `${tcb.status}${advisories}`,
            acceptedBy: missing?.map((tolerance) => `--${tolerance}`).join(" "),
          },
        ]),
    ...(weaknesses.length === 0 || tolerated.includes("configuration-needed")
      ? []
      : [{ what: "configuration", expected: "nothing weak", found: weaknesses.join("; "), acceptedBy: "--configuration-needed" }]),
  ];
}
