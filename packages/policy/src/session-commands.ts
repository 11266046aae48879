/** What the `session` and `cert` commands compute (C-32): text in, text out; files, keys and terminals are the caller's. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Diagnostic } from "./diagnostic.ts";
import { decryptSession, encryptSession, isEncryptedSession } from "./encrypted-session.ts";
import { keyHashOf } from "./key-hash.ts";
import type { CreatorOption } from "./normal-form.ts";
import { type ParsedSession, type ParseOptions, parseSession, type SessionSource } from "./parse-session.ts";
import { PolicyError } from "./policy-error.ts";
import { printSession } from "./print-session.ts";
import type { Creator, Session } from "./session.ts";
import { diffSessions, type SessionDifference } from "./session-difference.ts";
import { sessionHash } from "./session-hash.ts";
import {
  addSessionSignature,
  encodeSignedSession,
  isSignedSession,
  type SessionSigner,
  signSession,
  verifySignedSession,
} from "./signed-session.ts";

/** A session file of any form, read. */
export interface SessionFile {
  readonly form: "plain" | "signed";
  readonly session: Session | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly document: SessionSource | undefined;
  /** The policy text itself: for signed sessions what was signed. */
  readonly policy: string;
  /** Empty for plain sessions; verified otherwise. */
  readonly signers: readonly SessionSigner[];
}

/**
 * Reads plain policy text or a signed session, whose signatures are verified. Variables and name apply to plain text only; a name for a signed one is an error (SL-28).
 * Throws `PolicyError` for signed sessions that are malformed or badly signed, and for encrypted ones without `privateKeys`.
 */
export function readSessionFile(text: string, options: ParseOptions & { readonly privateKeys?: readonly KeyObject[] } = {}): SessionFile {
  const { privateKeys = [], ...parsing } = options;
  if (isEncryptedSession(text)) return readSessionFile(decryptSession(text, privateKeys), parsing);
  if (!isSignedSession(text)) return { form: "plain", ...parseSession(text, parsing), policy: text, signers: [] };
  if (options.name !== undefined) {
    throw new PolicyError("SIGNED_SESSION_MALFORMED", "the name of a signed session cannot be changed", {
      rule: "SL-28",
      remedy: "Leave --name out.",
    });
  }
  const { policy, signatures } = verifySignedSession(text);
  const { file } = parsing;
  const parsed: ParsedSession = parseSession(policy, file === undefined ? {} : { file });
  return { form: "signed", ...parsed, policy, signers: signatures.map(({ signer }) => signer) };
}

/** Creator of a file: as written, else the first signer (SL-185). */
export function creatorOf({ session, signers }: Pick<SessionFile, "session" | "signers">): Creator | undefined {
  const [first] = signers;
  return session?.creator ?? (first && { kind: "signer", keyHash: first.keyHash, publicKey: first.publicKey });
}

