/** What a signer says about a proposal (extension `update_proposals`). An approval is a signature over the document itself, as for a signed session. */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { readSigningKey } from "./language/access.ts";
import { encodePem } from "./pem.ts";
import { PolicyError } from "./policy-error.ts";
import { type SessionSigner, sessionSigningMessage } from "./signed-session.ts";

export const PROPOSAL_ACTIONS = ["approve", "reject", "withdraw", "read", "list"] as const;
export type ProposalAction = (typeof PROPOSAL_ACTIONS)[number];

export interface ProposalStatement {
  readonly action: ProposalAction;
  readonly session: string;
  /** Hash of the proposed version; empty for `list`. */
  readonly hash: string;
  /** Text of the proposed version; only for `approve`. */
  readonly policy: string;
}

/** The bytes that are signed: the document's own message for an approval, otherwise action, session and hash. */
export function proposalMessage({ action, session, hash, policy }: ProposalStatement): Uint8Array {
  if (action === "approve") return sessionSigningMessage(policy);
  return Uint8Array.from(Buffer.from(["vouchsafe/proposal-statement/1", action, session, hash].join("\0")));
}

const digestOf = (key: KeyObject) => (key.asymmetricKeyType === "ed25519" ? null : "sha384");

/** Signs with an Ed25519 or P-384 key; the signature is base64. */
export function signProposalStatement(
  statement: ProposalStatement,
  privateKey: KeyObject,
): { readonly signer: string; readonly signature: string } {
  const spki = createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })).export({ type: "spki", format: "der" });
  const signature = sign(digestOf(privateKey), proposalMessage(statement), privateKey);
  return { signer: encodePem("PUBLIC KEY", spki), signature: signature.toString("base64") };
}

/** Who signed the statement. Throws `PolicyError` SIGNATURE_INVALID. */
export function verifyProposalStatement(statement: ProposalStatement, signer: string, signature: string): SessionSigner {
  const read = readSigningKey(signer);
  if ("problem" in read) throw new PolicyError("SIGNATURE_INVALID", `signer: ${read.problem}`, { rule: "SL-176" });
  const key = createPublicKey(read.publicKey);
  if (!verify(digestOf(key), proposalMessage(statement), key, Buffer.from(signature, "base64")))
    throw new PolicyError("SIGNATURE_INVALID", `the signature of key ${read.keyHash} does not fit`, { rule: "SL-190" });
  return { publicKey: read.publicKey, keyHash: read.keyHash };
}
