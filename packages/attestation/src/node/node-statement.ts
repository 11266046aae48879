import { createPublicKey, hash, type KeyObject, sign } from "node:crypto";
import { ByteCursor } from "../core/byte-cursor.ts";
import { EvidenceError } from "../core/errors.ts";

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

const FORMAT = "vouchsafe/node-statement/1";
const TEXT_MAX_BYTES = 1024;
const TAG_MAX_BYTES = 64;
const SIGNATURE_BYTES = 64; // Ed25519, and ECDSA P-256 as r and s side by side

/** SHA-256 of the label that names this version of the measuring procedure: image unpacked and verified by digest, root checked, program started by the agent. */
export const NODE_AGENT_MEASUREMENT: Uint8Array = hash("sha256", "vouchsafe/node-agent/measuring-procedure/1", "buffer");

/**
 * Writes and signs a statement. `privateKey` is Ed25519 or P-256. All integers little-endian:
 *
 *     u16 length, format label | 64 userData | 32 agent measurement | 32 image digest | u16 length, tag
 *     u16 length, program | u16 length, service | u64 instance counter | u64 issuedAt in ms | 32 key id | 64 signature over all before it
 *
 * A field outside its range is a caller's mistake: TypeError.
 */
export function encodeNodeStatement(statement: NodeStatement, privateKey: KeyObject): Uint8Array {
  const imageDigest = /^sha256:([0-9a-f]{64})$/.exec(statement.imageDigest)?.[1];
  if (imageDigest === undefined) throw new TypeError("imageDigest is not sha256: and 64 hex digits");
  if (!/^(?:[0-9a-f]{2})*$/.test(statement.fileSystemTag)) throw new TypeError("fileSystemTag is not hex");
  const publicKey = createPublicKey(privateKey);
  assertStatementKey(publicKey, (detail) => new TypeError(detail));
  const signedBytes = Buffer.concat([
    counted(Buffer.from(FORMAT), TEXT_MAX_BYTES),
    exactly(statement.userData, 64, "userData"),
    exactly(statement.agentMeasurement, 32, "agentMeasurement"),
    Buffer.from(imageDigest, "hex"),
    counted(Buffer.from(statement.fileSystemTag, "hex"), TAG_MAX_BYTES),
    counted(Buffer.from(statement.program), TEXT_MAX_BYTES),
    counted(Buffer.from(statement.service), TEXT_MAX_BYTES),
    u64(statement.instanceCounter),
    u64(BigInt(statement.issuedAt.getTime())),
    nodeKeyId(publicKey),
  ]);
  return Buffer.concat([signedBytes, sign(digestFor(privateKey), signedBytes, { key: privateKey, dsaEncoding: "ieee-p1363" })]);
}

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
export function nodeKeyId(publicKey: KeyObject): Uint8Array {
  return hash("sha256", publicKey.export({ type: "spki", format: "der" }), "buffer");
}

/** Only Ed25519 and P-256 sign statements; the algorithm follows from the enrolled key, never from the message. */
export function assertStatementKey(publicKey: KeyObject, refuse: (detail: string) => Error): void {
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  if (publicKey.asymmetricKeyType === "ed25519" || (publicKey.asymmetricKeyType === "ec" && curve === "prime256v1")) return;
  throw refuse(`a node agent's key is Ed25519 or P-256, this one is ${publicKey.asymmetricKeyType} ${curve ?? ""}`.trimEnd());
}

export const digestFor = (key: KeyObject): "sha256" | null => (key.asymmetricKeyType === "ec" ? "sha256" : null);

function limited(length: number, max: number, field: string, malformed: (detail: string) => Error): number {
  if (length > max) throw malformed(`${field} of ${length} bytes, at most ${max} allowed`);
  return length;
}

function counted(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length > max) throw new TypeError(`field of ${bytes.length} bytes, at most ${max} allowed`);
  return Buffer.concat([Uint8Array.of(bytes.length & 0xff, bytes.length >> 8), bytes]);
}

function exactly(bytes: Uint8Array, length: number, field: string): Uint8Array {
  if (bytes.length !== length) throw new TypeError(`${field} has ${bytes.length} bytes, not ${length}`);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

const uint64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
