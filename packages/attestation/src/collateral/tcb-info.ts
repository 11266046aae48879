import type { TcbStatus } from "../core/claims.ts";
import { EvidenceError } from "../core/errors.ts";
import { JsonObject } from "./json-object.ts";

/** What Intel says of all platforms with one FMSPC (PCS API v4, TCB Info version 3; version 2 for SGX is read too). */
export interface TcbInfo {
  readonly tee: "sgx" | "tdx";
  readonly version: number;
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  readonly tcbEvaluationDataNumber: number;
  /** Identity of TDX modules without a version of their own; only for `tdx`. */
  readonly tdxModule: TdxModuleIdentity | undefined;
  readonly tdxModuleIdentities: readonly VersionedTdxModule[];
  /** Best first, whatever the order in the document. */
  readonly levels: readonly PlatformTcbLevel[];
}

export interface TcbLevel {
  readonly status: KnownTcbStatus;
  readonly date: Date;
  readonly advisories: readonly string[];
}

export interface PlatformTcbLevel extends TcbLevel {
  /** 16 SVNs. */
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  /** 16 SVNs for `tdx`, none for `sgx`. */
  readonly tdxComponents: readonly number[];
}

export interface IsvTcbLevel extends TcbLevel {
  readonly isvSvn: number;
}

export interface TdxModuleIdentity {
  readonly mrSigner: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
}

export interface VersionedTdxModule extends TdxModuleIdentity {
  /** `TDX_` and the major version in two hex digits. */
  readonly id: string;
  readonly levels: readonly IsvTcbLevel[];
}

export type KnownTcbStatus = Exclude<TcbStatus, "Unknown">;

const STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const satisfies readonly KnownTcbStatus[];
/** Software has no configuration of the machine to be wrong: fewer words are said of it, and others are not understood. */
const MODULE_STATUSES: readonly KnownTcbStatus[] = ["UpToDate", "OutOfDate", "Revoked"];
export const QE_STATUSES: readonly KnownTcbStatus[] = [...MODULE_STATUSES, "ConfigurationNeeded", "OutOfDateConfigurationNeeded"];
const COMPONENTS = 16;
const LEVELS_MAX = 256;
const ADVISORIES_MAX = 256;

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", detail, { reason: "parse-error" });

/** Reads the inner member of a TCB Info document, already known to be signed. Throws EVIDENCE_MALFORMED. */
export function readTcbInfo(value: unknown): TcbInfo {
  const info = new JsonObject(value, "tcbInfo", malformed);
  const version = info.integer("version");
  if (version !== 2 && version !== 3) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `tcbInfo: version ${version} is not supported`, {
      reason: "unsupported-collateral-version",
    });
  }
  const tee = version === 3 && info.word("id", ["SGX", "TDX"]) === "TDX" ? "tdx" : "sgx";
  const tcbInfo = {
    tee,
    version,
    issueDate: info.date("issueDate"),
    nextUpdate: info.date("nextUpdate"),
    fmspc: info.hex("fmspc", 6),
    pceId: info.hex("pceId", 2),
    tcbType: info.integer("tcbType"),
    tcbEvaluationDataNumber: info.integer("tcbEvaluationDataNumber"),
    tdxModule: tee === "tdx" ? readModule(info.object("tdxModule")) : undefined,
    tdxModuleIdentities:
      tee === "tdx" && info.has("tdxModuleIdentities") ? info.list("tdxModuleIdentities", LEVELS_MAX, readVersionedModule) : [],
    levels: info
      .list("tcbLevels", LEVELS_MAX, (level, where) => readPlatformLevel(level, where, version, tee))
      .toSorted(comparePlatformLevels),
  } as const;
  info.finish();
  // Type 0 compares component by component; no other type exists.
  if (tcbInfo.tcbType !== 0) throw info.fail(`tcbType ${tcbInfo.tcbType} is not supported`);
  if (new Set(tcbInfo.tdxModuleIdentities.map(({ id }) => id)).size !== tcbInfo.tdxModuleIdentities.length) {
    throw info.fail("a TDX module is listed twice");
  }
  return tcbInfo;
}

