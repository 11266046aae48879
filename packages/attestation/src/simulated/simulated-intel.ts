import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import type { IntelCollateral } from "../collateral/intel-documents.ts";
import type { Evidence } from "../core/evidence.ts";
import { encodeWorkload } from "../core/workload.ts";
import { encodePckMembers, SGX_EXTENSION } from "../sgx/encode-pck-extension.ts";
import { encodeQuote, encodeQuoteHeader } from "../sgx/encode-quote.ts";
import { sequence } from "../x509/der-writer.ts";
import { certificatePem, issueRevocationList } from "../x509/issue-certificate.ts";
import { COLLATERAL_ENDORSEMENTS } from "./collateral-endorsements.ts";
import { DEVELOPMENT_ORGANIZATION, ROOT_NAME } from "./development-root.ts";
import { SIMULATED_LAUNCH } from "./simulated-launch.ts";
import type { IssueBelow, SimulatedGuest, SimulatedPlatformKeys, Validity } from "./simulated-parts.ts";

/** A platform of Intel that exists on paper, with what Intel would publish about it. */
export interface SimulatedIntel {
  readonly keys: SimulatedPlatformKeys;
  /** PEM: PCK certificate, PCK CA, root. */
  readonly pckChain: Uint8Array;
  readonly collateral: Readonly<Record<"sgx" | "tdx", IntelCollateral>>;
}

/** By these names the verifier knows which authority it is; the organisation beside them says that it is none of Intel's. */
const PCK_CA = "Intel SGX PCK Platform CA";
const TCB_SIGNER = "Intel SGX TCB Signing";
const FMSPC = "0053494d0000";
const COMPONENTS = Array<number>(16).fill(1);
const PCE_SVN = 1;
const PLATFORM = hash("sha256", "vouchsafe/simulated-platform/1", "buffer").subarray(0, 16);
const QE_SIGNER = hash("sha256", "vouchsafe/simulated-quoting-enclave/1", "buffer");
const PROGRAM_SIGNER = hash("sha256", "vouchsafe/simulated-program-signer/1", "buffer");
const INITIALISED_64_BIT = 0x05;
const SEPT_VE_DISABLE = 0x10;
const MODULE_SVN = Uint8Array.of(1, 0, 1);

export function createSimulatedIntel(
  keys: SimulatedPlatformKeys,
  root: Uint8Array,
  now: Date,
  { notAfter }: Validity,
  issue: IssueBelow,
): SimulatedIntel {
  const pckCa = issue({ subject: PCK_CA, publicKey: createPublicKey(keys.authority), serial: 3n, isCa: true });
  const members = encodePckMembers({ fmspc: Uint8Array.fromHex(FMSPC), sgxComponents: COMPONENTS, pceSvn: PCE_SVN });
  const pck = issue({
    ...{ subject: "Vouchsafe simulated PCK certificate", publicKey: createPublicKey(keys.platform), serial: 4n, isCa: false },
    issuer: { name: PCK_CA, key: keys.authority },
    extensions: [{ oid: SGX_EXTENSION, critical: false, value: sequence(...members) }],
  });
  const signing = issue({
    subject: TCB_SIGNER,
    publicKey: createPublicKey(keys.authority),
    serial: 6n,
    isCa: false,
  });
  const list = (issuer: string, issuerKey: KeyObject) =>
    issueRevocationList({ issuer, issuerKey, organization: DEVELOPMENT_ORGANIZATION, thisUpdate: now, nextUpdate: notAfter, revoked: [] });
  const documents = (tee: "sgx" | "tdx"): IntelCollateral => ({
    tcbInfo: signed("tcbInfo", tcbInfo(tee, now, notAfter), keys.authority),
    qeIdentity: signed("enclaveIdentity", qeIdentity(tee, now, notAfter), keys.authority),
    tcbSigningChain: Buffer.from([signing, root].map(certificatePem).join("")),
    pckCrl: list(PCK_CA, keys.authority),
    rootCaCrl: list(ROOT_NAME, keys.root),
  });
  return {
    keys,
    pckChain: Buffer.from([pck, pckCa, root].map(certificatePem).join("")),
    collateral: { sgx: documents("sgx"), tdx: documents("tdx") },
  };
}

