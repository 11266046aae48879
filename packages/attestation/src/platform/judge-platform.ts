import type { QeIdentity } from "../collateral/qe-identity.ts";
import type { IsvTcbLevel, PlatformTcbLevel, TcbInfo, TcbLevel } from "../collateral/tcb-info.ts";
import type { TcbClaim } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import { appraiseLevels, assertUsable, reachesSgxLevel } from "../sgx/platform-tcb.ts";
import type { SnpTcb } from "../snp/snp-report.ts";
import {
  findTdxModule,
  findTdxModuleLevel,
  findTdxPlatformLevel,
  firstTdxComponent,
  type TdxModuleFacts,
  tdxModuleId,
} from "../tdx/tdx-tcb.ts";
import type { IntelPlatform, Shortfall, SnpPlatform } from "./platform.ts";

/** Intel's verified documents for one FMSPC. */
export interface IntelDocuments {
  readonly tcbInfo: TcbInfo;
  readonly qeIdentity: QeIdentity;
}

/** What a platform is worth by other documents than those of its evidence. */
export interface PlatformJudgement {
  readonly tcb: TcbClaim;
  /** What is missing to be no longer out of date, by the nearest level that is current; empty when nothing is. */
  readonly shortfalls: readonly Shortfall[];
  /** Why no status can be given: no level fits, or the module is not one of Intel's. */
  readonly problem?: string;
}

const COMPONENT_NAME = (tee: string, index: number): string => `${tee} component ${index + 1}`;

/**
 * Judges a platform that was seen earlier by other documents: the same comparison of security versions that verification makes, without its
 * signatures and dates. Documents for another TEE or FMSPC are a caller's mistake (TypeError).
 */
export function judgeIntelPlatform(platform: IntelPlatform, { tcbInfo, qeIdentity }: IntelDocuments): PlatformJudgement {
  if (tcbInfo.tee !== platform.kind || qeIdentity.tee !== platform.kind || tcbInfo.fmspc.toHex() !== platform.fmspc) {
    throw new TypeError(
      `documents of ${tcbInfo.tee} ${tcbInfo.fmspc.toHex()} do not judge a platform of ${platform.kind} ${platform.fmspc}`,
    );
  }
  const shortfalls = intelShortfalls(platform, { tcbInfo, qeIdentity });
  try {
    return { tcb: judgeTcb(platform, moduleFacts(platform), tcbInfo, qeIdentity), shortfalls };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const status = error.reason === "tcb-revoked" ? "Revoked" : "Unknown";
    return { tcb: { status, advisories: [] }, shortfalls, problem: error.message };
  }
}

function intelShortfalls(platform: IntelPlatform, { tcbInfo, qeIdentity }: IntelDocuments): readonly Shortfall[] {
  const td = moduleFacts(platform);
  return [
    ...platformShortfalls(platform, td, tcbInfo),
    ...moduleShortfalls(td, tcbInfo),
    ...isvShortfalls("quoting enclave", platform.qeIsvSvn, qeIdentity.levels),
  ];
}

/** Says of a platform that is out of date what it lacks, by the documents that its evidence was verified with. */
export function withShortfalls(tcb: TcbClaim, platform: IntelPlatform, documents: IntelDocuments | undefined): TcbClaim {
  if (documents === undefined || !tcb.status.startsWith("OutOfDate")) return tcb;
  return { ...tcb, shortfalls: intelShortfalls(platform, documents) };
}

/** AMD publishes no levels: what a platform lacks of the security versions that somebody asks for. */
export function snpShortfalls({ reportedTcb }: SnpPlatform, minimum: Partial<SnpTcb>): readonly Shortfall[] {
  return (["fmc", "bootLoader", "tee", "snp", "microcode"] as const).flatMap((component) => {
    const [found = 0, needed = 0] = [reportedTcb[component], minimum[component]];
    return found < needed ? [{ component, found, needed }] : [];
  });
}

function judgeTcb(platform: IntelPlatform, td: TdxModuleFacts | undefined, tcbInfo: TcbInfo, qeIdentity: QeIdentity): TcbClaim {
  const qe = assertUsable(
    qeIdentity.levels.find(({ isvSvn }) => isvSvn <= platform.qeIsvSvn),
    `quoting enclave with ISVSVN ${platform.qeIsvSvn}`,
  );
  if (td === undefined) {
    const level = tcbInfo.levels.find((candidate) => reachesSgxLevel(platform, candidate));
    return appraiseLevels(assertUsable(level, "platform"), undefined, qe).tcb;
  }
  const module = findTdxModuleLevel(tcbInfo, td);
  const level = assertUsable(findTdxPlatformLevel(tcbInfo, platform, td), "platform");
  return appraiseLevels(level, module, qe).tcb;
}

function moduleFacts({ tdx }: IntelPlatform): TdxModuleFacts | undefined {
  if (tdx === undefined) return undefined;
  return {
    teeTcbSvn: Uint8Array.from(tdx.teeTcbSvn),
    mrSignerSeam: Uint8Array.fromHex(tdx.mrSignerSeam),
    seamAttributes: Uint8Array.fromHex(tdx.seamAttributes),
  };
}

const isCurrent = ({ status }: TcbLevel): boolean => !status.startsWith("OutOfDate") && status !== "Revoked";

/** Against the current level that lies nearest, by the sum of what is missing. */
function platformShortfalls(platform: IntelPlatform, td: TdxModuleFacts | undefined, { levels }: TcbInfo): readonly Shortfall[] {
  const missing = levels.filter(isCurrent).map((level) => lacks(platform, td, level));
  const distance = (shortfalls: readonly Shortfall[]) => shortfalls.reduce((sum, { found, needed }) => sum + needed - found, 0);
  return missing.toSorted((a, b) => distance(a) - distance(b))[0] ?? [];
}

function lacks(platform: IntelPlatform, td: TdxModuleFacts | undefined, level: PlatformTcbLevel): readonly Shortfall[] {
  const compare = (tee: string, found: readonly number[], needed: readonly number[], from: number) =>
    needed.flatMap((svn, index) =>
      index >= from && (found[index] ?? 0) < svn ? [{ component: COMPONENT_NAME(tee, index), found: found[index] ?? 0, needed: svn }] : [],
    );
  return [
    ...compare("SGX", platform.sgxComponents, level.sgxComponents, 0),
    ...(platform.pceSvn < level.pceSvn ? [{ component: "PCE", found: platform.pceSvn, needed: level.pceSvn }] : []),
    ...(td === undefined ? [] : compare("TDX", [...td.teeTcbSvn], level.tdxComponents, firstTdxComponent(td))),
  ];
}

function moduleShortfalls(td: TdxModuleFacts | undefined, tcbInfo: TcbInfo): readonly Shortfall[] {
  const [svn = 0, version = 0] = td?.teeTcbSvn ?? [];
  return version === 0 ? [] : isvShortfalls(`TDX module ${tdxModuleId(version)}`, svn, findTdxModule(tcbInfo, version)?.levels ?? []);
}

/** Levels come highest first. */
function isvShortfalls(component: string, found: number, levels: readonly IsvTcbLevel[]): readonly Shortfall[] {
  const level = levels.find(({ isvSvn }) => isvSvn <= found);
  if (level !== undefined && isCurrent(level)) return [];
  const needed = levels.findLast((candidate) => isCurrent(candidate) && candidate.isvSvn > found)?.isvSvn;
  return needed === undefined ? [] : [{ component, found, needed }];
}
