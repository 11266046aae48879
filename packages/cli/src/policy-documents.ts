import type { KeyObject } from "node:crypto";
import { randomBytes } from "node:crypto";
import { type PlainMapping, type PlannedPolicy, policyFileName, policyText } from "@vouchsafe/mesh";
import { encodeSignedSession, encryptSession, parseSession, parseSignedSession, sessionHash, signSession } from "@vouchsafe/policy";
import { CliError } from "./cli-error.ts";

/** What the CAS says about a policy, where it can be asked. */
export type ActivePolicy =
  | { readonly kind: "unknown" }
  | { readonly kind: "absent" }
  | {
      readonly kind: "active";
      readonly hash: string /** Predecessor of the active version, where the client may read it. */;
      readonly predecessor?: string | null;
    };

/** A policy ready to be uploaded. */
export interface PolicyDocument {
  readonly planned: PlannedPolicy;
  readonly fileName: string;
  readonly hash: string;
  readonly predecessor: string | null;
  readonly text: string;
  /** JSON of the signed session. */
  readonly signed: string;
  /** JSON of the encrypted session, where the CAS's key is known. */
  readonly encrypted: string | undefined;
  /** The document of an earlier run was used again. */
  readonly isUnchanged: boolean;
}

export interface EarlierDocuments {
  readonly signed: string | undefined;
  readonly encrypted: string | undefined;
}

/** Hash of a policy with a predecessor. Throws where the generated document is not valid in the policy language: a mistake of ours or of a template. */
export function hashOfPolicy(name: string, body: PlainMapping, predecessor: string | null): { hash: string; text: string } {
  const text = policyText(body, predecessor);
  const { session, diagnostics } = parseSession(text, { file: name });
  if (session === undefined) {
    const first = diagnostics.find(({ severity }) => severity === "error");
    throw new CliError(
      "E-POLICY-TEMPLATE",
      `the policy ${name} is not valid: ${first?.path ?? ""}: ${first?.message ?? ""}; expected ${first?.expected ?? ""} (${first?.rule ?? ""})`,
      {
        remedy: "Look at the policy below target/policies, and at the template of the image.",
      },
    );
  }
  return { hash: sessionHash(session), text };
}

/**
 * Signs and encrypts one policy. The predecessor is what the CAS has, else what an earlier run left (MF-100). Where nothing changed the earlier
 * document is used again, ciphertext included.
 */
export function makePolicyDocument(
  planned: PlannedPolicy,
  earlier: EarlierDocuments,
  active: ActivePolicy,
  signingKey: KeyObject,
  encryptionKey: string | undefined,
): PolicyDocument {
  const before = readEarlier(earlier.signed);
  const predecessor = choosePredecessor(planned, before, active);
  const { hash, text } = hashOfPolicy(planned.name, planned.body, predecessor);
  const isUnchanged = before !== undefined && before.hash === hash && before.text === text;
  const signed = isUnchanged && earlier.signed !== undefined ? earlier.signed : encodeSignedSession(signSession(text, signingKey));
  const reusable =
    isUnchanged && earlier.encrypted !== undefined && isFor(earlier.encrypted, encryptionKey) ? earlier.encrypted : undefined;
  const encrypted = encryptionKey === undefined ? undefined : (reusable ?? encryptSession(signed, encryptionKey, randomBytes(32)));
  return {
    planned,
    fileName: policyFileName(planned.name),
    hash,
    predecessor,
    text,
    signed,
    encrypted,
    isUnchanged: isUnchanged && (encryptionKey === undefined || reusable !== undefined),
  };
}

interface Earlier {
  readonly text: string;
  readonly hash: string;
  readonly predecessor: string | null;
}

function readEarlier(signed: string | undefined): Earlier | undefined {
  if (signed === undefined) return undefined;
  try {
    const text = parseSignedSession(signed).policy;
    const { session } = parseSession(text);
    return session === undefined ? undefined : { text, hash: sessionHash(session), predecessor: session.predecessor ?? null };
  } catch {
    return undefined; // a damaged file of an earlier run is as good as none
  }
}

function choosePredecessor(planned: PlannedPolicy, before: Earlier | undefined, active: ActivePolicy): string | null {
  const isSameAs = (hash: string, predecessor: string | null) => hashOfPolicy(planned.name, planned.body, predecessor).hash === hash;
  if (active.kind === "absent") return null;
  if (active.kind === "unknown") {
    if (before === undefined) return null;
    return isSameAs(before.hash, before.predecessor) ? before.predecessor : before.hash;
  }
  // The active version says the same: its hash comes out again with its own predecessor.
  const candidates = [active.predecessor, before?.predecessor, null].filter((each) => each !== undefined);
  const same = candidates.find((candidate) => isSameAs(active.hash, candidate));
  return same === undefined ? active.hash : same;
}

function isFor(encrypted: string, encryptionKey: string | undefined): boolean {
  try {
    const value: unknown = JSON.parse(encrypted);
    return typeof value === "object" && value !== null && "encryptionKey" in value && value.encryptionKey === encryptionKey?.toLowerCase();
  } catch {
    return false; // a damaged file of an earlier run
  }
}