/** A quote of an enclave, with the workload in MRENCLAVE, or of a TDX guest, with the workload in MRCONFIGID. */
export function simulateQuote(
  { keys, pckChain, collateral }: SimulatedIntel,
  tee: "sgx" | "tdx",
  guest: SimulatedGuest,
): Omit<Evidence, "kind"> {
  const version = tee === "sgx" ? 3 : 4;
  const bytes = encodeQuote({
    version,
    header: encodeQuoteHeader(version, tee, PLATFORM),
    body: tee === "sgx" ? enclaveReport(guest) : guestReport(guest),
    attestationKey: keys.quoting,
    authenticationData: new Uint8Array(32),
    qeReport: (boundKey) => sgxReport({ mrSigner: QE_SIGNER, isvProdId: tee === "sgx" ? 1 : 2, reportData: boundKey }),
    pckKey: keys.platform,
    pckChain,
  });
  const documents = Object.entries(COLLATERAL_ENDORSEMENTS).map(([member, name]) => {
    const document = collateral[tee][member as keyof typeof COLLATERAL_ENDORSEMENTS]; // its own keys
    return [name, document ?? new Uint8Array(0)] as const;
  });
  return {
    bytes,
    endorsements: new Map([...documents, ...(tee === "tdx" ? [["workload", encodeWorkload(guest.workload)] as const] : [])]),
  };
}

const enclaveReport = ({ userData, workload }: SimulatedGuest): Uint8Array =>
  sgxReport({ mrSigner: PROGRAM_SIGNER, isvProdId: 1, reportData: userData, mrEnclave: SIMULATED_LAUNCH.sgx(workload) });

function sgxReport(fields: {
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly reportData: Uint8Array;
  readonly mrEnclave?: Uint8Array;
}): Uint8Array {
  const report = Buffer.alloc(384);
  report[48] = INITIALISED_64_BIT;
  if (fields.mrEnclave !== undefined) report.set(fields.mrEnclave, 64);
  report.set(fields.mrSigner, 128);
  report.writeUInt16LE(fields.isvProdId, 256);
  report.writeUInt16LE(1, 258);
  report.set(fields.reportData, 320);
  return report;
}

function guestReport({ userData, workload }: SimulatedGuest): Uint8Array {
  const report = Buffer.alloc(584);
  report.set(MODULE_SVN, 0);
  report[123] = SEPT_VE_DISABLE;
  report.set(SIMULATED_LAUNCH.tdx(), 136);
  report.set(hash("sha384", encodeWorkload(workload), "buffer"), 184);
  report.set(userData, 520);
  return report;
}

/** One level, which the platform reaches. */
function tcbInfo(tee: "sgx" | "tdx", now: Date, nextUpdate: Date): object {
  const components = (svns: readonly number[]) => svns.map((svn) => ({ svn }));
  const anyModule = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const sgx = { sgxtcbcomponents: components(COMPONENTS), pcesvn: PCE_SVN };
  const tdx = { ...sgx, tdxtcbcomponents: components([...MODULE_SVN, ...Array<number>(13).fill(0)]) };
  return {
    ...{ id: tee.toUpperCase(), version: 3, issueDate: seconds(now), nextUpdate: seconds(nextUpdate) },
    ...{ fmspc: FMSPC.toUpperCase(), pceId: "0000", tcbType: 0, tcbEvaluationDataNumber: 1 },
    ...(tee === "tdx" ? { tdxModule: anyModule, tdxModuleIdentities: [] } : {}),
    tcbLevels: [{ tcb: tee === "tdx" ? tdx : sgx, tcbDate: seconds(now), tcbStatus: "UpToDate" }],
  };
}

function qeIdentity(tee: "sgx" | "tdx", now: Date, nextUpdate: Date): object {
  return {
    ...{
      id: tee === "sgx" ? "QE" : "TD_QE",
      version: 2,
      issueDate: seconds(now),
      nextUpdate: seconds(nextUpdate),
      tcbEvaluationDataNumber: 1,
    },
    ...{ miscselect: "00000000", miscselectMask: "FFFFFFFF" },
    ...{
      attributes: `${Buffer.from([INITIALISED_64_BIT]).toString("hex")}${"00".repeat(15)}`,
      attributesMask: `${"FF".repeat(8)}${"00".repeat(8)}`,
    },
    ...{ mrsigner: QE_SIGNER.toString("hex").toUpperCase(), isvprodid: tee === "sgx" ? 1 : 2 },
    tcbLevels: [{ tcb: { isvsvn: 1 }, tcbDate: seconds(now), tcbStatus: "UpToDate" }],
  };
}

const seconds = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, "Z");

function signed(name: string, document: object, key: KeyObject): Uint8Array {
  const text = JSON.stringify(document);
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return Buffer.from(`{"${name}":${text},"signature":"${signature.toString("hex")}"}`);
}
