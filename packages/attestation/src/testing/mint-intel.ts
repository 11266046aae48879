import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { IntelCollateral } from "../collateral/intel-documents.ts";
import type { VerificationContext } from "../core/trust.ts";
import { encodePckMembers, SGX_EXTENSION } from "../sgx/encode-pck-extension.ts";
import { encodeQuote, encodeQuoteHeader } from "../sgx/encode-quote.ts";
import { sequence, tlv } from "../x509/der-writer.ts";
import { certificatePem, issueCertificate, issueRevocationList } from "../x509/issue-certificate.ts";

/** Everything about minted SGX and TDX evidence that a test may want to be wrong. Left out: a platform that is up to date. */
export interface IntelMint {
  readonly tee?: "sgx" | "tdx";
  /** 3 to 5; body types TD15 and TD15Ex only in 5. */
  readonly version?: number;
  readonly bodyType?: 1 | 2 | 3 | 4;
  /** Changes header, body or QE report before they are signed. */
  readonly header?: (header: Buffer) => void;
  readonly body?: (body: Buffer) => void;
  readonly qeReport?: (report: Buffer) => void;
  readonly authenticationData?: Uint8Array;
  /** Stands in place of the attestation key: x and y. */
  readonly attestationPoint?: Uint8Array;
  /** Signs the QE report in place of the PCK key. */
  readonly qeReportKey?: KeyObject;
  /** Signs the quote in place of the attestation key. */
  readonly quoteKey?: KeyObject;
  readonly sgxComponents?: readonly number[];
  readonly pceSvn?: number;
  /** Changes the members of the SGX extension of the PCK certificate; an empty list leaves the extension out. */
  readonly pckMembers?: (members: readonly Uint8Array[]) => readonly Uint8Array[];
  readonly pckCaName?: string;
  readonly tcbInfo?: (document: JsonDocument) => void;
  readonly qeIdentity?: (document: JsonDocument) => void;
  /** Changes the text of a document after it was signed. */
  readonly editTcbInfo?: (text: string) => string;
  readonly pckValidity?: Validity;
  readonly rootValidity?: Validity;
  readonly pckCrl?: CrlMint;
  readonly rootCrl?: CrlMint;
  readonly pckName?: string;
  readonly tcbSigningName?: string;
  readonly tcbSigningValidity?: Validity;
  readonly isTcbSignerCa?: boolean;
  readonly isTcbSignedByPckCa?: boolean;
}

/** A document of Intel's service as JSON, to be changed freely. */
export type JsonDocument = Record<string, unknown>;
type Validity = readonly [notBefore: Date, notAfter: Date];

export interface CrlMint {
  readonly revoked?: readonly bigint[];
  readonly validity?: Validity;
  /** Signs in place of the issuer. */
  readonly key?: KeyObject;
  readonly issuer?: string;
}

export interface MintedIntel {
  readonly quote: Uint8Array;
  readonly root: Uint8Array;
  readonly collateral: IntelCollateral;
  readonly context: VerificationContext;
}

export const mintedNow = new Date("2026-06-15T12:00:00Z");
export const FMSPC = "00906ed50000";
export const SERIALS = { pckCa: 2n, pck: 3n, tcbSigning: 4n } as const;

