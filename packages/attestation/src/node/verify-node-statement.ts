import { VerificationCache } from "../collateral/verification-cache.ts";
import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { millisecondsOf } from "../core/time.ts";
import type { PublicKey, SignatureScheme } from "../crypto/crypto-provider.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { nodeKeyHash } from "./key-hash.ts";
import { type NodeStatement, nodeKeyId, parseNodeStatement, statementScheme } from "./node-statement.ts";

/** Which agents are trusted, and how old their word may be. */
export interface NodeTrust {
  readonly now: Date;
  /** DER SubjectPublicKeyInfo of every enrolled agent key. An empty list trusts nobody. */
  readonly agentKeys: readonly Uint8Array[];
  /** How old, or how far ahead of this clock, a statement may be; 300 unless told. */
  readonly maxAgeSeconds?: number;
}

/** A statement that an enrolled agent signed and that is fresh. */
export interface VerifiedNodeStatement extends NodeStatement {
  /** `NODE_KEY:` and the key hash of the agent, as policies name platforms (SL-87). */
  readonly platformId: string;
  /** Distinct for every instance that one agent starts. */
  readonly instanceId: string;
}

const MAX_AGE_SECONDS = 300;

/** Parses and verifies a statement. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE (unknown key, wrong signature), EVIDENCE_STALE. */
export function verifyNodeStatement(bytes: Uint8Array, trust: NodeTrust): VerifiedNodeStatement {
  const { statement, keyId, signedBytes, signature } = parseNodeStatement(bytes);
  const refused = (detail: string, remedy?: string) =>
    new EvidenceError("EVIDENCE_SIGNATURE", `node statement: ${detail}`, remedy === undefined ? {} : { remedy });
  const enrolled = trust.agentKeys.map(readEnrolledKey).find((candidate) => isSameBytes(candidate.id, keyId));
  if (enrolled === undefined) {
    throw refused(`no enrolled agent key has the SHA-256 ${keyId.toHex()}`, "Enrol the node agent's key with the CAS.");
  }
  const { key, scheme, keyHash } = enrolled;
  if (!isSignedBy(scheme, key, signedBytes, signature)) {
    throw refused("the signature was not made by the agent key that it names");
  }
  const ageSeconds = (millisecondsOf(trust.now) - statement.issuedAt.getTime()) / 1000;
  const limit = trust.maxAgeSeconds ?? MAX_AGE_SECONDS;
  if (!(Math.abs(ageSeconds) <= limit)) {
    const found = `issued ${Math.abs(ageSeconds)} s ${ageSeconds < 0 ? "in the future" : "ago"}`;
    throw new EvidenceError("EVIDENCE_STALE", `node statement: ${found}, at most ${limit} s allowed`, {
      field: "issuedAt",
      expected: `within ${limit} s of ${trust.now.toISOString()}`,
      found: statement.issuedAt.toISOString(),
      remedy: "Set the clocks of node and CAS by the same time service, and attest again.",
    });
  }
  return { ...statement, platformId: `NODE_KEY:${keyHash}`, instanceId: `${keyHash}/${statement.instanceCounter}` };
}

interface EnrolledKey {
  readonly key: PublicKey;
  readonly scheme: SignatureScheme;
  readonly id: Uint8Array;
  readonly keyHash: string;
}

/** What was read from enrolled keys: reading one costs more than verifying its signature. */
const enrolledKeys = new VerificationCache();

/** Enrolled keys are the relying party's own data: one that cannot be a statement key is a caller's mistake. */
function readEnrolledKey(spki: Uint8Array): EnrolledKey {
  return enrolledKeys.get("agent-key", [spki], () => {
    const key = readOwnKey(spki);
    const scheme = statementScheme(key, (detail) => new TypeError(detail));
    return { key, scheme, id: nodeKeyId(spki), keyHash: nodeKeyHash(spki) };
  });
}

function readOwnKey(spki: Uint8Array): PublicKey {
  try {
    return readPublicKey(Uint8Array.from(spki)); // a copy: what was read is kept
  } catch (cause) {
    throw new TypeError("an enrolled agent key is not a DER SubjectPublicKeyInfo of a known kind", { cause });
  }
}
