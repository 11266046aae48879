/** An upload that satisfies `update` only in part becomes a proposal, and takes effect when the rule is satisfied (cas.md §12). */
import { contributes, renderDecision, type SessionSigner } from "@vouchsafe/policy";
import { decide } from "../access/authorise.ts";
import { type CasContext, pendingValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Transaction } from "../database/transaction.ts";
import { type CheckedUpload, checkDocument, withCreator } from "../sessions/check-document.ts";
import type { SessionVersion, Uploader } from "../sessions/session-records.ts";
import { auditData, replaceVersion } from "../sessions/store-version.ts";
import { isProposalOf, type Proposal, proposalKey, stateOf } from "./proposal-records.ts";

export interface PendingProposal {
  /** RFC 3339. */
  readonly expires: string;
  /** The rule with what is satisfied and what is missing, without keys (C-61). */
  readonly missing: string;
}

const PENDING_MAX = 32;
/** Ended proposals are kept so long for whoever looks what became of them. */
const ENDED_KEPT_MS = 30 * 86_400_000;

/**
 * Stores the update as a proposal, or adds its signatures to the same one. Undefined where the session has no proposals or the uploader has no part in the
 * rule: then it is refused as ever. Throws ApiError.
 */
export async function propose(
  context: CasContext,
  tx: Transaction,
  current: SessionVersion,
  upload: CheckedUpload,
): Promise<{ readonly hash: string; readonly proposal?: PendingProposal } | undefined> {
  const rules = current.session.updateProposals;
  if (rules?.enabled !== true || upload.session.predecessor !== current.hash) return undefined;
  const from = pendingValues(context, tx);
  if (!contributes(await decide(from, current, "update", upload.credential))) return undefined;
  const now = context.now();
  const key = proposalKey(current.name, upload.hash);
  const existing = await tx.get<Proposal>(key);
  const isOpen = existing !== undefined && stateOf(existing, current, now) === "pending" && existing.text === upload.text;
  if (!isOpen) await makeRoom(context, tx, current);
  const expiresAt = new Date(now.getTime() + rules.expiresSeconds * 1000).toISOString();
  const proposal = joined(isOpen ? existing : newProposal(upload, current, now.toISOString(), expiresAt), upload.uploader);
  const { keyHash: client, keyHashes: signers } = { keyHash: undefined, keyHashes: undefined, ...upload.uploader };
  return settle(context, tx, current, proposal, isOpen ? "proposal_approved" : "proposal_created", { client, signers });
}

function newProposal(
  { session, hash, text, uploader }: CheckedUpload,
  current: SessionVersion,
  createdAt: string,
  expiresAt: string,
): Proposal {
  return {
    session: session.name,
    hash,
    predecessor: current.hash,
    text,
    author: uploader,
    certificateKeyHash: undefined,
    signers: [],
    rejections: [],
    createdAt,
    expiresAt,
  };
}

/** With the keys of one more upload or approval. Throws `bad_request` for a second connection key. */
export function joined(proposal: Proposal, by: Uploader): Proposal {
  if (by.kind === "certificate") {
    if (proposal.certificateKeyHash !== undefined && proposal.certificateKeyHash !== by.keyHash)
      throw new ApiError("bad_request", "another connection key stands for this proposal already; approve it with a signature");
    return { ...proposal, certificateKeyHash: by.keyHash, rejections: proposal.rejections.filter((hash) => hash !== by.keyHash) };
  }
  const added = by.keyHashes.map((keyHash, at): SessionSigner => ({ keyHash, publicKey: by.publicKeys[at] ?? "" }));
  const signers = new Map([...proposal.signers, ...added].map((signer) => [signer.keyHash, signer]));
  return { ...proposal, signers: [...signers.values()], rejections: proposal.rejections.filter((hash) => !by.keyHashes.includes(hash)) };
}

/** Puts the proposal in force when the current rule is satisfied, otherwise keeps it waiting. */
export async function settle(
  context: CasContext,
  tx: Transaction,
  current: SessionVersion,
  proposal: Proposal,
  event: "proposal_created" | "proposal_approved",
  by: object,
): Promise<{ readonly hash: string; readonly proposal?: PendingProposal }> {
  const { certificateKeyHash, signers, hash, session } = proposal;
  const keys = signers.map(({ keyHash }) => keyHash);
  const decision = await decide(pendingValues(context, tx), current, "update", { certificateKeyHash, signers: keys });
  if (decision.satisfied) {
    const { session: next } = withCreator(checkDocument(context, proposal.text, proposal.author));
    await replaceVersion(
      context,
      tx,
      current,
      { session: next, hash, uploader: proposal.author },
      { approved_by: [certificateKeyHash, ...keys] },
    );
    tx.put(proposalKey(session, hash), {
      ...proposal,
      ended: { state: "in_force", at: context.now().toISOString() },
    } satisfies Proposal);
    return { hash };
  }
  tx.put(proposalKey(session, hash), proposal);
  context.audit.append(tx, event, { session, ...(current.isHashPublic ? { session_hash: hash } : {}), ...by });
  return { hash, proposal: { expires: proposal.expiresAt, missing: renderDecision(decision).trimEnd() } };
}

/** What is written into the log about one who acts on a proposal. */
export function actorData(proposal: Proposal, current: SessionVersion, actor: Uploader): object {
  return auditData(proposal.session, proposal.hash, current.isHashPublic, actor);
}

/** At most so many wait for a session; what ended long ago is removed. */
async function makeRoom({ database, now }: CasContext, tx: Transaction, current: SessionVersion): Promise<void> {
  let pending = 0;
  for (const id of [...database.ids("proposal")].filter(isProposalOf(current.name))) {
    const proposal = await tx.get<Proposal>({ kind: "proposal", id });
    if (proposal === undefined) continue;
    if (stateOf(proposal, current, now()) === "pending") pending += 1;
    else if (now().getTime() - Date.parse(proposal.ended?.at ?? proposal.expiresAt) > ENDED_KEPT_MS) tx.delete({ kind: "proposal", id });
  }
  if (pending >= PENDING_MAX)
    throw new ApiError("too_many", `${pending} proposals of session ${current.name} wait already; withdraw some or decide on them`);
}
