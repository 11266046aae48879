import { createPublicKey, type KeyObject, sign } from "node:crypto";
import type { Evidence } from "../core/evidence.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { FORMAT, type NodeStatement, nodeKeyId, statementScheme, TAG_MAX_BYTES, TEXT_MAX_BYTES } from "./node-statement.ts";

/** Makes Evidence of kind `node`. `privateKey` is the agent's Ed25519 or P-256 key; a field outside its range is a TypeError. */
export function createNodeStatement(statement: NodeStatement, privateKey: KeyObject): Evidence {
  return { kind: "node", bytes: encodeNodeStatement(statement, privateKey) };
}

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
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const { kind } = statementScheme(readPublicKey(spki), (detail) => new TypeError(detail));
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
    nodeKeyId(spki),
  ]);
  return Buffer.concat([
    signedBytes,
    sign(kind === "eddsa" ? null : "sha256", signedBytes, { key: privateKey, dsaEncoding: "ieee-p1363" }),
  ]);
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
