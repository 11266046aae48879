import { EvidenceError } from "../core/errors.ts";
import { isIntegerWithin } from "../core/integer.ts";
import { decodeStrictCbor, TaggedCbor } from "../core/strict-cbor.ts";

/** One reference value of a CoRIM: what a component of an environment should measure to. */
export interface CorimReference {
  readonly environment: CorimEnvironment;
  /** Key of the measurement within the environment, as text. */
  readonly key: string | undefined;
  readonly digests: readonly CorimDigest[];
  readonly svn: number | undefined;
  /** For a minimum: the SVN found must be at least this. */
  readonly minSvn: number | undefined;
  /** Raw value, without mask. */
  readonly rawValue: Uint8Array | undefined;
}

/** What the values are about, as far as the document says. */
export interface CorimEnvironment {
  readonly classId: string | undefined;
  readonly vendor: string | undefined;
  readonly model: string | undefined;
}

export interface CorimDigest {
  readonly algorithm: "sha256" | "sha384" | "sha512";
  readonly value: Uint8Array;
}

/** Reference values of one document, in its order. Who vouches for them is not part of it. */
export interface Corim {
  readonly id: string;
  readonly references: readonly CorimReference[];
}

export const CORIM_MAX_BYTES = 1024 * 1024;
const TAGS_MAX = 64;
const REFERENCES_MAX = 10_000;
const TAG = {
  uuid: 37,
  oid: 111,
  corim: 501,
  coswid: 505,
  comid: 506,
  cotl: 508,
  svn: 552,
  minSvn: 553,
  bytes: 560,
  integer: 551,
} as const;
/** IANA Named Information algorithms. */
const DIGESTS = new Map<unknown, { readonly algorithm: CorimDigest["algorithm"]; readonly bytes: number }>([
  [1, { algorithm: "sha256", bytes: 32 }],
  [7, { algorithm: "sha384", bytes: 48 }],
  [8, { algorithm: "sha512", bytes: 64 }],
  ["sha-256", { algorithm: "sha256", bytes: 32 }],
  ["sha-384", { algorithm: "sha384", bytes: 48 }],
  ["sha-512", { algorithm: "sha512", bytes: 64 }],
]);

type CborMap = ReadonlyMap<unknown, unknown>;

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `CoRIM: ${detail}`, { reason: "parse-error" });

/**
 * Reads the reference values of an unsigned CoRIM (draft-ietf-rats-corim, tag 501): the reference triples of its CoMIDs. Endorsed values, keys and
 * CoSWIDs are passed over. Who made it must be established by the caller: reference values from a stranger accept what the stranger wants.
 * Throws EVIDENCE_MALFORMED.
 */
export function parseCorim(bytes: Uint8Array): Corim {
  const { value, rest } = decode(bytes);
  if (rest.length > 0) throw malformed(`${rest.length} bytes follow`);
  const corim = asMap(untag(value, TAG.corim, "the document"), "the document");
  const tags = asList(corim.get(1), "tags");
  if (tags.length > TAGS_MAX) throw malformed(`${tags.length} tags, at most ${TAGS_MAX} allowed`);
  const references = tags.flatMap(readTag);
  if (references.length > REFERENCES_MAX) throw malformed(`${references.length} reference values, at most ${REFERENCES_MAX} allowed`);
  return { id: describeId(corim.get(0)) ?? "", references };
}

/** Hex digests of `algorithm` in all references that pass `accepts`: what `appraise` takes as launch measurements or code identities. */
export function corimDigests(
  corim: Corim,
  algorithm: CorimDigest["algorithm"],
  accepts: (reference: CorimReference) => boolean,
): readonly string[] {
  const digests = corim.references.filter(accepts).flatMap((reference) => reference.digests);
  return [...new Set(digests.filter((digest) => digest.algorithm === algorithm).map(({ value }) => value.toHex()))].sort();
}

