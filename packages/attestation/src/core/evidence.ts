import { decodeBase64 } from "./bytes.ts";
import { EvidenceError } from "./errors.ts";

/** Which verifier judges, chosen by whoever receives the Evidence. `node` is an agent's word, `simulated` imitates hardware: neither proves any. */
export type EvidenceKind = "sgx" | "tdx" | "snp" | "nitro" | "tpm" | "node" | "simulated";

/** Evidence as an Attester hands it over: nothing about it is verified. */
export interface Evidence {
  readonly kind: EvidenceKind;
  readonly bytes: Uint8Array;
  /** Certificates, logs and values that came along, by name. */
  readonly endorsements?: ReadonlyMap<string, Uint8Array>;
}

/** Wire form of Evidence. */
export interface EvidenceJson {
  readonly kind: EvidenceKind;
  readonly evidence: string;
  readonly endorsements?: Readonly<Record<string, string>>;
}

/** What was measured of the program itself, beyond the machine it runs in. */
export interface Workload {
  /** `sha256:` and 64 hex digits. */
  readonly imageDigest: string;
  /** Hex tag of the encrypted code volume, empty when the image has none. */
  readonly fileSystemTag: string;
  readonly program?: string;
}

const KINDS: ReadonlySet<unknown> = new Set<EvidenceKind>(["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"]);
const EVIDENCE_MAX_BYTES = 1024 * 1024;
const ENDORSEMENTS_MAX = 16;

/** The JSON form for the wire; `decodeEvidence` reads it. */
export function encodeEvidence({ kind, bytes, endorsements }: Evidence): EvidenceJson {
  const evidence = base64(bytes);
  if (endorsements === undefined) return { kind, evidence };
  return { kind, evidence, endorsements: Object.fromEntries([...endorsements].map(([name, value]) => [name, base64(value)])) };
}

/** Reads the wire form. Throws EVIDENCE_MALFORMED for unknown kinds and members, wrong types, bad base64 and excess. */
export function decodeEvidence(json: unknown): Evidence {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed("not an object");
  const { kind, evidence, endorsements, ...unknown } = json as Record<string, unknown>; // an object that is no array has string keys
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined)
    throw malformed(`unknown member ${JSON.stringify(stranger.slice(0, 40))}, expected kind, evidence and endorsements`);
  if (!isKind(kind)) throw malformed("kind is not one of sgx, tdx, snp, nitro, tpm, node, simulated");
  const bytes = readBase64(evidence, "evidence");
  if (endorsements === undefined) return { kind, bytes };
  if (typeof endorsements !== "object" || endorsements === null || Array.isArray(endorsements))
    throw malformed("endorsements is not an object");
  const entries = Object.entries(endorsements);
  if (entries.length > ENDORSEMENTS_MAX) throw malformed(`${entries.length} endorsements, at most ${ENDORSEMENTS_MAX} allowed`);
  return { kind, bytes, endorsements: new Map(entries.map(([name, value]) => [name, readBase64(value, "an endorsement")])) };
}

const isKind = (kind: unknown): kind is EvidenceKind => KINDS.has(kind);
const base64 = (bytes: Uint8Array): string => bytes.toBase64();

function readBase64(text: unknown, field: string): Uint8Array {
  if (typeof text !== "string") throw malformed(`${field} is not a string`);
  if (text.length > (EVIDENCE_MAX_BYTES * 4) / 3 + 4) throw malformed(`${field} is longer than ${EVIDENCE_MAX_BYTES} bytes`);
  try {
    return decodeBase64(text);
  } catch (cause) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `evidence: ${field} is not base64`, { cause });
  }
}

const malformed = (detail: string): EvidenceError => new EvidenceError("EVIDENCE_MALFORMED", `evidence: ${detail}`);
