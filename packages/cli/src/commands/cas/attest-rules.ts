import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parsePemCertificates } from "@vouchsafe/attestation";
import { CAS_TOLERANCES, type CasPin, CasTerms } from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { usage } from "../../parse-options.ts";
import type { Shell } from "../../shell.ts";

/** What the client accepts. Everything less than attested hardware is accepted on request only, and prints a warning (C-68). */
export interface AttestRules extends CasPin {
  /** Without what the files of `trust` hold: see {@link readTerms}. */
  readonly terms: CasTerms;
  /** Evidence, if any, is not judged; only the key of the CAS counts. */
  readonly trustsAny: boolean;
  readonly allowsUnprovisioned: boolean;
  readonly allowsOwnerSecretAccess: boolean;
  readonly trust: EvidenceTrustFiles;
  /** Options that say something about evidence, as they were given. */
  readonly aboutEvidence: readonly string[];
}

/** Files with roots and collateral; the vendors' own unless given. */
export interface EvidenceTrustFiles {
  readonly roots: readonly string[];
  readonly simulatedRoot: string | undefined;
  readonly endorsementRoots: readonly string[];
  /** A bundle; Intel's and AMD's services unless given. */
  readonly collateral: string | undefined;
}

const TESTING = { any: "only_for_testing-trust-any", debug: "only_for_testing-debug", signer: "only_for_testing-ignore-signer" } as const;
const HEX_32 = /^[0-9a-f]{64}$/;
const NUMBER = /^\d{1,5}$/;
const NUMBER_MAX = 65_535;

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
    terms: CasTerms.parse({
      evidence: "required",
      ownerSecretAccess: hasFlag(options, "allow-cas-owner-secret-access"),
      mrenclave: codeIdentities,
      ...signer,
      ...(minimum === undefined ? {} : { isvsvn: readNumber("isvsvn", minimum) }),
      tolerate: CAS_TOLERANCES.filter((name) => hasFlag(options, name)),
      tpmEndorsementKeys: givenValues(options, "tpm-endorsement-key").map((text) =>
        matching("tpm-endorsement-key", text.replace(/^TPM_EK:/, ""), HEX_32, "TPM_EK: and 64 hexadecimal digits"),
      ),
      onlyForTesting: { debug: allowsDebug, ignoreSigner: ignoresSigner },
    }),
    trustsAny,
    allowsUnprovisioned: hasFlag(options, "only_for_testing_allow-unprovisioned-cas"),
    allowsOwnerSecretAccess: hasFlag(options, "allow-cas-owner-secret-access"),
    trust: {
      roots: givenValues(options, "evidence-root"),
      simulatedRoot: givenValue(options, "only_for_testing-simulated-root"),
      endorsementRoots: givenValues(options, "tpm-endorsement-root"),
      collateral: givenValue(options, "collateral"),
    },
    aboutEvidence: [
      ...["mrenclave", "mrsigner", "isvprodid", "isvsvn"].filter((name) => givenValues(options, name).length > 0),
      ...[...CAS_TOLERANCES, TESTING.signer].filter((name) => hasFlag(options, name)),
    ],
  };
}

function readSigner(options: ParsedOptions): Pick<CasTerms, "mrsigner" | "isvprodid"> | undefined {
  const [mrSigner, product, minimum] = ["mrsigner", "isvprodid", "isvsvn"].map((name) => givenValue(options, name));
  if (mrSigner === undefined && product === undefined) return undefined;
  if (mrSigner === undefined) throw usage("E-OPTION-MISSING", "--isvprodid needs --mrsigner");
  if (product === undefined || minimum === undefined) throw usage("E-OPTION-MISSING", "--mrsigner needs --isvprodid and --isvsvn");
  return {
    mrsigner: matching("mrsigner", mrSigner.toLowerCase(), HEX_32, "64 hexadecimal digits"),
    isvprodid: readNumber("isvprodid", product),
  };
}

function readNumber(name: string, text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (value <= NUMBER_MAX) return value;
  throw usage("E-OPTION-VALUE", `--${name} is ${JSON.stringify(text)}; expected a number of at most ${NUMBER_MAX}`);
}

function matching(name: string, text: string, form: RegExp, wanted: string): string {
  if (form.test(text)) return text;
  throw usage("E-OPTION-VALUE", `--${name} is ${JSON.stringify(text)}; expected ${wanted}`);
}

/** The terms with the certificates of the files that were named. Throws CliError E-FILE. */
export async function readTerms({ terms, trust }: AttestRules, { directory }: Pick<Shell, "directory">): Promise<CasTerms> {
  const read = (file: string) => readNamed(resolve(directory, file));
  const asPem = async (file: string) => pemOf(file, await read(file));
  return {
    ...terms,
    roots: await Promise.all(trust.roots.map(asPem)),
    tpmEndorsementRoots: (await Promise.all(trust.endorsementRoots.map(read))).map((bytes) => Buffer.from(bytes).toString("utf8")),
    onlyForTesting: {
      ...terms.onlyForTesting,
      ...(trust.simulatedRoot === undefined ? {} : { simulatedRoot: await asPem(trust.simulatedRoot) }),
    },
  };
}

function pemOf(file: string, bytes: Uint8Array): string {
  const isPem = Buffer.from(bytes).includes("-----BEGIN CERTIFICATE-----");
  try {
    const found = isPem ? parsePemCertificates(bytes).map(({ der }) => der) : [bytes];
    return found.map((der) => new X509Certificate(der).toString()).join("");
  } catch (cause) {
    throw new CliError("E-FILE", `${file} holds no certificate`, { cause });
  }
}

async function readNamed(file: string): Promise<Uint8Array> {
  return Uint8Array.from(
    await readFile(file).catch((cause: unknown) => {
      throw new CliError("E-FILE", `${file} cannot be read`, { cause });
    }),
  );
}