/** A concise tag: `#6.506(bytes .cbor comid)`. Tags of other kinds hold no reference triples. */
function readTag(tag: unknown): readonly CorimReference[] {
  if (!(tag instanceof TaggedCbor)) throw malformed("a tag is not tagged");
  if (tag.tag !== TAG.comid) return [];
  if (!(tag.value instanceof Uint8Array)) throw malformed("a CoMID is not wrapped in a byte string");
  const { value, rest } = decode(tag.value);
  if (rest.length > 0) throw malformed(`${rest.length} bytes follow a CoMID`);
  const triples = asMap(asMap(value, "CoMID").get(4), "triples");
  const referenceTriples = triples.get(0);
  return referenceTriples === undefined ? [] : asList(referenceTriples, "reference triples").flatMap(readTriple);
}

function readTriple(triple: unknown): readonly CorimReference[] {
  const [environmentMap, measurements] = asList(triple, "reference triple");
  const environment = readEnvironment(asMap(environmentMap, "environment"));
  return asList(measurements, "measurements").map((measurement) => readMeasurement(asMap(measurement, "measurement"), environment));
}

function readEnvironment(environment: CborMap): CorimEnvironment {
  const classMap = environment.get(0);
  if (classMap === undefined) return { classId: undefined, vendor: undefined, model: undefined };
  const members = asMap(classMap, "class");
  return { classId: describeId(members.get(0)), vendor: asText(members.get(1), "vendor"), model: asText(members.get(2), "model") };
}

function readMeasurement(measurement: CborMap, environment: CorimEnvironment): CorimReference {
  const values = asMap(measurement.get(1), "measurement values");
  const svn = values.get(1);
  const digests = values.get(2);
  return {
    environment,
    key: describeId(measurement.get(0)),
    digests: digests === undefined ? [] : asList(digests, "digests").map(readDigest),
    svn: svn instanceof TaggedCbor && svn.tag === TAG.minSvn ? undefined : asSvn(svn),
    minSvn: svn instanceof TaggedCbor && svn.tag === TAG.minSvn ? asSvn(svn) : undefined,
    rawValue: readRawValue(values.get(4)),
  };
}

function readDigest(value: unknown): CorimDigest {
  const [id, digest] = asList(value, "digest");
  const known = DIGESTS.get(id);
  if (known === undefined) throw malformed(`digest algorithm ${String(id).slice(0, 20)} is not supported`);
  if (!(digest instanceof Uint8Array) || digest.length !== known.bytes)
    throw malformed(`a ${known.algorithm} digest has not ${known.bytes} bytes`);
  return { algorithm: known.algorithm, value: digest };
}

function readRawValue(value: unknown): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const bytes = value instanceof TaggedCbor && value.tag === TAG.bytes ? value.value : value;
  if (!(bytes instanceof Uint8Array)) throw malformed("a raw value is not a byte string");
  return bytes;
}

function asSvn(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = value instanceof TaggedCbor && (value.tag === TAG.svn || value.tag === TAG.minSvn) ? value.value : value;
  if (!isIntegerWithin(number, 0, Number.MAX_SAFE_INTEGER)) throw malformed("an SVN is not a number");
  return number;
}

/** Ids are text, numbers, UUIDs, object identifiers or bytes: bytes are shown as hex. */
function describeId(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const id = value instanceof TaggedCbor ? value.value : value;
  if (id instanceof Uint8Array) return id.toHex();
  if (typeof id === "string" || typeof id === "number") return String(id);
  throw malformed("an id is neither text, number nor bytes");
}

function asText(value: unknown, field: string): string | undefined {
  if (value !== undefined && typeof value !== "string") throw malformed(`${field} is not a text`);
  return value;
}

function asMap(value: unknown, field: string): CborMap {
  if (!(value instanceof Map)) throw malformed(`${field} is not a map`);
  return value;
}

function asList(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(`${field} is not a list`);
  return value;
}

function untag(value: unknown, tag: number, field: string): unknown {
  if (!(value instanceof TaggedCbor) || value.tag !== tag) throw malformed(`${field} has not the tag ${tag}`);
  return value.value;
}

const decode = (bytes: Uint8Array) => decodeStrictCbor(bytes, { maxBytes: CORIM_MAX_BYTES, tags: Object.values(TAG) }, malformed);
