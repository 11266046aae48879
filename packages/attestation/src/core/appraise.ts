import { isSameBytes } from "./bytes.ts";
import { type Claims, type ClaimValue, describeLag, type SignerClaim, type TcbStatus } from "./claims.ts";
import type { EvidenceKind } from "./evidence.ts";

/** One of a list, or anything: `any` has to be said, and the result shows it. An empty list accepts nothing. */
export type Accepted<T> = readonly T[] | "any";

/** An enclave's signer (hex), its product, and the lowest security version that is accepted. */
export interface SignerReference {
  readonly mrSigner: string;
  readonly isvProdId: number;
  readonly minIsvSvn: number;
}

/** What a Relying Party expects. Members that are left out accept only what is harmless: no debug, an up-to-date platform without advisories. */
export interface ReferenceValues {
  readonly kinds: readonly EvidenceKind[];
  /** The channel binding, compared whole. */
  readonly userData: Uint8Array | "any";
  /** Of these three at least one must be given, and each that is given must hold. Hex. */
  readonly codeIdentities?: Accepted<string>;
  readonly launchMeasurements?: Accepted<string>;
  readonly signers?: readonly SignerReference[];
  readonly platforms?: Accepted<string>;
  readonly isDebugAccepted?: boolean;
  readonly toleratedTcbStatuses?: readonly TcbStatus[];
  readonly ignoredAdvisories?: Accepted<string>;
  /** Facts of the kind by name: each must be there and be one of the list, for example `vmpl` or `pcr7`. */
  readonly details?: Readonly<Record<string, readonly ClaimValue[]>>;
  /** Numbers of the kind that must reach a minimum, for example `reportedTcb.microcode`. */
  readonly minima?: Readonly<Record<string, number>>;
}

/** `passed-any`: nothing in particular was expected. `tolerated`: not as it should be, and accepted by name. */
export type CheckOutcome = "passed" | "passed-any" | "tolerated" | "failed";

/** One comparison of a claim with what was expected of it. */
export interface AppraisalCheck {
  readonly name: string;
  readonly outcome: CheckOutcome;
  readonly expected: string;
  readonly found: string;
  /** What would make it pass; only where it failed. */
  readonly remedy?: string;
  /** Where a policy language was judged by: the field that refuses, as keys and indices; only where it failed. */
  readonly policyPath?: readonly (string | number)[];
}

/** Attestation Result: accepted when no check failed. The checks are the evaluation itself, not an account of it. */
export interface AttestationResult {
  readonly accepted: boolean;
  readonly checks: readonly AppraisalCheck[];
}

/** Compares verified claims with reference values. Every check is made, so that all reasons come at once. */
export function appraise(claims: Claims, references: ReferenceValues): AttestationResult {
  const checks = [
    checkKind(claims, references),
    checkUserData(claims, references),
    ...checkCode(claims, references),
    checkDebug(claims, references),
    checkStatus(claims, references),
    checkAdvisories(claims, references),
    ...(claims.weaknesses === undefined ? [] : [checkWeaknesses(claims.weaknesses, references)]),
    ...(references.platforms === undefined ? [] : [checkListed("platform", claims.platformId, references.platforms)]),
    ...Object.entries(references.details ?? {}).map(([name, values]) => checkDetail(claims, name, values)),
    ...Object.entries(references.minima ?? {}).map(([name, minimum]) => checkMinimum(claims, name, minimum)),
  ];
  return { accepted: checks.every(({ outcome }) => outcome !== "failed"), checks };
}

function checkKind({ kind }: Claims, { kinds }: ReferenceValues): AppraisalCheck {
  return check(
    "evidence kind",
    kinds.includes(kind),
    kinds.join(" or ") || "nothing",
    kind,
    `Name ${kind} among the kinds that the policy accepts.`,
  );
}

function checkUserData({ userData }: Claims, { userData: expected }: ReferenceValues): AppraisalCheck {
  const found = userData.toHex();
  if (expected === "any") return { name: "user data", outcome: "passed-any", expected: "any", found };
  const isEqual = isSameBytes(expected, userData);
  return check(
    "user data",
    isEqual,
    expected.toHex(),
    found,
    "Attest again on this connection: evidence of another is worth nothing here.",
  );
}

function checkCode(claims: Claims, { codeIdentities, launchMeasurements, signers }: ReferenceValues): readonly AppraisalCheck[] {
  const checks = [
    ...(codeIdentities === undefined ? [] : [checkListed("code identity", claims.codeIdentity, codeIdentities)]),
    ...(launchMeasurements === undefined ? [] : [checkListed("launch measurement", claims.launchMeasurement.toHex(), launchMeasurements)]),
    ...(signers === undefined ? [] : [checkSigner(claims.signer, signers)]),
  ];
  if (checks.length > 0) return checks;
  return [
    check(
      "code identity",
      false,
      "a reference value, but none was given",
      claims.codeIdentity,
      "Say which code is expected, by identity, launch measurement or signer.",
    ),
  ];
}

function checkListed(name: string, found: string, accepted: Accepted<string>): AppraisalCheck {
  if (accepted === "any") return { name, outcome: "passed-any", expected: "any", found };
  return check(
    name,
    accepted.includes(found),
    accepted.join(" or ") || "nothing",
    found,
    `List ${found} as ${name}, if it is what should run.`,
  );
}

