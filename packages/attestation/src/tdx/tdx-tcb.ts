import type { PlatformTcbLevel, TcbInfo, TcbLevel, TdxModuleIdentity, VersionedTdxModule } from "../collateral/tcb-info.ts";
import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type Mismatch } from "../core/errors.ts";
import type { PckIdentity } from "../sgx/pck-certificate.ts";
import { assertUsable, isAtLeast, reachesSgxLevel } from "../sgx/platform-tcb.ts";
import { fitsMasked } from "../sgx/qe-appraisal.ts";
import type { TdReport } from "./td-report.ts";

/** What a TD report says about the module that started the TD. */
export type TdxModuleFacts = Pick<TdReport, "teeTcbSvn" | "mrSignerSeam" | "seamAttributes">;
export type PlatformSvns = Pick<PckIdentity, "sgxComponents" | "pceSvn">;

/** First of the 16 TDX components that count for the platform: a module with a version of its own (second SVN byte) has its own levels. */
export const firstTdxComponent = ({ teeTcbSvn }: Pick<TdxModuleFacts, "teeTcbSvn">): number => (teeTcbSvn[1] === 0 ? 0 : 2);

export function findTdxPlatformLevel({ levels }: TcbInfo, platform: PlatformSvns, td: TdxModuleFacts): PlatformTcbLevel | undefined {
  const first = firstTdxComponent(td);
  const found = [...td.teeTcbSvn].slice(first);
  return levels.find((level) => reachesSgxLevel(platform, level) && isAtLeast(found, level.tdxComponents.slice(first)));
}

/** The TCB level of the TDX module; undefined for one without a version of its own, which the platform's levels cover. */
export function findTdxModuleLevel(info: Pick<TcbInfo, "tdxModule" | "tdxModuleIdentities">, td: TdxModuleFacts): TcbLevel | undefined {
  const [svn = 0, version = 0] = td.teeTcbSvn;
  if (version === 0) {
    if (info.tdxModule === undefined)
      throw mismatch("the TCB Info describes no TDX module", { field: "tdxModule", expected: "a description", found: "none" });
    assertModule(td, info.tdxModule);
    return undefined;
  }
  const id = tdxModuleId(version);
  const identity = findTdxModule(info, version);
  if (identity === undefined)
    throw mismatch(`the TCB Info describes no TDX module ${id}`, {
      field: "TEE_TCB_SVN[1]",
      expected: info.tdxModuleIdentities.map((known) => known.id).join(" or ") || "none",
      found: id,
    });
  assertModule(td, identity);
  return assertUsable(
    identity.levels.find(({ isvSvn }) => isvSvn <= svn),
    `TDX module ${id} with SVN ${svn}`,
  );
}

export const tdxModuleId = (version: number): string => `TDX_${version.toString(16).toUpperCase().padStart(2, "0")}`;

export const findTdxModule = (
  { tdxModuleIdentities }: Pick<TcbInfo, "tdxModuleIdentities">,
  version: number,
): VersionedTdxModule | undefined => tdxModuleIdentities.find(({ id }) => id === tdxModuleId(version));

function assertModule({ mrSignerSeam, seamAttributes }: TdxModuleFacts, { mrSigner, attributes, attributesMask }: TdxModuleIdentity): void {
  if (!isSameBytes(mrSignerSeam, mrSigner)) {
    const [expected, found] = [mrSigner.toHex(), mrSignerSeam.toHex()];
    throw mismatch("MRSIGNERSEAM does not fit the TCB Info", { field: "MRSIGNERSEAM", expected, found });
  }
  if (!fitsMasked(seamAttributes, attributes, attributesMask)) {
    const expected = `${attributes.toHex()} under the mask ${attributesMask.toHex()}`;
    throw mismatch("SEAMATTRIBUTES do not fit the TCB Info", { field: "SEAMATTRIBUTES", expected, found: seamAttributes.toHex() });
  }
}

const mismatch = (message: string, compared: Mismatch) =>
  new EvidenceError("EVIDENCE_SIGNATURE", message, { reason: "tdx-module-mismatch", ...compared });
