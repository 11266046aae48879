import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Credential } from "../access/authorise.ts";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { listSessions, publicValues, readExceptions, readSession, readSessionHash } from "../sessions/read-session.ts";
import { uploadEncryptedSession, uploadSessionPatch, uploadSignedSession } from "../sessions/upload-document.ts";
import { type UploadedSession, uploadSession } from "../sessions/upload-session.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";
import { clientCertificateOf, requireClientCertificate } from "./client-certificate.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { checkedSessionName, sessionNameIn, splitTarget, valueSelector } from "./request-names.ts";

const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const Limit = z.string().regex(/^[1-9][0-9]{0,3}$/);
const DEFAULT_PAGE = 100;

export interface SessionRenewal {
  /** The values of this session were replaced. */
  forget(name: string): void;
  /** Issues what is due, before somebody gets it (SL-134). */
  renew(name: string): Promise<void>;
}

/** Sessions and public values (cas.md §7). A route parses, authorises, calls one function, replies. */
export function sessionRoutes(app: FastifyInstance, context: CasContext, uploads: RateLimiter, renewal: SessionRenewal): void {
  const onUploaded = (name: string) => renewal.forget(name);
  const upload = async (request: FastifyRequest) => {
    const certificate = requireClientCertificate(request.socket, "uploading a session");
    uploads.take(certificate.keyHash, context.now().getTime());
    return uploadSession(context, bodyText(request), { kind: "certificate", ...certificate });
  };
  for (const path of ["/v1/sessions", "/session"]) {
    app.post(path, async (request, reply) => {
      const { isNew, ...uploaded } = await upload(request);
      onUploaded(uploaded.name);
      return reply.code(statusOf(isNew, uploaded)).send(uploaded);
    });
  }
  // Signed documents may arrive without a client certificate: then the address is what can be limited.
  const document = (take: (json: string) => Promise<UploadedSession>) => async (request: FastifyRequest, reply: FastifyReply) => {
    uploads.take(clientCertificateOf(request.socket)?.keyHash ?? request.ip, context.now().getTime());
    const { isNew, ...uploaded } = await take(bodyText(request));
    onUploaded(uploaded.name);
    return reply.code(statusOf(isNew, uploaded)).send(uploaded);
  };
  app.put(
    "/v1/signed_sessions",
    document((json) => uploadSignedSession(context, json)),
  );
  app.put(
    "/v1/encrypted_sessions",
    document((json) => uploadEncryptedSession(context, json, context.identity.sessionEncryptionKeys)),
  );
  app.patch("/v1/sessions/*", async (request) => {
    uploads.take(clientCertificateOf(request.socket)?.keyHash ?? request.ip, context.now().getTime());
    const name = sessionNameIn(request.url, "/v1/sessions/");
    const client = () => requireClientCertificate(request.socket, "patching a session");
    const patched = await uploadSessionPatch(context, name, bodyText(request), client);
    onUploaded(patched.name);
    return { ...patched, warnings: [] };
  });
  app.get("/v1/sessions", async (request) => {
    const { query } = splitTarget(request.url);
    const limit = Limit.optional().safeParse(query.get("limit") ?? undefined);
    if (!limit.success) throw new ApiError("bad_request", "limit is not a number from 1 to 9999");
    const namespace = checkedSessionName(query.get("namespace") ?? "/");
    const after = query.get("after");
    const page = { namespace, after: after === null ? undefined : checkedSessionName(after), limit: Number(limit.data ?? DEFAULT_PAGE) };
    return listSessions(context, page, credentialOf(request));
  });
  for (const prefix of ["/v1/sessions/", "/session/"]) {
    app.get(`${prefix}*`, async (request, reply) => {
      const name = sessionNameIn(request.url, prefix);
      const { query } = splitTarget(request.url);
      if (query.get("view") === "exceptions") return readExceptions(context, name, credentialOf(request));
      if (query.get("view") === "hash") return readSessionHash(context, name, credentialOf(request));
      const hash = Hash.optional().safeParse(query.get("hash") ?? undefined);
      if (!hash.success) throw new ApiError("bad_request", "hash is not 64 lower-case hex digits");
      const { text, version } = await readSession(context, name, hash.data, credentialOf(request));
      const creator = version.session.creator?.keyHash ?? "";
      reply.header("vouchsafe-session-hash", version.hash).header("vouchsafe-session-creator", creator);
      return reply.type("application/yaml").send(text);
    });
  }
  app.get("/v1/values/*", async (request) => {
    const { session, secret } = valueSelector(request.url, "/v1/values/");
    if (context.database.ids("session-values").has(session)) await renewal.renew(session).catch(toldLater);
    const values = await publicValues(context, session, secret);
    return secret === undefined ? { values: Object.fromEntries(values) } : values.get(secret);
  });
}

/** Whether anybody may know of this session is not settled yet. */
function toldLater(error: unknown): void {
  if (!(error instanceof KeptValuesError)) throw error;
}

/** 202: the update waits as a proposal, the session is what it was. */
const statusOf = (isNew: boolean, { proposal }: Pick<UploadedSession, "proposal">): number =>
  proposal !== undefined ? 202 : isNew ? 201 : 200;

/** Reading is authorised per connection (SL-177): signatures play no part. */
export function credentialOf(request: FastifyRequest): Credential {
  return { certificateKeyHash: clientCertificateOf(request.socket)?.keyHash, signers: [] };
}

/** Bodies are taken as text, whatever type they claim: our own parsers read them. */
export function bodyText(request: FastifyRequest): string {
  if (typeof request.body === "string" && request.body !== "") return request.body;
  throw new ApiError("bad_request", "the request has no body");
}
