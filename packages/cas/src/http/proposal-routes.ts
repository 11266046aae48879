import { PolicyError, verifyProposalStatement } from "@vouchsafe/policy";
import { ProposalRequest } from "@vouchsafe/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import {
  type Actor,
  approveProposal,
  listProposals,
  proposalText,
  readProposal,
  rejectProposal,
  withdrawProposal,
} from "../governance/proposals.ts";
import type { Uploader } from "../sessions/session-records.ts";
import { clientCertificateOf } from "./client-certificate.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { sessionNameIn, splitTarget } from "./request-names.ts";
import { bodyText } from "./session-routes.ts";

const PREFIX = "/v1/proposals/";

/** Proposals (cas.md §12): a connection key speaks for itself, a signing key by a signature over its statement. */
export function proposalRoutes(
  app: FastifyInstance,
  context: CasContext,
  uploads: RateLimiter,
  onUpdated: (session: string) => void,
): void {
  app.get(`${PREFIX}*`, async (request) => {
    const { session, hash } = target(request);
    const actor = connectionOf(request);
    return hash === undefined ? { proposals: await listProposals(context, session, actor) } : readProposal(context, session, hash, actor);
  });
  app.post(`${PREFIX}*`, async (request) => {
    uploads.take(clientCertificateOf(request.socket)?.keyHash ?? request.ip, context.now().getTime());
    const { session, hash } = target(request);
    const body = requestOf(request);
    const actor = await actorOf(context, request, session, hash ?? "", body);
    if (body.action === "list") return { proposals: await listProposals(context, session, actor) };
    if (hash === undefined) throw new ApiError("bad_request", "the query names no proposal: hash=…");
    if (body.action === "read") return readProposal(context, session, hash, actor);
    if (actor === undefined) throw new ApiError("unauthenticated", "deciding on a proposal needs a client certificate or a signature");
    if (body.action === "reject") return rejectProposal(context, session, hash, actor);
    if (body.action === "withdraw") return withdrawProposal(context, session, hash, actor);
    const outcome = await approveProposal(context, session, hash, actor);
    if (outcome.state === "in_force") onUpdated(session);
    return outcome;
  });
}

function target(request: FastifyRequest): { readonly session: string; readonly hash: string | undefined } {
  const hash = splitTarget(request.url).query.get("hash") ?? undefined;
  if (hash !== undefined && !/^[0-9a-f]{64}$/.test(hash)) throw new ApiError("bad_request", "hash is not 64 lower-case hex digits");
  return { session: sessionNameIn(request.url, PREFIX), hash };
}

function requestOf(request: FastifyRequest): ProposalRequest {
  let json: unknown;
  try {
    json = JSON.parse(bodyText(request));
  } catch {
    // told below: no JSON is no request either
  }
  const parsed = ProposalRequest.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ApiError("bad_request", "the body is not {action, signer, signature}");
}

function connectionOf(request: FastifyRequest): Actor {
  const certificate = clientCertificateOf(request.socket);
  return certificate === undefined ? undefined : { kind: "certificate", ...certificate };
}

async function actorOf(context: CasContext, request: FastifyRequest, session: string, hash: string, body: ProposalRequest): Promise<Actor> {
  const { action, signer, signature } = body;
  if (signer === undefined || signature === undefined) return connectionOf(request);
  const policy = action === "approve" ? await proposalText(context, session, hash) : "";
  try {
    const { keyHash, publicKey } = verifyProposalStatement({ action, session, hash, policy }, signer, signature);
    return { kind: "signers", keyHashes: [keyHash], publicKeys: [publicKey] } satisfies Uploader;
  } catch (error) {
    if (error instanceof PolicyError) throw new ApiError("bad_signature", error.message);
    throw error;
  }
}