export interface CommandOutcome {
  /** 0 success, 1 errors, 3 warnings with `failOnWarning` (SL-8). */
  readonly exitCode: 0 | 1 | 3;
  /** What goes to stdout; empty unless the exit code is 0. */
  readonly output: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface CheckOptions extends ParseOptions {
  readonly failOnWarning?: boolean;
}

function outcome(file: SessionFile, { failOnWarning = false }: CheckOptions, output: (session: Session) => string): CommandOutcome {
  const { session, diagnostics } = file;
  if (session === undefined) return { exitCode: 1, output: "", diagnostics };
  if (failOnWarning && diagnostics.length > 0) return { exitCode: 3, output: "", diagnostics };
  return { exitCode: 0, output: output(session), diagnostics };
}

/** `session check`: the session in normal form. */
export function checkSessionFile(text: string, options: CheckOptions = {}): CommandOutcome {
  const file = readSessionFile(text, options);
  const creator = creatorOf(file);
  return outcome(file, options, (session) => printSession(session, { creator, unknownCreator: "omit" }));
}

/** `session calculate-hash`: `creator` is used where the document needs one and names none (SL-53). Throws `PolicyError` CREATOR_NEEDED. */
export function calculateSessionHash(text: string, options: CheckOptions & CreatorOption = {}): CommandOutcome {
  const file = readSessionFile(text, options);
  const creator = creatorOf(file) ?? options.creator;
  return outcome(file, options, (session) => `${sessionHash(session, { creator })}\n`);
}

/** `session sign`: checks, then signs; to a signed file a signature is added. Plain text with variables is signed as `printSession` writes it. */
export function signSessionFile(text: string, privateKey: KeyObject, options: CheckOptions = {}): CommandOutcome {
  const file = readSessionFile(text, options);
  return outcome(file, options, (session) => {
    if (file.form === "signed") return encodeSignedSession(addSessionSignature(verifySignedSession(text), privateKey));
    return encodeSignedSession(signSession(textToSign(file, session, options), privateKey));
  });
}

/** The text a signature will cover: the file as it is, or, after variables or the name were replaced, the session printed anew (SL-191). */
export function textToSign(file: SessionFile, session: Session, { variables, name }: ParseOptions): string {
  // Also an escaped `\$NAME` must be resolved: nobody does it after signing.
  const hasVariables = variables !== undefined && /\$[A-Za-z_{]/.test(file.policy.replaceAll("$$", ""));
  return name !== undefined || hasVariables ? printSession(session, { unknownCreator: "omit" }) : file.policy;
}

export interface EncryptOptions extends CheckOptions {
  readonly casEncryptionKey: string;
  /** 32 fresh random bytes. */
  readonly ephemeralSeed: Uint8Array;
  /** Signs a plain session first (SL-194). */
  readonly signingKey: KeyObject;
}

/** `session encrypt`: signs first if needed, then encrypts for one CAS. */
export function encryptSessionFile(text: string, options: EncryptOptions): CommandOutcome {
  const signed = isSignedSession(text)
    ? outcome(readSessionFile(text, options), options, () => text)
    : signSessionFile(text, options.signingKey, options);
  if (signed.exitCode !== 0) return signed;
  return { ...signed, output: encryptSession(signed.output, options.casEncryptionKey, options.ephemeralSeed) };
}

/** `session diff OLD NEW`: undefined when one of the two has errors, which the diagnostics show. */
export function diffSessionFiles(
  before: { readonly text: string; readonly options?: ParseOptions },
  after: { readonly text: string; readonly options?: ParseOptions },
): { readonly difference: SessionDifference | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const [old, now] = [before, after].map(({ text, options }) => readSessionFile(text, options));
  if (old === undefined || now === undefined) throw new TypeError("two files are compared");
  const diagnostics = [...old.diagnostics, ...now.diagnostics].filter(({ severity }) => severity === "error");
  const difference = old.session && now.session && diffSessions(old.session, now.session);
  return { difference, diagnostics };
}

/** `cert show-key-hash`: key hash of the first certificate, public key or private key in a PEM text. Throws `PolicyError` KEY_MALFORMED. */
export function keyHashOfPem(text: string): string {
  const block = /-----BEGIN ([A-Z0-9 ]{1,40})-----[A-Za-z0-9+/=\s]*-----END \1-----/g;
  for (const [pem, label = ""] of text.matchAll(block)) {
    try {
      if (label === "CERTIFICATE") return keyHashOf(new X509Certificate(pem).publicKey);
      if (label === "PUBLIC KEY") return keyHashOf(createPublicKey(pem));
      if (label === "PRIVATE KEY") return keyHashOf(createPublicKey(createPrivateKey(pem)));
    } catch (cause) {
      throw new PolicyError("KEY_MALFORMED", `the PEM ${label.toLowerCase()} is damaged`, { cause });
    }
  }
  throw new PolicyError("KEY_MALFORMED", "no PEM certificate or key found", {
    remedy: "Give a file that holds a PEM certificate or public key.",
  });
}
