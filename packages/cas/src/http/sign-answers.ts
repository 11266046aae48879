import { ANSWER_SIGNER, signAnswer } from "@vouchsafe/protocol";
import type { FastifyInstance, FastifyReply } from "fastify";
import { type CasIdentityKeys, tlsIdentity } from "../identity/cas-identity.ts";
import { splitTarget } from "./request-names.ts";

/** Signs the answers to requests with `?sign=1` by a key that is new at each start, so that they can be shown to others (C-28). */
export function signAnswers(app: FastifyInstance, identity: CasIdentityKeys, now: () => Date): void {
  const { privateKey, chain } = tlsIdentity(identity, ANSWER_SIGNER, [], now());
  app.addHook("onSend", async (request, reply, payload) => {
    if (splitTarget(request.url).query.get("sign") !== "1") return;
    if (typeof payload !== "string") return; // an answer without content says nothing that could be shown
    const answer = { method: request.method, target: request.url, status: reply.statusCode, headers: textHeaders(reply), body: payload };
    reply.headers(signAnswer(answer, privateKey, chain, now()));
  });
}

function textHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.getHeaders()).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}