/** Members that every TCB level has. */
export function readLevel(level: JsonObject, statuses: readonly KnownTcbStatus[] = STATUSES): TcbLevel {
  return {
    status: level.word("tcbStatus", statuses),
    date: level.date("tcbDate"),
    advisories: level.has("advisoryIDs") ? level.list("advisoryIDs", ADVISORIES_MAX, readAdvisory) : [],
  };
}

/** Levels that name one SVN, highest first. */
export function readIsvLevels(owner: JsonObject, name: string, statuses: readonly KnownTcbStatus[]): readonly IsvTcbLevel[] {
  const levels = owner.list(name, LEVELS_MAX, (value, where) => {
    const level = new JsonObject(value, where, malformed);
    const tcb = level.object("tcb");
    const isvSvn = tcb.integer("isvsvn");
    tcb.finish();
    const read = { isvSvn, ...readLevel(level, statuses) };
    level.finish();
    return read;
  });
  if (new Set(levels.map(({ isvSvn }) => isvSvn)).size !== levels.length) throw owner.fail(`${name} names an SVN twice`);
  return levels.toSorted((a, b) => b.isvSvn - a.isvSvn);
}

function readAdvisory(value: unknown, where: string): string {
  if (typeof value !== "string" || !/^[A-Z0-9-]{1,40}$/.test(value)) throw malformed(`${where} is not the name of an advisory`);
  return value;
}

function readModule(module: JsonObject): TdxModuleIdentity {
  const identity = readModuleIdentity(module);
  module.finish();
  return identity;
}

const readModuleIdentity = (module: JsonObject): TdxModuleIdentity => ({
  mrSigner: module.hex("mrsigner", 48),
  attributes: module.hex("attributes", 8),
  attributesMask: module.hex("attributesMask", 8),
});

function readVersionedModule(value: unknown, where: string): VersionedTdxModule {
  const module = new JsonObject(value, where, malformed);
  const read = {
    id: module.text("id", 16).toUpperCase(),
    ...readModuleIdentity(module),
    levels: readIsvLevels(module, "tcbLevels", MODULE_STATUSES),
  };
  module.finish();
  return read;
}

function readPlatformLevel(value: unknown, where: string, version: number, tee: "sgx" | "tdx"): PlatformTcbLevel {
  const level = new JsonObject(value, where, malformed);
  const tcb = level.object("tcb");
  const read = {
    sgxComponents: version === 2 ? readNumberedComponents(tcb) : readComponents(tcb, "sgxtcbcomponents"),
    pceSvn: tcb.integer("pcesvn"),
    tdxComponents: tee === "tdx" ? readComponents(tcb, "tdxtcbcomponents") : [],
    ...readLevel(level),
  };
  tcb.finish();
  level.finish();
  return read;
}

function readComponents(tcb: JsonObject, name: string): readonly number[] {
  const components = tcb.list(name, COMPONENTS, (value, where) => {
    const component = new JsonObject(value, where, malformed);
    const svn = component.integer("svn");
    for (const label of ["category", "type"]) if (component.has(label)) component.text(label);
    component.finish();
    return svn;
  });
  if (components.length !== COMPONENTS) throw tcb.fail(`${name} has ${components.length} components, expected ${COMPONENTS}`);
  return components;
}

const readNumberedComponents = (tcb: JsonObject): readonly number[] =>
  Array.from({ length: COMPONENTS }, (_, index) => tcb.integer(`sgxtcbcomp${String(index + 1).padStart(2, "0")}svn`));

/** Descending: SGX components, PCE SVN, TDX components; of two equal ones the worse status wins by coming first. */
function comparePlatformLevels(a: PlatformTcbLevel, b: PlatformTcbLevel): number {
  const left = [...a.sgxComponents, a.pceSvn, ...a.tdxComponents];
  const right = [...b.sgxComponents, b.pceSvn, ...b.tdxComponents];
  const index = left.findIndex((svn, at) => svn !== right[at]);
  return index < 0 ? STATUSES.indexOf(b.status) - STATUSES.indexOf(a.status) : (right[index] ?? 0) - (left[index] ?? 0);
}
