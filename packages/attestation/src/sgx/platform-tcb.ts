import type { KnownTcbStatus, PlatformTcbLevel, TcbLevel } from "../collateral/tcb-info.ts";
import type { Claims, TcbClaim } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import type { PckIdentity } from "./pck-certificate.ts";

/** Whether the platform has at least the SVNs of a level in every SGX component and in the PCE. */
export function reachesSgxLevel(
  { sgxComponents, pceSvn }: Pick<PckIdentity, "sgxComponents" | "pceSvn">,
  level: PlatformTcbLevel,
): boolean {
  return isAtLeast(sgxComponents, level.sgxComponents) && pceSvn >= level.pceSvn;
}

/** Component by component; lists of different length never compare. */
export function isAtLeast(found: readonly number[], wanted: readonly number[]): boolean {
  return found.length === wanted.length && found.every((svn, index) => svn >= (wanted[index] ?? Number.POSITIVE_INFINITY));
}

/** Refuses what has no level, and what is revoked. */
export function assertUsable<T extends TcbLevel>(level: T | undefined, what: string): T {
  if (level === undefined) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", `no TCB level fits the ${what}`, {
      reason: "tcb-unsupported",
      field: `TCB level of the ${what}`,
      expected: "security versions that reach one of the document's levels",
      found: "lower ones",
      remedy: "Update the machine's firmware and microcode.",
    });
  }
  if (level.status === "Revoked") {
    throw new EvidenceError("EVIDENCE_SIGNATURE", `the TCB level of the ${what} is revoked`, {
      ...{ reason: "tcb-revoked", field: `TCB level of the ${what}` },
      ...{ expected: "one that is not revoked", found: "Revoked" },
    });
  }
  return level;
}

/** What a platform is worth as a whole, and the facts that tell which part makes it so: the machine with its TDX module, or the quoting enclave. */
export interface AppraisedTcb {
  readonly tcb: TcbClaim;
  readonly partStatuses: Claims["details"];
}

/** Of a platform about which no collateral said anything. */
export const UNKNOWN_TCB: AppraisedTcb = { tcb: { status: "Unknown", advisories: [] }, partStatuses: {} };

export function appraiseLevels(platform: TcbLevel, module: TcbLevel | undefined, qe: TcbLevel): AppraisedTcb {
  const modules = module === undefined ? [] : [module];
  return {
    tcb: converge(platform, [...modules, qe]),
    partStatuses: { platformTcbStatus: converge(platform, modules).status, qeTcbStatus: qe.status },
  };
}

const NEEDS_CONFIGURATION: readonly KnownTcbStatus[] = [
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDateConfigurationNeeded",
];

/**
 * The status of the whole: the platform's, made worse by a part (TDX module, quoting enclave) that is out of date, as Intel's verification
 * library converges them. Advisories of all levels count; the date is the oldest.
 */
export function converge(platform: TcbLevel, parts: readonly TcbLevel[]): TcbClaim {
  const isOutdated = [platform, ...parts].some(({ status }) => status === "OutOfDate" || status === "OutOfDateConfigurationNeeded");
  const needsConfiguration = [platform, ...parts].some(({ status }) => NEEDS_CONFIGURATION.includes(status));
  const needsHardening = [platform, ...parts].some(
    ({ status }) => status === "SWHardeningNeeded" || status === "ConfigurationAndSWHardeningNeeded",
  );
  const outdated = needsConfiguration ? "OutOfDateConfigurationNeeded" : "OutOfDate";
  const configuration = needsHardening ? "ConfigurationAndSWHardeningNeeded" : "ConfigurationNeeded";
  const current = needsConfiguration ? configuration : needsHardening ? "SWHardeningNeeded" : "UpToDate";
  const levels = [platform, ...parts];
  return {
    status: isOutdated ? outdated : current,
    advisories: [...new Set(levels.flatMap(({ advisories }) => advisories))].sort(),
    date: new Date(Math.min(...levels.map(({ date }) => date.getTime()))),
  };
}