function checkSigner(signer: SignerClaim | undefined, accepted: readonly SignerReference[]): AppraisalCheck {
  const describe = ({ mrSigner, isvProdId }: { mrSigner: string; isvProdId: number }, svn: string) =>
    `${mrSigner} product ${isvProdId} SVN ${svn}`;
  const expected = accepted.map((reference) => describe(reference, `at least ${reference.minIsvSvn}`)).join(" or ") || "nothing";
  const found = signer === undefined ? "no signer" : describe(signer, String(signer.isvSvn));
  const isListed =
    signer !== undefined &&
    accepted.some(
      ({ mrSigner, isvProdId, minIsvSvn }) => mrSigner === signer.mrSigner && isvProdId === signer.isvProdId && signer.isvSvn >= minIsvSvn,
    );
  return check("signer", isListed, expected, found, "List the signer with product id and lowest SVN, if its programs are trusted.");
}

function checkDebug({ debug }: Claims, { isDebugAccepted = false }: ReferenceValues): AppraisalCheck {
  const expected = isDebugAccepted ? "any" : "production mode";
  if (debug && isDebugAccepted) return { name: "debug", outcome: "tolerated", expected, found: "debug mode" };
  return check(
    "debug",
    !debug,
    expected,
    debug ? "debug mode" : "production mode",
    "Start the workload without debug, or accept debug for a test.",
  );
}

function checkStatus({ tcb }: Claims, { toleratedTcbStatuses = [] }: ReferenceValues): AppraisalCheck {
  const expected = ["UpToDate", ...toleratedTcbStatuses].join(" or ");
  const isTolerable = tcb.status !== "Revoked" && tcb.status !== "Unknown"; // nothing is known, or known to be broken: no policy helps
  if (tcb.status !== "UpToDate" && isTolerable && toleratedTcbStatuses.includes(tcb.status)) {
    return { name: "TCB status", outcome: "tolerated", expected, found: tcb.status };
  }
  const lag = describeLag(tcb);
  const update = `Update the platform${lag === undefined ? "" : ` (${lag})`}`;
  const remedy = isTolerable ? `${update}, or tolerate ${tcb.status}.` : "Use another platform, or give its collateral.";
  return check("TCB status", tcb.status === "UpToDate", expected, tcb.status, remedy);
}

function checkAdvisories({ tcb }: Claims, { ignoredAdvisories = [] }: ReferenceValues): AppraisalCheck {
  const found = tcb.advisories.join(", ") || "none";
  if (ignoredAdvisories === "any")
    return { name: "advisories", outcome: tcb.advisories.length > 0 ? "passed-any" : "passed", expected: "any", found };
  const open = tcb.advisories.filter((advisory) => !ignoredAdvisories.includes(advisory));
  const expected = ignoredAdvisories.length === 0 ? "none" : `none but ${ignoredAdvisories.join(", ")}`;
  if (open.length === 0 && tcb.advisories.length > 0) return { name: "advisories", outcome: "tolerated", expected, found };
  return check("advisories", open.length === 0, expected, found, `Update the platform, or ignore ${open.join(", ")}.`);
}

/** Whoever accepts a platform that needs another configuration accepts a guest that does. */
function checkWeaknesses(weaknesses: readonly string[], { toleratedTcbStatuses = [] }: ReferenceValues): AppraisalCheck {
  const [name, found] = ["configuration", weaknesses.join("; ") || "nothing weak"];
  if (weaknesses.length > 0 && toleratedTcbStatuses.includes("ConfigurationNeeded")) {
    return { name, outcome: "tolerated", expected: "nothing weak, or tolerated", found };
  }
  return check(name, weaknesses.length === 0, "nothing weak", found, "Start the guest without it, or tolerate ConfigurationNeeded.");
}

function checkDetail({ details, kind, debug }: Claims, name: string, accepted: readonly ClaimValue[]): AppraisalCheck {
  const found = Object.hasOwn(details, name) ? details[name] : undefined;
  const expected = accepted.map(String).join(" or ") || "nothing";
  const isHidden = kind === "nitro" && debug && name.startsWith("pcr");
  const remedy = isHidden ? "Start the enclave without debug mode, in which every PCR is zero." : `Accept this value of ${name}.`;
  // Of the same type too: 1 is not "1".
  return check(name, found !== undefined && accepted.includes(found), expected, String(found ?? `not a fact of ${kind} evidence`), remedy);
}

function checkMinimum({ details, kind }: Claims, name: string, minimum: number): AppraisalCheck {
  const found = Object.hasOwn(details, name) ? details[name] : undefined;
  const isReached = typeof found === "number" && found >= minimum;
  return check(
    name,
    isReached,
    `at least ${minimum}`,
    String(found ?? `not a fact of ${kind} evidence`),
    `Update the platform, or lower the minimum of ${name}.`,
  );
}

function check(name: string, isPassed: boolean, expected: string, found: string, remedy: string): AppraisalCheck {
  return isPassed ? { name, outcome: "passed", expected, found } : { name, outcome: "failed", expected, found, remedy };
}
