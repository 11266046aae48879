/** What members do with proposals: list, read, approve, reject, withdraw (cas.md §12, C-60 to C-63). */
import {
  contributes,
  couldBeSatisfied,
  diffSessions,
  parseSession,
  renderDecision,
  renderSessionDifference,
  type SessionSigner,
} from "@vouchsafe/policy";
import type { ProposalDetail, ProposalOutcome, ProposalSummary } from "@vouchsafe/protocol";
import { decide, isPermitted, ruleOf } from "../access/authorise.ts";
import { type CasContext, committedValues, pendingValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { credentialOf } from "../sessions/check-document.ts";
import { currentKey, type SessionVersion, type Uploader } from "../sessions/session-records.ts";
import type { ValueSource } from "../values/resolve-secrets.ts";
import { assertIntact } from "../vaults/kept-values.ts";
import { type EndedState, isProposalOf, type Proposal, proposalKey, stateOf } from "./proposal-records.ts";
import { actorData, joined, settle } from "./propose.ts";

/** A connection key, or a key whose statement verified; undefined: nobody in particular. */
export type Actor = Uploader | undefined;

const HIDDEN = "there is no such proposal, or it is not visible to this client";

/** Proposals of a session, the newest first. Throws `not_found` for whoever has no part in it. */
export async function listProposals(context: CasContext, session: string, actor: Actor): Promise<ProposalSummary[]> {
  const current = await visibleSession(context, session, actor);
  const found: ProposalSummary[] = [];
  for (const proposal of await proposalsOf(context, current))
    found.push(await summaryOf(context, current, await noticed(context, current, proposal)));
  return found.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

export async function readProposal(context: CasContext, session: string, hash: string, actor: Actor): Promise<ProposalDetail> {
  const current = await visibleSession(context, session, actor);
  const stored = await context.database.get<Proposal>(proposalKey(session, hash));
  if (stored === undefined) throw new ApiError("not_found", HIDDEN);
  const proposal = await noticed(context, current, stored);
  const proposed = parseSession(proposal.text).session;
  const { author } = proposal;
  return {
    ...(await summaryOf(context, current, proposal)),
    text: proposal.text,
    creator:
      author.kind === "certificate"
        ? { keyHash: author.keyHash }
        : { keyHash: author.keyHashes[0] ?? "", publicKey: author.publicKeys[0] ?? "" },
    difference: proposed === undefined ? "" : renderSessionDifference(diffSessions(current.session, proposed)),
  };
}

/** Text of a proposal, which an approval signs; it is checked only afterwards whether the signer may see it. */
export async function proposalText({ database }: CasContext, session: string, hash: string): Promise<string> {
  return (await database.get<Proposal>(proposalKey(session, hash)))?.text ?? "";
}

/** Counts an approval; with the last one that was missing the proposal is in force when this returns. Throws ApiError. */
export async function approveProposal(context: CasContext, session: string, hash: string, actor: Uploader): Promise<ProposalOutcome> {
  const stored = await context.database.get<Proposal>(proposalKey(session, hash));
  const hasApproved = stored?.signers.some(({ keyHash }) => keysOf(actor).includes(keyHash));
  if (hasApproved && stored?.ended?.state === "in_force") return { hash, state: "in_force", missing: "" }; // C-24: again after a lost answer
  return change(context, session, hash, actor, async (tx, current, proposal) => {
    const { proposal: pending } = await settle(context, tx, current, joined(proposal, actor), "proposal_approved", by(actor));
    return pending === undefined ? { hash, state: "in_force", missing: "" } : { hash, state: "pending", missing: pending.missing };
  });
}

/** Notes a rejection; the proposal ends when the rule cannot be satisfied without those who rejected it. Throws ApiError. */
export function rejectProposal(context: CasContext, session: string, hash: string, actor: Uploader): Promise<ProposalOutcome> {
  return change(context, session, hash, actor, async (tx, current, proposal) => {
    const keys = actor.kind === "certificate" ? [actor.keyHash] : actor.keyHashes;
    const rejected: Proposal = {
      ...proposal,
      certificateKeyHash: keys.includes(proposal.certificateKeyHash ?? "") ? undefined : proposal.certificateKeyHash,
      signers: proposal.signers.filter(({ keyHash }) => !keys.includes(keyHash)),
      rejections: [...new Set([...proposal.rejections, ...keys])],
    };
    const rule = await ruleOf(pendingValues(context, tx), current, "update");
    const isDead = !couldBeSatisfied(rule, new Set(rejected.rejections), current.session.creator);
    tx.put(proposalKey(session, hash), isDead ? ended(rejected, "rejected", context.now()) : rejected);
    context.audit.append(tx, "proposal_rejected", { ...actorData(proposal, current, actor), ended: isDead });
    return { hash, state: isDead ? "rejected" : "pending", missing: "" };
  });
}

/** For the author alone. Throws ApiError. */
export function withdrawProposal(context: CasContext, session: string, hash: string, actor: Uploader): Promise<ProposalOutcome> {
  return change(context, session, hash, actor, async (tx, current, proposal) => {
    if (!isAuthor(proposal, actor)) throw new ApiError("forbidden", "a proposal is withdrawn by its author");
    tx.put(proposalKey(session, hash), ended(proposal, "withdrawn", context.now()));
    context.audit.append(tx, "proposal_withdrawn", actorData(proposal, current, actor));
    return { hash, state: "withdrawn", missing: "" };
  });
}

type Work = (
  tx: Parameters<Parameters<CasContext["database"]["transact"]>[0]>[0],
  current: SessionVersion,
  proposal: Proposal,
) => Promise<ProposalOutcome>;

async function change(context: CasContext, session: string, hash: string, actor: Uploader, work: Work): Promise<ProposalOutcome> {
  const before = await context.database.get<Proposal>(proposalKey(session, hash));
  if (before === undefined) throw new ApiError("not_found", HIDDEN);
  await noticed(context, await visibleSession(context, session, actor), before);
  return context.database.transact(async (tx) => {
    const current = await tx.get<SessionVersion>(currentKey(session));
    const proposal = await tx.get<Proposal>(proposalKey(session, hash));
    if (current === undefined || proposal === undefined) throw new ApiError("not_found", HIDDEN);
    const state = stateOf(proposal, current, context.now());
    if (state !== "pending") throw new ApiError("proposal_ended", `the proposal is ${state.replace("_", " ")}`);
    const from = pendingValues(context, tx);
    if (!isAuthor(proposal, actor) && !(await hasPart(from, current, actor)))
      throw new ApiError("forbidden", `no entry of update of session ${session} names this key (key hashes ${keysOf(actor).join(", ")})`);
    return work(tx, current, proposal);
  });
}

const keysOf = (actor: Uploader): readonly string[] => (actor.kind === "certificate" ? [actor.keyHash] : actor.keyHashes);
const by = (actor: Uploader): object => (actor.kind === "certificate" ? { client: actor.keyHash } : { signers: actor.keyHashes });
const ended = (proposal: Proposal, state: EndedState, at: Date): Proposal => ({ ...proposal, ended: { state, at: at.toISOString() } });

function isAuthor({ author }: Proposal, actor: Uploader): boolean {
  return author.kind === actor.kind && keysOf(actor).some((key) => keysOf(author).includes(key));
}

async function hasPart(from: ValueSource, current: SessionVersion, actor: Uploader): Promise<boolean> {
  return contributes(await decide(from, current, "update", credentialOf(actor)));
}

/** C-63: for those who may read, update or sign, and for authors. */
async function visibleSession(context: CasContext, session: string, actor: Actor): Promise<SessionVersion> {
  const current = await context.database.get<SessionVersion>(currentKey(session));
  const from = committedValues(context);
  if (current === undefined || actor === undefined) throw new ApiError("not_found", HIDDEN);
  const isReader = actor.kind === "certificate" && (await isPermitted(from, current, "read", credentialOf(actor)));
  const isAdmitted =
    isReader ||
    (await hasPart(from, current, actor)) ||
    (await proposalsOf(context, current)).some((proposal) => isAuthor(proposal, actor));
  if (isAdmitted) {
    await assertIntact(from.rows, current);
    return current;
  }
  throw new ApiError("not_found", HIDDEN);
}

async function proposalsOf({ database }: CasContext, { name }: SessionVersion): Promise<Proposal[]> {
  const found: Proposal[] = [];
  for (const id of [...database.ids("proposal")].filter(isProposalOf(name))) {
    const proposal = await database.get<Proposal>({ kind: "proposal", id });
    if (proposal !== undefined) found.push(proposal);
  }
  return found;
}

/** That a proposal became stale or expired is written down when somebody first looks. */
async function noticed(context: CasContext, current: SessionVersion, proposal: Proposal): Promise<Proposal> {
  const state = stateOf(proposal, current, context.now());
  if (proposal.ended !== undefined || (state !== "stale" && state !== "expired")) return proposal;
  const over = ended(proposal, state, context.now());
  await context.database.transact(async (tx) => {
    const stored = await tx.get<Proposal>(proposalKey(proposal.session, proposal.hash));
    if (stored === undefined || stored.ended !== undefined) return;
    tx.put(proposalKey(proposal.session, proposal.hash), over);
    context.audit.append(tx, state === "stale" ? "proposal_stale" : "proposal_expired", actorData(proposal, current, proposal.author));
  });
  return over;
}

async function summaryOf(context: CasContext, current: SessionVersion, proposal: Proposal): Promise<ProposalSummary> {
  const { certificateKeyHash, signers, rejections, author } = proposal;
  const state = stateOf(proposal, current, context.now());
  const credential = { certificateKeyHash, signers: signers.map(({ keyHash }: SessionSigner) => keyHash) };
  const missing =
    state === "pending" ? renderDecision(await decide(committedValues(context), current, "update", credential)).trimEnd() : "";
  return {
    hash: proposal.hash,
    state,
    predecessor: proposal.predecessor,
    author: keysOf(author)[0] ?? "",
    createdAt: proposal.createdAt,
    expiresAt: proposal.expiresAt,
    approvals: signers.length + (certificateKeyHash === undefined ? 0 : 1),
    rejections: rejections.length,
    missing,
  };
}
