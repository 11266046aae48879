import type { IntelCollateral } from "../collateral/intel-documents.ts";
import { concat, decodeAscii, encodeUtf8 } from "../core/bytes.ts";
import type { Claims } from "../core/claims.ts";
import type { VerificationContext } from "../core/trust.ts";
import { readPckIdentity } from "../sgx/pck-certificate.ts";
import { parseQuote, type Quote, type QuoteBody } from "../sgx/quote.ts";
import { isDebugEnclave } from "../sgx/sgx-report.ts";
import { PCK_CHAIN, verifySgxEvidence } from "../sgx/verify-sgx-evidence.ts";
import { isDebugTd } from "../tdx/td-report.ts";
import { verifyTdxEvidence } from "../tdx/verify-tdx-evidence.ts";
import { parsePemCertificates, serialNumberHex, splitPem } from "../x509/certificate.ts";
import { findCommonName } from "../x509/distinguished-name.ts";
import { type Answer, answerOf, type Fields, fieldsOf, isRecord, judgeAnswer } from "./answer.ts";
import { fileOf, inputOf, timeOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Families `sgx` and `tdx`: a DCAP quote with Intel's collateral. Both ways where the case says what holds `when_debug_allowed`. */
export function judgeIntelCase(vectorCase: VectorCase): CaseVerdict {
  const quote = fileOf(vectorCase, "quote.bin");
  const verdict = judgeAnswer(
    vectorCase,
    answerOf(() => verifyCase(vectorCase, quote, false)),
    fieldsOf(() => quoteFields(parseQuote(quote))),
  );
  const tolerant = vectorCase.expected["when_debug_allowed"];
  if (!verdict.isRight || !isRecord(tolerant)) return verdict;
  return judgeAnswer(
    { ...vectorCase, expected: tolerant },
    answerOf(() => verifyCase(vectorCase, quote, true)),
    {},
  );
}

function verifyCase(vectorCase: VectorCase, quote: Uint8Array, isDebugAllowed: boolean): Answer {
  const { paddingBytes } = parseQuote(quote);
  const claims = verifyIntelEvidence(vectorCase, quote);
  const { platformTcbStatus, qeTcbStatus } = claims.details;
  const facts = { tcbStatus: claims.tcb.status, advisories: claims.tcb.advisories, platformTcbStatus, qeTcbStatus };
  return { outcome: findPolicyFault(vectorCase, claims, isDebugAllowed) ?? "ok", facts: { ...facts, trailing_bytes: paddingBytes } };
}

/** Verifies a quote with the collateral files of a case, as far as the case has them. */
export function verifyIntelEvidence(vectorCase: VectorCase, quote: Uint8Array): Claims {
  const { files, expected, family } = vectorCase;
  const root = files.get("root-ca.der") ?? vendorRoot(vectorCase);
  const chain = files.get(PCK_CHAIN);
  const context: VerificationContext = {
    now: timeOf(vectorCase),
    trustAnchors: { sgx: [root], tdx: [root] },
    collateral: { intel: () => (expected["collateral"] === "none" ? undefined : collateralOf(files)) },
    ...(expected["collateral"] === "none" ? { insecure: "signature-chain-only" as const } : {}),
    ...(expected["collateral"] === "no-crl" ? { insecure: "no-revocation-check" as const } : {}),
  };
  const endorsements = chain === undefined ? {} : { endorsements: new Map([[PCK_CHAIN, pckChain(files, chain)]]) };
  return family === "sgx"
    ? verifySgxEvidence({ kind: "sgx", bytes: quote, ...endorsements }, context)
    : verifyTdxEvidence({ kind: "tdx", bytes: quote, ...endorsements }, context);
}

/** Some cases have the PCK certificate beside the chain of its CAs. */
function pckChain(files: ReadonlyMap<string, Uint8Array>, chain: Uint8Array): Uint8Array {
  const leaf = files.get("pck-cert.pem");
  return leaf === undefined ? chain : concat(leaf, encodeUtf8("\n"), chain);
}

function vendorRoot({ roots }: VectorCase): Uint8Array {
  const [root] = splitPem(roots.get("intel-sgx-root-ca.pem") ?? new Uint8Array(0));
  if (root === undefined) throw new TypeError("the collection has no roots/intel-sgx-root-ca.pem");
  return root;
}

function collateralOf(files: ReadonlyMap<string, Uint8Array>): IntelCollateral {
  const names = {
    tcbInfo: "tcb-info.json",
    qeIdentity: "qe-identity.json",
    tcbSigningChain: "tcb-signing-chain.pem",
    qeIdentitySigningChain: "qe-identity-signing-chain.pem",
    pckCrl: "pck-crl.der",
    rootCaCrl: "root-ca-crl.der",
  };
  return Object.fromEntries(
    Object.entries(names).flatMap(([member, file]) => {
      const bytes = files.get(file);
      return bytes === undefined ? [] : [[member, bytes]];
    }),
  );
}

/** What a default policy refuses in Evidence that verifies. */
function findPolicyFault(vectorCase: VectorCase, claims: Claims, isDebugAllowed: boolean): string | undefined {
  if (claims.debug && !isDebugAllowed) return "debug-enabled";
  const reportData = inputOf(vectorCase, "reportData");
  if (typeof reportData === "string" && reportData !== claims.userData.toHex()) return "report-data-mismatch";
  // Where only the signatures are established, attributes are not judged: Azure's paravisor lets its guests run without SEPT_VE_DISABLE.
  const isJudged = vectorCase.expected["collateral"] !== "none" && !isDebugAllowed;
  return isJudged && (claims.weaknesses ?? []).length > 0 ? "td-attributes" : undefined;
}

const hex = (bytes: Uint8Array): string => bytes.toHex();

function quoteFields(quote: Quote): Fields {
  return {
    version: quote.version,
    attestationKeyType: quote.attestationKeyType,
    teeType: quote.tee,
    qeVendorId: hex(quote.qeVendorId),
    userData: hex(quote.userData),
    bodyType: quote.body.kind,
    certificationDataType: quote.certificationData.type,
    debug: quote.body.kind === "SgxEnclave" ? isDebugEnclave(quote.body.report) : isDebugTd(quote.body.report),
    ...bodyFields(quote.body),
    ...(quote.certificationData.type === 5 ? pckFields(quote.certificationData.data) : {}),
  };
}

/** Nothing where the quote has something else in place of the chain, which then came beside it. */
function pckFields(pem: Uint8Array): Fields {
  if (!decodeAscii(pem).startsWith("-----BEGIN")) return {};
  const [leaf] = parsePemCertificates(pem);
  if (leaf === undefined) return {};
  return {
    fmspc: hex(readPckIdentity(leaf).fmspc),
    pckIssuer: findCommonName(leaf.issuer),
    pckSerial: serialNumberHex(leaf.serialNumber),
  };
}

export function bodyFields(body: QuoteBody): Fields {
  if (body.kind === "SgxEnclave") {
    const { report } = body;
    return {
      cpusvn: hex(report.cpuSvn),
      miscselect: new DataView(Uint8Array.from(report.miscSelect).buffer).getUint32(0, true),
      attributes: hex(report.attributes),
      mrenclave: hex(report.mrEnclave),
      mrsigner: hex(report.mrSigner),
      isvprodid: report.isvProdId,
      isvsvn: report.isvSvn,
      reportData: hex(report.reportData),
    };
  }
  const { report } = body;
  return {
    teeTcbSvn: hex(report.teeTcbSvn),
    mrseam: hex(report.mrSeam),
    mrsignerseam: hex(report.mrSignerSeam),
    seamAttributes: hex(report.seamAttributes),
    tdAttributes: hex(report.tdAttributes),
    xfam: hex(report.xfam),
    mrtd: hex(report.mrTd),
    mrconfigid: hex(report.mrConfigId),
    mrowner: hex(report.mrOwner),
    mrownerconfig: hex(report.mrOwnerConfig),
    ...Object.fromEntries(report.rtmrs.map((register, index) => [`rtmr${index}`, hex(register)])),
    reportData: hex(report.reportData),
    ...(report.teeTcbSvn2 === undefined ? {} : { teeTcbSvn2: hex(report.teeTcbSvn2) }),
    ...(report.mrServiceTd === undefined ? {} : { mrservicetd: hex(report.mrServiceTd) }),
  };
}