const YEARS: Validity = [new Date("2026-01-01T00:00:00Z"), new Date("2030-01-01T00:00:00Z")];
const MONTH: Validity = [new Date("2026-06-01T00:00:00Z"), new Date("2026-07-01T00:00:00Z")];
const ROOT = "Intel SGX Root CA";
const PCK_CA = "Intel SGX PCK Platform CA";
const COMPONENTS = [5, 5, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
const QE_SIGNER = Buffer.alloc(32, 0x8c);
const QE_ATTRIBUTES = Buffer.from("11000000000000000000000000000000", "hex");

/** Where Intel's certificates say their CRL is; nobody fetches it. */
const CRL_ADDRESS = tlv(0x86, Buffer.from("https://crl.example/list.der"));
const DISTRIBUTION_POINTS = sequence(sequence(tlv(0xa0, tlv(0xa0, CRL_ADDRESS))));

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
/** Made once: what varies between tests is what the keys sign. */
const keys = { root: newKey(), pckCa: newKey(), pck: newKey(), tcbSigning: newKey(), attestation: newKey() };

/** Mints a quote and collateral under a root of its own, byte for byte in Intel's formats. */
export function mintIntel(mint: IntelMint = {}): MintedIntel {
  const tee = mint.tee ?? "sgx";
  const root = issue(ROOT, ROOT, keys.root, keys.root, 1n, true, mint.rootValidity);
  const caName = mint.pckCaName ?? PCK_CA;
  const pckCa = issue(caName, ROOT, keys.pckCa, keys.root, SERIALS.pckCa, true);
  const members = encodePckMembers({
    fmspc: Buffer.from(FMSPC, "hex"),
    sgxComponents: mint.sgxComponents ?? COMPONENTS,
    pceSvn: mint.pceSvn ?? 13,
  });
  const changed = mint.pckMembers?.(members) ?? members;
  const extensions = changed.length === 0 ? [] : [{ oid: SGX_EXTENSION, critical: false, value: sequence(...changed) }];
  const pckName = mint.pckName ?? "Intel SGX PCK Certificate";
  const pck = issue(pckName, caName, keys.pck, keys.pckCa, SERIALS.pck, false, mint.pckValidity, extensions);
  const tcbIssuer = mint.isTcbSignedByPckCa === true ? { name: caName, key: keys.pckCa } : { name: ROOT, key: keys.root };
  const tcbName = mint.tcbSigningName ?? "Intel SGX TCB Signing";
  const isTcbSignerCa = mint.isTcbSignerCa ?? false;
  const tcbSigning = issue(
    ...([tcbName, tcbIssuer.name, keys.tcbSigning, tcbIssuer.key, SERIALS.tcbSigning, isTcbSignerCa, mint.tcbSigningValidity] as const),
  );
  const chain = [pck, pckCa, root].map(certificatePem).join("");
  const signingChain = [tcbSigning, ...(mint.isTcbSignedByPckCa === true ? [pckCa] : []), root].map(certificatePem).join("");
  const collateral = {
    tcbInfo: Buffer.from((mint.editTcbInfo ?? String)(signDocument("tcbInfo", tcbInfo(tee), mint.tcbInfo))),
    qeIdentity: Buffer.from(signDocument("enclaveIdentity", qeIdentity(tee), mint.qeIdentity)),
    tcbSigningChain: Buffer.from(signingChain),
    pckCrl: crl(caName, keys.pckCa, mint.pckCrl),
    rootCaCrl: crl(ROOT, keys.root, mint.rootCrl),
  };
  const context: VerificationContext = {
    now: mintedNow,
    trustAnchors: { [tee]: [root] },
    collateral: { intel: ({ fmspc }) => (fmspc === FMSPC ? collateral : undefined) },
  };
  return { quote: mintQuote(tee, mint, Buffer.from(chain)), root, collateral, context };
}

function issue(
  subject: string,
  issuer: string,
  key: KeyObject,
  issuerKey: KeyObject,
  serial: bigint,
  isCa: boolean,
  [notBefore, notAfter]: Validity = YEARS,
  added: Parameters<typeof issueCertificate>[0]["extensions"] = [],
): Uint8Array {
  const extensions = [{ oid: "2.5.29.31", critical: false, value: DISTRIBUTION_POINTS }, ...added];
  return issueCertificate({ subject, issuer, publicKey: createPublicKey(key), issuerKey, serial, notBefore, notAfter, isCa, extensions });
}

function crl(issuer: string, issuerKey: KeyObject, mint: CrlMint = {}): Uint8Array {
  const [thisUpdate, nextUpdate] = mint.validity ?? MONTH;
  const revoked = (mint.revoked ?? []).map((serial) => ({ serial, at: thisUpdate }));
  return issueRevocationList({ issuer: mint.issuer ?? issuer, issuerKey: mint.key ?? issuerKey, thisUpdate, nextUpdate, revoked });
}

const components = (svns: readonly number[]) => svns.map((svn) => ({ svn }));

function tcbInfo(tee: "sgx" | "tdx"): JsonDocument {
  const zeroModule = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const level = (lower: number, status: string, advisories: readonly string[]) => ({
    tcb: {
      sgxtcbcomponents: components(COMPONENTS.map((svn) => Math.max(0, svn - lower))),
      pcesvn: 13 - lower,
      ...(tee === "tdx" ? { tdxtcbcomponents: components([5, 0, 5 - lower, ...Array<number>(13).fill(0)]) } : {}),
    },
    tcbDate: lower === 0 ? "2026-03-01T00:00:00Z" : "2024-03-01T00:00:00Z",
    tcbStatus: status,
    ...(advisories.length > 0 ? { advisoryIDs: advisories } : {}),
  });
  return {
    id: tee.toUpperCase(),
    version: 3,
    issueDate: isoSeconds(MONTH[0]),
    nextUpdate: isoSeconds(MONTH[1]),
    fmspc: FMSPC.toUpperCase(),
    pceId: "0000",
    tcbType: 0,
    tcbEvaluationDataNumber: 20,
    ...(tee === "tdx"
      ? {
          tdxModule: zeroModule,
          tdxModuleIdentities: [
            {
              id: "TDX_01",
              ...zeroModule,
              tcbLevels: [
                { tcb: { isvsvn: 5 }, tcbDate: "2026-03-01T00:00:00Z", tcbStatus: "UpToDate" },
                { tcb: { isvsvn: 3 }, tcbDate: "2024-03-01T00:00:00Z", tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-01036"] },
              ],
            },
          ],
        }
      : {}),
    tcbLevels: [level(0, "UpToDate", []), level(1, "OutOfDate", ["INTEL-SA-00615"])],
  };
}

function qeIdentity(tee: "sgx" | "tdx"): JsonDocument {
  return {
    id: tee === "sgx" ? "QE" : "TD_QE",
    version: 2,
    issueDate: isoSeconds(MONTH[0]),
    nextUpdate: isoSeconds(MONTH[1]),
    tcbEvaluationDataNumber: 20,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: QE_ATTRIBUTES.toString("hex").toUpperCase(),
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: QE_SIGNER.toString("hex").toUpperCase(),
    isvprodid: tee === "sgx" ? 1 : 2,
    tcbLevels: [
      { tcb: { isvsvn: 8 }, tcbDate: "2026-03-01T00:00:00Z", tcbStatus: "UpToDate" },
      { tcb: { isvsvn: 6 }, tcbDate: "2024-03-01T00:00:00Z", tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-00477"] },
    ],
  };
}

const isoSeconds = (date: Date): string => date.toISOString().replace(/\.\d+Z$/, "Z");

function signDocument(name: string, document: JsonDocument, change: (document: JsonDocument) => void = () => undefined): string {
  change(document);
  const text = JSON.stringify(document);
  const signature = sign("sha256", Buffer.from(text), { key: keys.tcbSigning, dsaEncoding: "ieee-p1363" });
  return `{"${name}":${text},"signature":"${signature.toString("hex")}"}`;
}

function mintQuote(tee: "sgx" | "tdx", mint: IntelMint, chain: Buffer): Uint8Array {
  const version = mint.version ?? (tee === "sgx" ? 3 : 4);
  const header = encodeQuoteHeader(version, tee, new Uint8Array(16).fill(0x0e));
  mint.header?.(header);
  return encodeQuote({
    version,
    header,
    body: mintBody(tee, version, mint),
    attestationKey: mint.quoteKey ?? keys.attestation,
    attestationPoint: mint.attestationPoint ?? rawPoint(keys.attestation),
    authenticationData: mint.authenticationData ?? Buffer.alloc(32, 0xa7),
    qeReport: (boundKey) => mintQeReport(tee, mint, boundKey),
    pckKey: mint.qeReportKey ?? keys.pck,
    pckChain: chain,
  });
}

function mintBody(tee: "sgx" | "tdx", version: number, mint: IntelMint): Buffer {
  const type = mint.bodyType ?? (tee === "sgx" ? 1 : 2);
  const body = type === 1 ? sgxReport(Buffer.alloc(32, 0xec), 0x05, 7, 3) : tdReport(type);
  mint.body?.(body);
  return version === 5 ? Buffer.concat([uint(type, 2), uint(body.length, 4), body]) : body;
}

function mintQeReport(tee: "sgx" | "tdx", mint: IntelMint, bound: Uint8Array): Buffer {
  const report = sgxReport(QE_SIGNER, 0, tee === "sgx" ? 1 : 2, 8);
  QE_ATTRIBUTES.copy(report, 48);
  report.fill(0, 320);
  report.set(bound, 320);
  mint.qeReport?.(report);
  return report;
}

function sgxReport(mrSigner: Buffer, flags: number, isvProdId: number, isvSvn: number): Buffer {
  const report = Buffer.alloc(384);
  report[48] = flags;
  report.fill(0x3e, 64, 96);
  mrSigner.copy(report, 128);
  report.writeUInt16LE(isvProdId, 256);
  report.writeUInt16LE(isvSvn, 258);
  report.fill(0x44, 320, 384);
  return report;
}

function tdReport(type: 2 | 3 | 4): Buffer {
  const report = Buffer.alloc({ 2: 584, 3: 648, 4: 885 }[type]);
  Buffer.from([5, 1, 5]).copy(report, 0);
  if (type > 2) Buffer.from([5, 1, 5]).copy(report, 584);
  report[123] = 0x10; // SEPT_VE_DISABLE
  report.fill(0x3d, 136, 184);
  report.fill(0x44, 520, 584);
  return report;
}

function rawPoint(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" }).subarray(-64);
}

function uint(value: number, width: 2 | 4): Buffer {
  const bytes = Buffer.alloc(width);
  bytes.writeUIntLE(value, 0, width);
  return bytes;
}
