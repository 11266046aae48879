import { CAS_SOFTWARE } from "@vouchsafe/cas";
import { CAS_TOLERANCES, type CasExpectations, type CasPin } from "@vouchsafe/protocol";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";

/** What the client accepts. Everything less than attested hardware is accepted on request only, and prints a warning (C-68). */
export interface AttestRules extends CasPin {
  readonly expected: CasExpectations;
  /** Evidence, if any, is not judged; only the key of the CAS counts. */
  readonly trustsAny: boolean;
  readonly allowsUnprovisioned: boolean;
  readonly allowsOwnerSecretAccess: boolean;
  readonly trust: EvidenceTrustFiles;
  /** Options that say something about evidence, as they were given. */
  readonly aboutEvidence: readonly string[];
}

/** Where roots and collateral come from; the vendors' own unless given. */
export interface EvidenceTrustFiles {
  readonly roots: readonly string[];
  readonly simulatedRoot: string | undefined;
  readonly endorsementRoots: readonly string[];
  readonly endorsementKeys: readonly string[];
  /** A bundle; Intel's and AMD's services unless given. */
  readonly collateral: string | undefined;
}

const TESTING = { any: "only_for_testing-trust-any", debug: "only_for_testing-debug", signer: "only_for_testing-ignore-signer" } as const;
const HEX_32 = /^[0-9a-f]{64}$/;
const NUMBER = /^\d{1,5}$/;

/** `measurement` is the old second operand, the same as `--mrenclave` (C-66). Throws usage errors for what contradicts itself or is of no use. */
export function attestRules(options: ParsedOptions, measurement?: string): AttestRules {
  const codeIdentities = [...givenValues(options, "mrenclave"), ...(measurement === undefined ? [] : [measurement])].map((text) =>
    matching("mrenclave", text.toLowerCase(), HEX_32, "64 hexadecimal digits"),
  );
  const signer = readSigner(options);
  const minimum = givenValue(options, "isvsvn");
  const [trustsAny, allowsDebug, ignoresSigner] = [
    hasFlag(options, TESTING.any),
    hasFlag(options, TESTING.debug),
    hasFlag(options, TESTING.signer),
  ];
  const missing = (needed: string, wants: string) => usage("E-OPTION-MISSING", `--${needed} needs ${wants}`);
  if (trustsAny && !allowsDebug) throw missing(TESTING.any, `--${TESTING.debug}`);
  if (allowsDebug && !trustsAny && !ignoresSigner && signer === undefined)
    throw missing(TESTING.debug, `--${TESTING.signer}, --mrsigner or --${TESTING.any}`);
  if (ignoresSigner && codeIdentities.length === 0 && !trustsAny)
    throw missing(TESTING.signer, `--mrenclave, as nothing else says which code runs, or --${TESTING.any}`);
  return {
    casKeyHash: givenValue(options, "cas-key-hash"),
    softwareKeyHash: givenValue(options, "cas-software-key-hash"),
    expected: {
      codeIdentities,
      signer,
      minSecurityVersion: minimum === undefined ? CAS_SOFTWARE.securityVersion : Number(matching("isvsvn", minimum, NUMBER, "a number")),
      ignoresSigner,
      allowsDebug,
      tolerated: CAS_TOLERANCES.filter((name) => hasFlag(options, name)),
    },
    trustsAny,
    allowsUnprovisioned: hasFlag(options, "only_for_testing_allow-unprovisioned-cas"),
    allowsOwnerSecretAccess: hasFlag(options, "allow-cas-owner-secret-access"),
    trust: {
      roots: givenValues(options, "evidence-root"),
      simulatedRoot: givenValue(options, "only_for_testing-simulated-root"),
      endorsementRoots: givenValues(options, "tpm-endorsement-root"),
      endorsementKeys: givenValues(options, "tpm-endorsement-key").map((text) =>
        matching("tpm-endorsement-key", text.replace(/^TPM_EK:/, ""), HEX_32, "TPM_EK: and 64 hexadecimal digits"),
      ),
      collateral: givenValue(options, "collateral"),
    },
    aboutEvidence: [
      ...["mrenclave", "mrsigner", "isvprodid", "isvsvn"].filter((name) => givenValues(options, name).length > 0),
      ...[...CAS_TOLERANCES, TESTING.signer].filter((name) => hasFlag(options, name)),
    ],
  };
}

function readSigner(options: ParsedOptions): CasExpectations["signer"] {
  const [mrSigner, product, minimum] = ["mrsigner", "isvprodid", "isvsvn"].map((name) => givenValue(options, name));
  if (mrSigner === undefined && product === undefined) return undefined;
  if (mrSigner === undefined) throw usage("E-OPTION-MISSING", "--isvprodid needs --mrsigner");
  if (product === undefined || minimum === undefined) throw usage("E-OPTION-MISSING", "--mrsigner needs --isvprodid and --isvsvn");
  return {
    mrSigner: matching("mrsigner", mrSigner.toLowerCase(), HEX_32, "64 hexadecimal digits"),
    isvProdId: Number(matching("isvprodid", product, NUMBER, "a number")),
  };
}

function matching(name: string, text: string, form: RegExp, wanted: string): string {
  if (form.test(text)) return text;
  throw usage("E-OPTION-VALUE", `--${name} is ${JSON.stringify(text)}; expected ${wanted}`);
}
