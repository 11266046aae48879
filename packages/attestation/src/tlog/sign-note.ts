import { createPublicKey, type KeyObject, sign } from "node:crypto";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { ed25519PublicKey } from "../x509/public-key.ts";
import { assertNoteText, cosignedMessage, DASH, isNoteName, KEY_BYTES, type NoteVerifier, noteKeyBytes, noteKeyId } from "./signed-note.ts";

/** Writes the verifier key of an Ed25519 public key under `name`. */
export function formatVerifierKey(name: string, publicKey: KeyObject, kind: NoteVerifier["kind"] = "ed25519"): string {
  const bytes = noteKeyBytes(readKey(publicKey), kind);
  return `${name}+${noteKeyId(name, bytes).toString(16).padStart(8, "0")}+${bytes.toBase64()}`;
}

/** Signs `text` (lines ending in a newline) with an Ed25519 key and returns the whole note; further signature lines may be appended to it. */
export function signNote(text: string, name: string, privateKey: KeyObject): string {
  assertNoteText(text);
  const publicKey = readKey(createPublicKey(privateKey));
  return `${text}\n${signatureLine(name, noteKeyBytes(publicKey, "ed25519"), sign(null, Buffer.from(text), privateKey))}`;
}

/** The signature line of a witness (C2SP tlog-cosignature) that saw `text` at `timestamp` seconds. */
export function cosignNote(text: string, name: string, timestamp: bigint, privateKey: KeyObject): string {
  assertNoteText(text);
  const publicKey = readKey(createPublicKey(privateKey));
  const stamp = Buffer.alloc(8);
  stamp.writeBigUInt64BE(timestamp);
  const signature = sign(null, cosignedMessage(text, timestamp), privateKey);
  return signatureLine(name, noteKeyBytes(publicKey, "cosignature"), Buffer.concat([stamp, signature]));
}

function readKey(key: KeyObject): PublicKey {
  if (key.asymmetricKeyType !== "ed25519") throw new TypeError(`notes are signed with Ed25519, not ${key.asymmetricKeyType}`);
  return ed25519PublicKey(key.export({ type: "spki", format: "der" }).subarray(-KEY_BYTES));
}

function signatureLine(name: string, keyBytes: Uint8Array, signature: Uint8Array): string {
  if (!isNoteName(name)) throw new TypeError("a note key's name is not empty and has no space or plus sign");
  const id = Buffer.alloc(4);
  id.writeUInt32BE(noteKeyId(name, keyBytes));
  return `${DASH}${name} ${Buffer.concat([id, signature]).toString("base64")}\n`;
}
