import { encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { TPM_HASHES, type TpmHash } from "./tpm-quote.ts";
import type { PcrBanks } from "./verify-tpm-quote.ts";

const NAMES: ReadonlySet<string> = new Set(TPM_HASHES.values());
const PCR_MAX = 31;

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `PCR values: ${detail}`, { reason: "parse-error" });

/** Reads PCR values from JSON, `{"sha256": {"0": "‹hex›"}}`. Lengths are compared with the bank when a quote is verified. Throws EVIDENCE_MALFORMED. */
export function parsePcrBanks(json: Uint8Array): PcrBanks {
  const banks = new Map<TpmHash, ReadonlyMap<number, Uint8Array>>();
  for (const [name, values] of Object.entries(asRecord(parseJson(json), "the document"))) {
    if (!isBank(name)) throw malformed("a bank is none of sha1, sha256, sha384, sha512");
    banks.set(name, new Map(Object.entries(asRecord(values, name)).map(([index, value]) => readPcr(index, value))));
  }
  return banks;
}

/** Writes the values of the SHA-256 bank as `parsePcrBanks` reads them. */
export function encodePcrBank(values: ReadonlyMap<number, Uint8Array>): Uint8Array {
  return encodeUtf8(JSON.stringify({ sha256: Object.fromEntries([...values].map(([index, value]) => [index, value.toHex()])) }));
}

function readPcr(index: string, value: unknown): [number, Uint8Array] {
  if (!/^(?:0|[1-9][0-9]?)$/.test(index) || Number(index) > PCR_MAX) throw malformed("a PCR index is not 0 to 31");
  if (typeof value !== "string" || !/^(?:[0-9a-fA-F]{2}){20,64}$/.test(value)) throw malformed(`PCR ${index} is not hex of a digest`);
  return [Number(index), Uint8Array.fromHex(value)];
}

const isBank = (name: string): name is TpmHash => NAMES.has(name);

function asRecord(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(`${field} is not an object`);
  return value as Record<string, unknown>; // an object that is no array has string keys
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", "PCR values: not JSON", { reason: "parse-error", cause });
  }
}
