import { concat, decodeBase64, encodeUtf8 } from "../core/bytes.ts";
import type { PublicKey } from "../crypto/crypto-provider.ts";
import { hash } from "../crypto/current-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { ed25519PublicKey } from "../x509/public-key.ts";
import { LogError } from "./log-error.ts";

/** Who may sign a note: C2SP signed-note with Ed25519, or a witness with cosignature/v1. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: number;
  readonly kind: "ed25519" | "cosignature";
  readonly publicKey: PublicKey;
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** When the witness signed, in seconds; cosignatures only. */
  readonly timestamp?: bigint;
}

export interface OpenedNote {
  /** Ends with a newline. */
  readonly text: string;
  /** At least one. */
  readonly verifiedBy: readonly NoteSignature[];
  /** Signatures by keys that were not given: they say nothing. */
  readonly unverified: number;
}

const NOTE_MAX_BYTES = 1_000_000;
const SIGNATURES_MAX = 100;
export const DASH = "— ";
const KINDS = new Map<number, NoteVerifier["kind"]>([
  [1, "ed25519"],
  [4, "cosignature"],
]);
export const KEY_BYTES = 32;
const EDDSA = { kind: "eddsa" } as const;

/** Reads a verifier key `NAME+HASH+BASE64` (C2SP signed-note). Throws LOG_MALFORMED, also when the hash is not that of the key. */
export function parseVerifierKey(text: string): NoteVerifier {
  const [, name = "", keyHash = "", encoded = ""] = /^([^+]{1,1000})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,1000})$/.exec(text) ?? [];
  if (!isNoteName(name)) throw malformed("a verifier key is NAME+8 hex digits+base64");
  const bytes = readBase64(encoded, "verifier key");
  const kind = KINDS.get(bytes[0] ?? 0);
  if (kind === undefined || bytes.length !== 33)
    throw malformed(`verifier key of ${name}: algorithm ${bytes[0]} with ${bytes.length} bytes is not supported`);
  if (noteKeyId(name, bytes) !== Number.parseInt(keyHash, 16)) throw malformed(`verifier key of ${name}: the hash is not that of the key`);
  return { name, kind, keyId: noteKeyId(name, bytes), publicKey: ed25519PublicKey(bytes.subarray(1)) };
}

/** The same Ed25519 key as that of a witness: some publish it in the form for notes and cosign with it. Its key id is another. */
export function asWitness({ name, publicKey }: NoteVerifier): NoteVerifier {
  return { name, publicKey, kind: "cosignature", keyId: noteKeyId(name, noteKeyBytes(publicKey, "cosignature")) };
}

/**
 * Opens a signed note. A signature by a key that is given must be right; those of other keys are counted only. Throws LOG_MALFORMED, and
 * LOG_SIGNATURE when a known key's signature is wrong or no known key signed.
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): OpenedNote {
  const { text, lines } = splitNote(note);
  const verifiedBy = new Map<NoteVerifier, NoteSignature>();
  const unverified = new Set<string>();
  for (const { name, keyId, signature } of lines) {
    const verifier = verifiers.find((candidate) => candidate.name === name && candidate.keyId === keyId);
    if (verifier === undefined) unverified.add(`${name} ${keyId}`);
    else if (!verifiedBy.has(verifier)) verifiedBy.set(verifier, verifySignature(text, verifier, signature));
  }
  if (verifiedBy.size === 0) throw new LogError("LOG_SIGNATURE", "no known key signed the note");
  return { text, verifiedBy: [...verifiedBy.values()], unverified: unverified.size };
}

interface SignatureLine {
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

function splitNote(note: string | Uint8Array): { text: string; lines: SignatureLine[] } {
  const whole = typeof note === "string" ? note : decodeUtf8(note);
  if (whole.length > NOTE_MAX_BYTES) throw malformed(`${whole.length} characters, at most ${NOTE_MAX_BYTES} allowed`);
  assertNoteText(whole);
  const split = whole.lastIndexOf("\n\n");
  if (split < 0) throw malformed("no blank line before the signatures");
  const signatures = whole.slice(split + 2);
  if (!signatures.endsWith("\n")) throw malformed("no signature, or one without a newline behind it");
  const lines = signatures.slice(0, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) throw malformed(`${lines.length} signatures, at most ${SIGNATURES_MAX} allowed`);
  return { text: whole.slice(0, split + 1), lines: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): SignatureLine {
  const [name = "", encoded = "", ...rest] = line.startsWith(DASH) ? line.slice(DASH.length).split(" ") : [];
  if (rest.length > 0 || !isNoteName(name)) throw malformed("a signature line is an em dash, a name and base64");
  const bytes = readBase64(encoded, `signature of ${JSON.stringify(name)}`);
  if (bytes.length < 5) throw malformed("a signature has a key id of 4 bytes and at least one byte behind it");
  return { name, keyId: readU32(bytes), signature: bytes.subarray(4) };
}

function verifySignature(text: string, verifier: NoteVerifier, signature: Uint8Array): NoteSignature {
  const { name, keyId, publicKey } = verifier;
  const wrong = () => new LogError("LOG_SIGNATURE", `the signature of ${name}+${keyId.toString(16).padStart(8, "0")} is not valid`);
  if (verifier.kind === "ed25519") {
    if (signature.length !== 64 || !isSignedBy(EDDSA, publicKey, encodeUtf8(text), signature)) throw wrong();
    return { name, keyId };
  }
  if (signature.length !== 72) throw wrong();
  const timestamp = new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0);
  if (!isSignedBy(EDDSA, publicKey, cosignedMessage(text, timestamp), signature.subarray(8))) throw wrong();
  return { name, keyId, timestamp };
}

export const cosignedMessage = (text: string, timestamp: bigint): Uint8Array => encodeUtf8(`cosignature/v1\ntime ${timestamp}\n${text}`);

/** Algorithm number and key: what key ids are made from, and what verifier keys carry. */
export function noteKeyBytes({ kind, spki }: PublicKey, purpose: NoteVerifier["kind"]): Uint8Array {
  if (kind !== "ed25519") throw new TypeError(`notes are signed with Ed25519, not ${kind}`);
  return concat(Uint8Array.of(purpose === "ed25519" ? 1 : 4), spki.subarray(-KEY_BYTES));
}

export const noteKeyId = (name: string, keyBytes: Uint8Array): number => readU32(hash("sha256", encodeUtf8(`${name}\n`), keyBytes));

export const isNoteName = (name: string): boolean => name.length > 0 && !/[\s+\u0085]/u.test(name);

export function assertNoteText(text: string): void {
  if (!text.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(text))
    throw malformed("the note has control characters or is not Unicode text");
  if (!text.endsWith("\n")) throw malformed("the last line has no newline");
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("not UTF-8"); // the decoder's own error says nothing more
  }
}

function readBase64(text: string, field: string): Uint8Array {
  try {
    return decodeBase64(text);
  } catch (cause) {
    throw new LogError("LOG_MALFORMED", `note: ${field} is not base64`, { cause });
  }
}

const readU32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
const malformed = (detail: string): LogError => new LogError("LOG_MALFORMED", `note: ${detail}`);
