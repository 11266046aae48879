import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type Claims,
  type Evidence,
  parsePemCertificates,
  type TrustAnchors,
  VENDOR_TRUST_ANCHORS,
  type VerificationContext,
} from "@vouchsafe/attestation";
import type { LogKeyEvidence } from "@vouchsafe/cas";
import {
  amdSource,
  bundleFileSource,
  CollateralError,
  CollateralProvider,
  collateralFor,
  intelSource,
  memoryFloors,
} from "@vouchsafe/collateral";
import {
  appraiseCas,
  type CasEvidenceTrust,
  type CasStatement,
  describeMismatch,
  type OpenCredential,
  type VerifiedCasStatement,
  verifyCasEvidence,
  verifyEvidenceOver,
} from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";
import type { Shell } from "../../shell.ts";
import { AMD, INTEL } from "../collateral/collateral-input.ts";
import type { AttestRules, EvidenceTrustFiles } from "./attest-rules.ts";

/**
 * Verifies the evidence that came with a statement and compares it with what is accepted (C-65 to C-68); whatever is accepted on request only is warned
 * about. Undefined where no evidence came. Throws CliError E-CAS-ATTEST with every mismatch and the switches that would accept them (C-71), ProtocolError.
 */
export async function judgeEvidence(
  attested: VerifiedCasStatement,
  rules: AttestRules,
  openCredential: OpenCredential | undefined,
  now: Date,
  shell: Pick<Shell, "note" | "directory">,
): Promise<Claims | undefined> {
  const claims = await verifyCasEvidence(attested, await evidenceTrust(rules.trust, now, shell), openCredential);
  return claims === undefined ? undefined : acceptClaims(claims, attested.statement, rules, shell);
}

/** The same for the evidence over the key of an audit log (C-87). No statement of the CAS came along: the version is that of signed code, or its measurement decides. */
export async function judgeLogKeyEvidence(
  { evidence, userData }: LogKeyEvidence,
  trust: CasEvidenceTrust,
  rules: AttestRules,
  shell: Pick<Shell, "note">,
): Promise<Claims> {
  const claims = await verifyEvidenceOver({ userData, what: "key of the log" }, evidence, trust, undefined);
  return acceptClaims(claims, { securityVersion: rules.expected.minSecurityVersion }, rules, shell);
}

function acceptClaims(
  claims: Claims,
  version: Pick<CasStatement, "securityVersion">,
  rules: AttestRules,
  shell: Pick<Shell, "note">,
): Claims {
  const mismatches = appraiseCas(claims, version, rules.expected);
  const [first, ...more] = mismatches.map(describeMismatch);
  if (first !== undefined) {
    const switches = [...new Set(mismatches.flatMap(({ acceptedBy }) => acceptedBy ?? []))];
    const isHopeless = mismatches.some(({ acceptedBy }) => acceptedBy === undefined);
    const remedy = isHopeless
      ? "No option accepts that: use another CAS."
      : `If that is the CAS you expect, accept it with: ${switches.join(" ")}.`;
    throw new CliError("E-CAS-ATTEST", first, { causes: more, remedy });
  }
  warn(claims, rules, shell);
  return claims;
}

function warn({ kind, debug, tcb, signer, details }: Claims, { expected }: AttestRules, { note }: Pick<Shell, "note">): void {
  if (kind === "simulated") note(`warning: DEVELOPMENT ONLY: the evidence is simulated (${details["imitates"]}); it proves nothing`);
  if (debug) note("warning: this CAS can be debugged: the root user of its machine can read what it keeps");
  if (expected.ignoresSigner && signer !== undefined) note(`warning: who signed this CAS was not checked (${signer.mrSigner})`);
  if (tcb.status !== "UpToDate") note(`warning: the platform of this CAS is accepted although it is ${tcb.status}`);
  if (tcb.advisories.length > 0) note(`warning: advisories are open for the platform of this CAS: ${tcb.advisories.join(", ")}`);
  if (kind === "tpm") note("notice: a TPM says what the machine booted; the root user of the machine can still read what this CAS keeps");
}

/** Roots and collateral by which evidence of a CAS is verified. Throws CliError for files that cannot be read. */
export async function evidenceTrust(
  files: EvidenceTrustFiles,
  now: Date,
  { directory }: Pick<Shell, "directory">,
): Promise<CasEvidenceTrust> {
  const read = (file: string) => readNamed(resolve(directory, file));
  const roots = (await Promise.all(files.roots.map(async (file) => certificates(file, await read(file))))).flat();
  const simulated = files.simulatedRoot === undefined ? [] : certificates(files.simulatedRoot, await read(files.simulatedRoot));
  const hardware: TrustAnchors =
    roots.length === 0 ? VENDOR_TRUST_ANCHORS : { sgx: roots, tdx: roots, snp: roots, nitro: roots, tpm: roots };
  const anchors = simulated.length === 0 ? hardware : { ...hardware, simulated };
  const endorsementRoots = (await Promise.all(files.endorsementRoots.map(read))).map((bytes) => Buffer.from(bytes).toString("utf8"));
  const sources =
    files.collateral === undefined
      ? [intelSource(new URL(INTEL), {}), amdSource(new URL(AMD), {})]
      : [bundleFileSource(resolve(directory, files.collateral))];
  const provider = new CollateralProvider({ sources, anchors, floors: memoryFloors(), now: () => now, random: Math.random });
  const findCollateral = async (evidence: Evidence, context: Omit<VerificationContext, "collateral">) => {
    try {
      return await collateralFor(provider, evidence, { update: "standard", context });
    } catch (cause) {
      if (!(cause instanceof CollateralError)) throw cause;
      throw new CliError("E-CAS-ATTEST", cause.message, { cause, remedy: "Give it with --collateral FILE (vouchsafe collateral bundle)." });
    }
  };
  return { anchors, tpm: { endorsementRoots, endorsementKeys: files.endorsementKeys }, findCollateral, now };
}

function certificates(file: string, bytes: Uint8Array): readonly Uint8Array[] {
  const isPem = Buffer.from(bytes).includes("-----BEGIN CERTIFICATE-----");
  const found = isPem ? parsePemCertificates(bytes).map(({ der }) => der) : [bytes];
  if (found.length === 0) throw new CliError("E-FILE", `${file} holds no certificate`);
  return found;
}

async function readNamed(file: string): Promise<Uint8Array> {
  return Uint8Array.from(
    await readFile(file).catch((cause: unknown) => {
      throw new CliError("E-FILE", `${file} cannot be read`, { cause });
    }),
  );
}
