import { parseHclReport, readRuntimeData } from "../azure-vtpm/hcl-report.ts";
import { decodeAscii } from "../core/bytes.ts";
import { parseDstackEventLog } from "../dstack/dstack-event-log.ts";
import { parseEventLog } from "../eventlog/event-log.ts";
import { isDataMeasured, replayPcrs, replayRtmrs } from "../eventlog/replay.ts";
import { parseNitroDocument } from "../nitro/nitro-document.ts";
import { parseNodeStatement } from "../node/node-statement.ts";
import { parseQuote } from "../sgx/quote.ts";
import { isDebugEnclave } from "../sgx/sgx-report.ts";
import { parseSnpReport, snpProduct, snpSigningKey, splitSnpPlatformInfo, splitSnpPolicy, splitSnpTcb } from "../snp/snp-report.ts";
import { isDebugTd } from "../tdx/td-report.ts";
import { parseTpmQuote } from "../tpm/tpm-quote.ts";
import { describeChain, describePckChain } from "./describe-certificates.ts";
import { type Recognised, recogniseEvidence } from "./recognise.ts";

const PCK_CHAIN_PEM = 5;

/** A value for display: bytes as hex, integers beyond 2^53 as text. */
export type Described = string | number | boolean | null | readonly Described[] | { readonly [name: string]: Described };

export interface Description {
  readonly format: Recognised["format"];
  readonly bytes: number;
  /** Names and lengths of what came along. */
  readonly endorsements: Readonly<Record<string, number>>;
  readonly fields: Described;
}

/** Takes a file apart for a reader. Everything in the answer is claimed by the file, nothing is verified. Throws EVIDENCE_MALFORMED. */
export function inspectEvidence(file: Uint8Array): Description {
  const { format, bytes, endorsements = new Map<string, Uint8Array>() } = recogniseEvidence(file);
  return {
    format,
    bytes: bytes.length,
    endorsements: Object.fromEntries([...endorsements].map(([name, value]) => [name, value.length])),
    fields: describe(fieldsOf(format, bytes)),
  };
}

function fieldsOf(format: Recognised["format"], bytes: Uint8Array): unknown {
  switch (format) {
    case "sgx":
    case "tdx":
      return quoteFields(bytes);
    case "snp":
      return snpFields(bytes);
    case "nitro": {
      const { cose: _cose, certificate, caBundle, ...document } = parseNitroDocument(bytes);
      const chain = describeChain([certificate, ...caBundle.toReversed()]); // the bundle begins with the root
      return { ...document, ...(chain === undefined ? { certificate, caBundle } : { certificates: chain }) };
    }
    case "tpm":
      return parseTpmQuote(bytes);
    case "node": {
      const { statement, keyId } = parseNodeStatement(bytes);
      return { ...statement, keyId };
    }
    case "simulated":
      return {
        imitates: decodeAscii(bytes.subarray(1, 1 + (bytes[0] ?? 0))),
        evidence: bytes.subarray(1 + (bytes[0] ?? 0)),
      };
    case "azure-hcl": {
      const hcl = parseHclReport(bytes);
      const { userData, attestationKey } = readRuntimeData(hcl);
      return { ...hcl, runtimeData: new TextDecoder().decode(hcl.runtimeData), userData, attestationKey: attestationKey.spki };
    }
    case "event-log":
      return logFields(bytes);
    case "dstack-event-log":
      return parseDstackEventLog(bytes);
    default:
      return format satisfies never;
  }
}

/** The chain in a quote is shown by its certificates: as bytes nobody could read it. */
function quoteFields(bytes: Uint8Array): unknown {
  const { signedBytes: _signed, qeReportBytes: _report, certificationData, body, ...quote } = parseQuote(bytes);
  const { type, data } = certificationData;
  const chain = type === PCK_CHAIN_PEM ? describePckChain(data) : undefined;
  return {
    ...quote,
    debug: body.kind === "SgxEnclave" ? isDebugEnclave(body.report) : isDebugTd(body.report),
    body,
    certificationData: chain === undefined ? certificationData : { type, bytes: data.length, ...chain },
  };
}

function snpFields(bytes: Uint8Array): unknown {
  const { signedBytes: _signed, ...report } = parseSnpReport(bytes);
  const product = snpProduct(report);
  return {
    ...report,
    signingKey: snpSigningKey(report),
    policyBits: splitSnpPolicy(report.policy),
    platformInfoBits: splitSnpPlatformInfo(report.platformInfo),
    ...(product === undefined ? {} : { product, reportedVersions: splitSnpTcb(report.reportedTcb, product) }),
  };
}

function logFields(bytes: Uint8Array): unknown {
  const log = parseEventLog(bytes);
  const pcrs = Object.fromEntries(log.algorithms.map((bank) => [bank, replayPcrs(log, bank)]));
  const isCcel =
    log.algorithms.includes("sha384") && log.events.every(({ register, type }) => type === 3 || (register >= 1 && register <= 4));
  return {
    format: log.format,
    events: log.events.map((event) => ({
      register: event.register,
      type: `0x${event.type.toString(16)}`,
      dataBytes: event.data.length,
      isDataMeasured: log.algorithms.some((bank) => isDataMeasured(event, bank)),
    })),
    paddingBytes: log.paddingBytes,
    registers: pcrs,
    ...(isCcel ? { rtmrs: replayRtmrs(log) } : {}),
  };
}

function describe(value: unknown): Described {
  if (value instanceof Uint8Array) return value.toHex();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), describe(item)]));
  if (Array.isArray(value)) return value.map(describe);
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  if (value instanceof Object) {
    return Object.fromEntries(Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, describe(item)]])));
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}
