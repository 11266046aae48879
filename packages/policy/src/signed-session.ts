/** Signed sessions (§19): the exact text and one signature per key over it. */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { readJsonObject } from "./json-object.ts";
import { readSigningKey } from "./language/access.ts";
import { encodePem } from "./pem.ts";
import { PolicyError } from "./policy-error.ts";
import { MAX_DOCUMENT_BYTES } from "./yaml-document.ts";

export interface SessionSigner {
  /** PEM SPKI. */
  readonly publicKey: string;
  readonly keyHash: string;
}

export interface SessionSignature {
  readonly signer: SessionSigner;
  readonly signature: Uint8Array;
}

export interface SignedSession {
  /** The text that was signed, unchanged. */
  readonly policy: string;
  readonly signatures: readonly SessionSignature[];
}

const DOMAIN = "vouchsafe/session-signature/1\0";
const MAX_SIGNATURES = 64;
const MAX_SIGNATURE_BYTES = 256;
/** A policy may double in size by JSON escapes, and more. */
export const MAX_SIGNED_BYTES = 8 * MAX_DOCUMENT_BYTES;

/** What a signer signs (SL-189): domain, zero byte, the text. Ed25519 signs it directly, P-384 with ECDSA and SHA-384 (DER). */
export function sessionSigningMessage(policy: string): Uint8Array {
  return Uint8Array.from(Buffer.from(DOMAIN + policy));
}

const digestOf = (key: KeyObject) => (key.asymmetricKeyType === "ed25519" ? null : "sha384");

const malformed = (detail: string) => new PolicyError("SIGNED_SESSION_MALFORMED", `signed session: ${detail}`, { rule: "SL-188" });

/** Is this text a signed session rather than YAML policy text? Looks at its outer form only. */
export function isSignedSession(text: string): boolean {
  return /^\s*\{\s*"(?:policy|signatures)"\s*:/.test(text) && text.includes('"signatures"');
}

/** Signs a policy text that has passed check (SL-191). The key is Ed25519 or P-384. */
export function signSession(policy: string, privateKey: KeyObject): SignedSession {
  return addSessionSignature({ policy, signatures: [] }, privateKey);
}

/** Adds a signature without touching the text (SL-190). Throws `PolicyError` SIGNER_TWICE. */
export function addSessionSignature(signed: SignedSession, privateKey: KeyObject): SignedSession {
  const message = sessionSigningMessage(signed.policy);
  const signature = sign(digestOf(privateKey), message, privateKey);
  return addRawSignature(signed, encodePem("PUBLIC KEY", createPublicKey(privateKey).export({ type: "spki", format: "der" })), signature);
}

/** Adds a signature made by another tool; it is verified first. Throws `PolicyError` SIGNATURE_INVALID or SIGNER_TWICE. */
export function addRawSignature(signed: SignedSession, signerPem: string, signature: Uint8Array): SignedSession {
  const signer = readSigningKey(signerPem);
  if ("problem" in signer)
    throw new PolicyError("SIGNATURE_INVALID", `signer: ${signer.problem}`, { rule: "SL-176", remedy: "Use an Ed25519 or P-384 key." });
  const { publicKey, keyHash } = signer;
  if (signed.signatures.some((earlier) => earlier.signer.keyHash === keyHash)) {
    throw new PolicyError("SIGNER_TWICE", `key ${keyHash} has signed this session already`, { rule: "SL-190" });
  }
  const entry = { signer: { publicKey, keyHash }, signature: Uint8Array.from(signature) };
  assertSignature(signed.policy, entry);
  return { ...signed, signatures: [...signed.signatures, entry] };
}

function assertSignature(policy: string, { signer, signature }: SessionSignature): void {
  const key = createPublicKey(signer.publicKey);
  if (verify(digestOf(key), sessionSigningMessage(policy), key, signature)) return;
  throw new PolicyError("SIGNATURE_INVALID", `the signature of key ${signer.keyHash} does not fit the text`, {
    rule: "SL-190",
    remedy: "Sign the text again; it must not be changed after signing.",
  });
}

/** The JSON of a signed session (SL-188). */
export function encodeSignedSession({ policy, signatures }: SignedSession): string {
  const list = signatures.map(({ signer, signature }) => ({ signer: signer.publicKey, signature: signature.toBase64() }));
  return `${JSON.stringify({ policy, signatures: list }, undefined, 2)}\n`;
}

/** Reads a signed session without verifying it. Throws `PolicyError` SIGNED_SESSION_MALFORMED. */
export function parseSignedSession(text: string): SignedSession {
  const { policy, signatures } = readJsonObject(text, ["policy", "signatures"], MAX_SIGNED_BYTES, malformed);
  if (typeof policy !== "string") throw malformed("`policy` is no text");
  if (!Array.isArray(signatures) || signatures.length === 0) throw malformed("`signatures` is no list with at least one signature");
  if (signatures.length > MAX_SIGNATURES) throw malformed(`${signatures.length} signatures, at most ${MAX_SIGNATURES} allowed`);
  const seen = new Set<string>();
  const entries = signatures.map((entry: unknown) => {
    const read = readSignature(entry);
    if (seen.has(read.signer.keyHash)) throw malformed(`two signatures of key ${read.signer.keyHash}`);
    seen.add(read.signer.keyHash);
    return read;
  });
  return { policy, signatures: entries };
}

function readSignature(entry: unknown): SessionSignature {
  if (!(entry instanceof Object) || Object.keys(entry).sort().join() !== "signature,signer")
    throw malformed("a signature has other keys than `signer`, `signature`");
  const { signer, signature } = { signer: undefined, signature: undefined, ...entry } as {
    readonly signer: unknown;
    readonly signature: unknown;
  };
  if (typeof signer !== "string" || typeof signature !== "string" || signature.length > MAX_SIGNATURE_BYTES * 2)
    throw malformed("a signature is no text");
  const key = readSigningKey(signer);
  if ("problem" in key) throw malformed(`signer: ${key.problem}`);
  try {
    const { publicKey, keyHash } = key;
    return { signer: { publicKey, keyHash }, signature: Uint8Array.fromBase64(signature, { lastChunkHandling: "strict" }) };
  } catch (cause) {
    throw new PolicyError("SIGNED_SESSION_MALFORMED", "signed session: a signature is no base64", { rule: "SL-188", cause });
  }
}

/** Reads and verifies: every signature must be good (SL-190). Throws `PolicyError` SIGNED_SESSION_MALFORMED or SIGNATURE_INVALID. */
export function verifySignedSession(text: string): SignedSession {
  const signed = parseSignedSession(text);
  for (const entry of signed.signatures) assertSignature(signed.policy, entry);
  return signed;
}
