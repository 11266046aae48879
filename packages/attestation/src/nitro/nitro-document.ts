import { EvidenceError, type EvidenceReason } from "../core/errors.ts";
import { isIntegerWithin } from "../core/integer.ts";
import { decodeStrictCbor } from "../core/strict-cbor.ts";
import { type CoseSign1, parseCoseSign1 } from "./cose-sign1.ts";

/** Attestation document of an AWS Nitro enclave: parsed, not verified. */
export interface NitroDocument {
  readonly moduleId: string;
  readonly timestamp: Date;
  /** SHA-384 registers by index, 0 to 31. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER certificate of the key that signed the document. */
  readonly certificate: Uint8Array;
  /** DER certificates from the root, first, to the issuer of `certificate`. */
  readonly caBundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
  readonly cose: CoseSign1;
}

export const NITRO_DOCUMENT_MAX_BYTES = 64 * 1024;
const CERTIFICATE_MAX_BYTES = 1024;
const CA_BUNDLE_MAX = 16;
/** The last instant that a Date can be. */
const DATE_MAX_MS = 8.64e15;
const PCR_MAX = 31;
const PCR_BYTES = [32, 48, 64];
const MEMBERS: readonly unknown[] = [
  "module_id",
  "digest",
  "timestamp",
  "pcrs",
  "certificate",
  "cabundle",
  "public_key",
  "user_data",
  "nonce",
];

const refuse = (detail: string, reason: EvidenceReason): EvidenceError =>
  new EvidenceError("EVIDENCE_MALFORMED", `Nitro document: ${detail}`, { reason });
const malformed = (detail: string): EvidenceError => refuse(detail, "parse-error");

/** Splits a document as the NSM made it. Layout and limits: AWS Nitro Enclaves NSM API, attestation process §3.1 and §3.2. Throws EVIDENCE_MALFORMED. */
export function parseNitroDocument(bytes: Uint8Array): NitroDocument {
  const cose = parseCoseSign1(bytes, NITRO_DOCUMENT_MAX_BYTES, refuse);
  // The NSM writes the payload map with indefinite length since 2025; it is signed as it stands.
  const limits = { maxBytes: NITRO_DOCUMENT_MAX_BYTES, allowIndefinite: true };
  const { value, rest } = decodeStrictCbor(cose.payload, limits, malformed);
  if (rest.length > 0) throw malformed(`${rest.length} bytes follow the payload`);
  if (!(value instanceof Map)) throw malformed("the payload is not a map");
  const payload: ReadonlyMap<unknown, unknown> = value;
  const stranger = [...payload.keys()].find((key) => !MEMBERS.includes(key));
  if (stranger !== undefined) throw malformed(`unknown member ${JSON.stringify(String(stranger).slice(0, 40))}`);
  const moduleId = payload.get("module_id");
  if (typeof moduleId !== "string" || moduleId === "") throw malformed("module_id is not a text");
  if (payload.get("digest") !== "SHA384") throw malformed("digest is not SHA384");
  const timestamp = payload.get("timestamp");
  if (!isIntegerWithin(timestamp, 1, DATE_MAX_MS)) throw malformed("timestamp is not a count of milliseconds");
  return {
    moduleId,
    timestamp: new Date(timestamp),
    pcrs: readPcrs(payload.get("pcrs")),
    certificate: readBytes(payload.get("certificate"), "certificate", 1, CERTIFICATE_MAX_BYTES),
    caBundle: readCaBundle(payload.get("cabundle")),
    publicKey: readOptional(payload.get("public_key"), "public_key", 1, 1024),
    userData: readOptional(payload.get("user_data"), "user_data", 0, 512),
    nonce: readOptional(payload.get("nonce"), "nonce", 0, 512),
    cose,
  };
}

function readPcrs(value: unknown): ReadonlyMap<number, Uint8Array> {
  if (!(value instanceof Map) || value.size === 0) throw malformed("pcrs is not a map with entries");
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, digest] of value as ReadonlyMap<unknown, unknown>) {
    if (!isIntegerWithin(index, 0, PCR_MAX)) throw malformed("a PCR index is not 0 to 31");
    if (!(digest instanceof Uint8Array) || !PCR_BYTES.includes(digest.length)) throw malformed(`PCR ${index} is not 32, 48 or 64 bytes`);
    pcrs.set(index, digest);
  }
  return pcrs;
}

function readCaBundle(value: unknown): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0) throw malformed("cabundle is not a list of certificates");
  if (value.length > CA_BUNDLE_MAX) throw malformed(`cabundle has ${value.length} certificates, at most ${CA_BUNDLE_MAX} allowed`);
  return value.map((certificate: unknown, index) => readBytes(certificate, `certificate ${index} of cabundle`, 1, CERTIFICATE_MAX_BYTES));
}

function readOptional(value: unknown, member: string, minBytes: number, maxBytes: number): Uint8Array | undefined {
  return value === undefined || value === null ? undefined : readBytes(value, member, minBytes, maxBytes);
}

function readBytes(value: unknown, member: string, minBytes: number, maxBytes: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < minBytes || value.length > maxBytes) {
    throw malformed(`${member} is not a byte string of ${minBytes} to ${maxBytes} bytes`);
  }
  return value;
}
