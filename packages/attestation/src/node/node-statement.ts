import { ByteCursor } from "../core/byte-cursor.ts";
import { encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { PublicKey, SignatureScheme } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { describeKey } from "../x509/public-key.ts";

/**
 * What a node agent says about the program that asked it for Evidence. The agent fills in the workload from its own measurement and the
 * user data from the caller; it proves nothing about hardware.
 */
export interface NodeStatement {
  /** 64 bytes chosen by the caller: the channel binding. */
  readonly userData: Uint8Array;
  /** 32 bytes; names the procedure by which the agent measured, see {@link NODE_AGENT_MEASUREMENT}. */
  readonly agentMeasurement: Uint8Array;
  /** `sha256:` and 64 hex digits: the manifest the container was unpacked from. */
  readonly imageDigest: string;
  /** Hex tag of the encrypted code volume, empty when the image has none. */
  readonly fileSystemTag: string;
  /** Absolute path of the executable the agent started or found. */
  readonly program: string;
  /** Service id the agent's socket belongs to, `SESSION/SERVICE`. */
  readonly service: string;
  /** Grows by one with each instance the agent starts: tells instances of one service apart. */
  readonly instanceCounter: bigint;
  readonly issuedAt: Date;
}

/** A statement as it lies in the Evidence: parsed, its signature not yet verified. */
export interface SignedNodeStatement {
  readonly statement: NodeStatement;
  /** SHA-256 of the signer's SubjectPublicKeyInfo: says which enrolled key to try, proves nothing. */
  readonly keyId: Uint8Array;
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

export const FORMAT = "vouchsafe/node-statement/1";
export const TEXT_MAX_BYTES = 1024;
export const TAG_MAX_BYTES = 64;
const SIGNATURE_BYTES = 64; // Ed25519, and ECDSA P-256 as r and s side by side

/** SHA-256 of the label that names this version of the measuring procedure: image unpacked and verified by digest, root checked, program started by the agent. */
export const NODE_AGENT_MEASUREMENT: Uint8Array = hash("sha256", encodeUtf8("vouchsafe/node-agent/measuring-procedure/1"));

/** Splits a statement; proves nothing yet. Throws EVIDENCE_MALFORMED. */
export function parseNodeStatement(bytes: Uint8Array): SignedNodeStatement {
  const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `node statement: ${detail}`);
  const cursor = new ByteCursor(bytes, malformed);
  const text = (field: string): string => {
    const raw = cursor.take(limited(cursor.uint(2, `${field} length`), TEXT_MAX_BYTES, field, malformed), field);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    } catch {
      throw malformed(`${field} is not UTF-8`); // the decoder's own error says nothing more
    }
  };
  const format = text("format");
  if (format !== FORMAT) throw malformed(`the format label is not ${FORMAT}`);
  const userData = cursor.take(64, "userData");
  const agentMeasurement = cursor.take(32, "agent measurement");
  const imageDigest = `sha256:${cursor.take(32, "image digest").toHex()}`;
  const fileSystemTag = cursor.take(limited(cursor.uint(2, "tag length"), TAG_MAX_BYTES, "tag", malformed), "tag").toHex();
  const program = text("program");
  const service = text("service");
  const instanceCounter = uint64(cursor.take(8, "instance counter"));
  const issuedAt = new Date(Number(uint64(cursor.take(8, "issuedAt"))));
  if (Number.isNaN(issuedAt.getTime())) throw malformed("issuedAt is beyond the range of dates");
  const keyId = cursor.take(32, "key id");
  const signedBytes = bytes.subarray(0, bytes.length - cursor.left);
  const signature = cursor.take(SIGNATURE_BYTES, "signature");
  if (cursor.left > 0) throw malformed(`${cursor.left} bytes follow the signature`);
  const statement = { userData, agentMeasurement, imageDigest, fileSystemTag, program, service, instanceCounter, issuedAt };
  return { statement, keyId, signedBytes, signature };
}

/** SHA-256 of the key's DER SubjectPublicKeyInfo. */
export const nodeKeyId = (spki: Uint8Array): Uint8Array => hash("sha256", spki);

/** Only Ed25519 and P-256 sign statements; the algorithm follows from the enrolled key, never from the message. Throws what `refuse` makes. */
export function statementScheme(publicKey: PublicKey, refuse: (detail: string) => Error): SignatureScheme {
  if (publicKey.kind === "ed25519") return { kind: "eddsa" };
  if (publicKey.kind === "ec" && publicKey.curve === "P-256") return { kind: "ecdsa", digest: "sha256", encoding: "ieee-p1363" };
  throw refuse(`a node agent's key is Ed25519 or P-256, this one is ${describeKey(publicKey)}`);
}

function limited(length: number, max: number, field: string, malformed: (detail: string) => Error): number {
  if (length > max) throw malformed(`${field} of ${length} bytes, at most ${max} allowed`);
  return length;
}

const uint64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
