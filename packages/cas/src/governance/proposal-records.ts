import type { SessionSigner } from "@vouchsafe/policy";
import type { SessionVersion, Uploader } from "../sessions/session-records.ts";
import type { RowKey } from "../store/row-store.ts";

/** An update that waits for others (extension `update_proposals`). Holds explicit secrets: stored and shown like a session. */
export interface Proposal {
  readonly session: string;
  readonly hash: string;
  readonly predecessor: string;
  /** Exactly what is signed by whoever approves. */
  readonly text: string;
  readonly author: Uploader;
  /** The one connection key that stands for it, the author's or an approver's (SL-180). */
  readonly certificateKeyHash: string | undefined;
  /** Distinct keys; one signer counts once. */
  readonly signers: readonly SessionSigner[];
  /** Key hashes of whoever rejected it and has not approved since. */
  readonly rejections: readonly string[];
  /** RFC 3339. */
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly ended?: { readonly state: EndedState; readonly at: string } | undefined;
}

export type EndedState = "in_force" | "rejected" | "withdrawn" | "stale" | "expired";

export const proposalKey = (session: string, hash: string): RowKey => ({ kind: "proposal", id: `${session} ${hash}` });
/** Names hold no blank (SL-37). */
export const isProposalOf = (session: string) => (id: string) => id.startsWith(`${session} `);

/** Whether it still waits: a concurrent update makes it stale, time makes it expire. */
export function stateOf(proposal: Proposal, current: SessionVersion, now: Date): EndedState | "pending" {
  if (proposal.ended !== undefined) return proposal.ended.state;
  if (proposal.predecessor !== current.hash) return "stale";
  return new Date(proposal.expiresAt) <= now ? "expired" : "pending";
}
