import { hash } from "../crypto/current-provider.ts";
import type { Platform, Shortfall } from "../platform/platform.ts";
import { concat, encodeUtf8, u32 } from "./bytes.ts";
import type { EvidenceKind, Workload } from "./evidence.ts";

/** Words of Intel's TCB recovery, used for every kind; kinds without such data say UpToDate when nothing is known against the platform. */
export type TcbStatus =
  | "UpToDate"
  | "SWHardeningNeeded"
  | "ConfigurationNeeded"
  | "ConfigurationAndSWHardeningNeeded"
  | "OutOfDate"
  | "OutOfDateConfigurationNeeded"
  | "Revoked"
  /** The signature chain holds, but no collateral said anything about the platform. */
  | "Unknown";

/** What the platform is worth by the collateral that its evidence was verified with. */
export interface TcbClaim {
  readonly status: TcbStatus;
  /** Sorted, without repetition. */
  readonly advisories: readonly string[];
  /** Date of the TCB level that was matched: how old the platform's firmware is. */
  readonly date?: Date;
  /** Only of a platform that is out of date: what it lacks for the nearest level that is not. */
  readonly shortfalls?: readonly Shortfall[];
}

/** How far behind a platform is, for a sentence: `PCE from 11 to 13; the present level is of 2024-03-01`. Undefined where nobody says. */
export function describeLag({ shortfalls = [], date }: TcbClaim): string | undefined {
  if (shortfalls.length === 0) return undefined;
  const parts = shortfalls.map(({ component, found, needed }) => `${component} from ${found} to ${needed}`).join(", ");
  return date === undefined ? parts : `${parts}; the present level is of ${date.toISOString().slice(0, 10)}`;
}

/** Who signed an SGX enclave, and as what. */
export interface SignerClaim {
  /** Hex. */
  readonly mrSigner: string;
  readonly isvProdId: number;
  readonly isvSvn: number;
}

/** A fact of one kind: hex in lower case for bytes. The type of each name is fixed by its kind, never by the Evidence. */
export type ClaimValue = string | number | boolean;

/** What verified Evidence proves. Built only after every signature, binding and date has been checked. */
export interface Claims {
  readonly kind: EvidenceKind;
  /** What the Attester put into the Evidence: compared whole with the expected channel binding. */
  readonly userData: Uint8Array;
  /** 64 hex digits: compared with a policy's `mrenclave`. */
  readonly codeIdentity: string;
  readonly launchMeasurement: Uint8Array;
  readonly signer?: SignerClaim;
  readonly debug: boolean;
  /** How the workload is set up to be less protected than it could be, in words; nobody accepts that unless told to. Absent: in no known way. */
  readonly weaknesses?: readonly string[];
  /** Names the machine or node, so that a policy can list it. */
  readonly platformId: string;
  readonly tcb: TcbClaim;
  /** What decides the platform's patch level, for kinds whose vendor certifies it: public facts that can be judged again later. */
  readonly platform?: Platform;
  readonly workload?: Workload;
  readonly instanceId?: string;
  readonly details: Readonly<Record<string, ClaimValue>>;
}

/**
 * The one code measurement that every kind can give (C 9.1): MRENCLAVE for `sgx`, otherwise the SHA-256 over kind, launch measurement,
 * image digest and file-system tag, each with its length before it so that no two inputs coincide. Returns 64 hex digits.
 */
export function codeIdentity(
  kind: EvidenceKind,
  launchMeasurement: Uint8Array,
  workload?: Pick<Workload, "imageDigest" | "fileSystemTag">,
): string {
  if (kind === "sgx") return launchMeasurement.toHex();
  const fields = [encodeUtf8(kind), launchMeasurement, encodeUtf8(workload?.imageDigest ?? ""), encodeUtf8(workload?.fileSystemTag ?? "")];
  return hash("sha256", concat(...fields.flatMap((field) => [u32(field.length), field]))).toHex();
}
