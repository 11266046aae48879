import { Agent, request } from "node:https";
import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import type { z } from "zod";
import { type CasAddress, formatCasAddress } from "./cas-address.ts";
import type { CasIdentity, CasPin } from "./cas-chain.ts";
import { connectToCas } from "./cas-connection.ts";
import {
  ActivationList,
  AuditCheckpoints,
  CasAttestation,
  CasVersion,
  type ClusterIssuer,
  CollateralForecast,
  CollateralStatus,
  HealthReport,
  NodeEnrolled,
  OpenedCredential,
  ProposalDetail,
  ProposalList,
  ProposalOutcome,
  type ProposalRequest,
  type ProposalSummary,
  Provisioned,
  PublicValue,
  PublicValues,
  RecoveryRequest,
  RegisteredInstance,
  RegisteredInstances,
  type RegisterInstance,
  SecretList,
  SecretSupplied,
  SecretValue,
  SessionExceptions,
  SessionHash,
  SessionList,
  SessionUploaded,
  ShareAccepted,
  type SignedShare,
  type TpmCredential,
  UpgradeStarted,
  VerifiedEvidence,
} from "./client-api.ts";
import type { EvidenceJson } from "./messages.ts";
import { CasProblemError, Problem, UpdatePendingError } from "./problem.ts";
import { ProtocolError } from "./protocol-error.ts";
import { ExportAnswer, type ExportRequest } from "./shared-secrets.ts";

export const CLIENT_ALPN = "http/1.1";

export interface CasClientOptions extends CasAddress {
  readonly pin: CasPin;
  readonly clientIdentity?: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** For each request, connection included; 30 s unless given. */
  readonly timeoutMs?: number | undefined;
  /** Resolves the host, where it is a name, instead of the system's resolver: it may refuse addresses. */
  readonly lookup?: LookupFunction | undefined;
}

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const TIMEOUT_MS = 30_000;
const ANSWER_MAX_BYTES = 16 * 1024 * 1024;

/**
 * The client API of one CAS (cas.md §7). The peer's chain is verified against the pin before anything is sent, on every connection.
 * Methods throw CAS_UNREACHABLE, CAS_IDENTITY, CONNECTION_LOST, PROTOCOL_VIOLATION, or CasProblemError with the CAS's own words.
 */
export class CasClient implements Disposable {
  readonly #options: CasClientOptions;
  readonly #agent: VerifyingAgent;

  constructor(options: CasClientOptions) {
    this.#options = options;
    this.#agent = new VerifyingAgent(options);
  }

  /** Identity of the peer, as verified on the last connection. */
  get identity(): CasIdentity | undefined {
    return this.#agent.identity;
  }

  /** Creates the session, or updates it when the text has a predecessor. `text` is YAML or JSON. Throws UpdatePendingError, as all uploads do. */
  uploadSession(text: string): Promise<SessionUploaded> {
    return this.#upload({ method: "POST", path: "/v1/sessions", body: text, contentType: "application/yaml" });
  }

  /** Uploads a signed session (SL-188); the client certificate counts for nothing here. */
  uploadSignedSession(json: string): Promise<SessionUploaded> {
    return this.#upload({ method: "PUT", path: "/v1/signed_sessions", body: json, contentType: "application/json" });
  }

  /** Uploads an encrypted session (SL-194). */
  uploadEncryptedSession(json: string): Promise<SessionUploaded> {
    return this.#upload({ method: "PUT", path: "/v1/encrypted_sessions", body: json, contentType: "application/json" });
  }

  /** Patches a session: higher security versions, further measurements. `text` is a patch, or the JSON of a signed one. */
  patchSession(name: string, text: string): Promise<SessionUploaded> {
    return this.#json(SessionUploaded, {
      method: "PATCH",
      path: `/v1/sessions/${encodeName(name)}`,
      body: text,
      contentType: "application/yaml",
    });
  }

  /** Normalised text with its creator; an older version by its hash. */
  async readSession(name: string, hash?: string): Promise<{ readonly text: string; readonly hash: string }> {
    const query = hash === undefined ? "" : `?hash=${hash}`;
    const answer = await this.#call({ method: "GET", path: `/v1/sessions/${encodeName(name)}${query}` });
    const found = answer.headers["vouchsafe-session-hash"];
    return { text: answer.text, hash: typeof found === "string" ? found : "" };
  }

  readSessionHash(name: string): Promise<SessionHash> {
    return this.#json(SessionHash, { method: "GET", path: `/v1/sessions/${encodeName(name)}?view=hash` });
  }

  /** Direct children of a namespace, sorted, one page; `/` is the root. */
  listSessions(namespace: string, page: { after?: string; limit?: number } = {}): Promise<SessionList> {
    const query = new URLSearchParams({ namespace });
    if (page.after !== undefined) query.set("after", page.after);
    if (page.limit !== undefined) query.set("limit", String(page.limit));
    return this.#json(SessionList, { method: "GET", path: `/v1/sessions?${query}` });
  }

  /** Public secrets of a session by name; needs no client certificate. */
  async publicValues(session: string): Promise<ReadonlyMap<string, PublicValue>> {
    const answer = await this.#json(PublicValues, { method: "GET", path: `/v1/values/session=${encodeName(session)}` });
    return new Map(Object.entries(answer.values));
  }

  publicValue(session: string, secret: string): Promise<PublicValue> {
    const path = `/v1/values/session=${encodeName(session)},secret=${encodeURIComponent(secret)}`;
    return this.#json(PublicValue, { method: "GET", path });
  }

  /** Sets the value of a secret with `supplied_by`: text, hexadecimal digits for `binary`, PEM for keys and certificates. */
  supplySecret(session: string, secret: string, value: string): Promise<SecretSupplied> {
    return this.#json(SecretSupplied, { method: "PUT", path: secretPath(session, secret), body: value, contentType: "text/plain" });
  }

  /** Value of a secret, for members of a role that may `read_secret`. `format` as after the name in a placeholder, e.g. `privatekey:pem`. */
  readSecret(session: string, secret: string, format?: string): Promise<SecretValue> {
    const query = format === undefined ? "" : `?${new URLSearchParams({ format })}`;
    return this.#json(SecretValue, { method: "GET", path: `${secretPath(session, secret)}${query}` });
  }

  /** Which secrets people supply or read, and which have a value. */
  listSecrets(session: string): Promise<SecretList> {
    return this.#json(SecretList, { method: "GET", path: `/v1/secrets/session=${encodeName(session)}` });
  }

  /** How often the services of a session were started, and how many instances run; for readers of the session. */
  activations(session: string): Promise<ActivationList> {
    return this.#json(ActivationList, { method: "GET", path: `/v1/activations/${encodeName(session)}` });
  }

  /** Proposals of a session; with a signed `list` statement for holders of a signing key. */
  async proposals(session: string, signed?: Omit<ProposalRequest, "action">): Promise<readonly ProposalSummary[]> {
    const path = `/v1/proposals/${encodeName(session)}`;
    const call: Call =
      signed === undefined
        ? { method: "GET", path }
        : { method: "POST", path, body: JSON.stringify({ action: "list", ...signed }), contentType: "application/json" };
    return (await this.#json(ProposalList, call)).proposals;
  }

  readProposal(session: string, hash: string, signed?: Omit<ProposalRequest, "action">): Promise<ProposalDetail> {
    const path = `/v1/proposals/${encodeName(session)}?hash=${hash}`;
    if (signed === undefined) return this.#json(ProposalDetail, { method: "GET", path });
    const body = JSON.stringify({ action: "read", ...signed });
    return this.#json(ProposalDetail, { method: "POST", path, body, contentType: "application/json" });
  }

  /** Approves, rejects or withdraws a proposal, by the connection's key or by a signature. */
  decideProposal(session: string, hash: string, request: ProposalRequest): Promise<ProposalOutcome> {
    const path = `/v1/proposals/${encodeName(session)}?hash=${hash}`;
    return this.#json(ProposalOutcome, { method: "POST", path, body: JSON.stringify(request), contentType: "application/json" });
  }

  /** What the CAS says and proves about itself. `nonce` is base64url text of the caller's choice. */
  attest(nonce: string): Promise<CasAttestation> {
    return this.#json(CasAttestation, { method: "GET", path: `/v1/attest?${new URLSearchParams({ nonce })}` });
  }

  /** What the TPM of the CAS got out of a credential for the keys of its evidence. */
  async openCredential(credential: TpmCredential): Promise<Uint8Array> {
    const body = JSON.stringify(credential);
    const { secret } = await this.#json(OpenedCredential, {
      method: "POST",
      path: "/v1/attest/credential",
      body,
      contentType: "application/json",
    });
    return Buffer.from(secret, "base64");
  }

  /** For another CAS only, whose chain is the client identity: what sessions of this CAS export to one of its sessions (C-33). */
  exports(request: ExportRequest): Promise<ExportAnswer> {
    const body = JSON.stringify(request);
    return this.#json(ExportAnswer, { method: "POST", path: "/v1/exports", body, contentType: "application/json" });
  }

  version(): Promise<CasVersion> {
    return this.#json(CasVersion, { method: "GET", path: "/v1/version" });
  }

  async isReady(): Promise<boolean> {
    try {
      await this.#call({ method: "GET", path: "/v1/health/ready" });
      return true;
    } catch (error) {
      if (error instanceof CasProblemError) return false;
      throw error;
    }
  }

  /** Owner only. */
  collateral(): Promise<CollateralStatus> {
    return this.#json(CollateralStatus, { method: "GET", path: "/v1/collateral" });
  }

  /** Owner only. Documents that are missing are fetched first, so it may take a while. */
  collateralForecast(): Promise<CollateralForecast> {
    return this.#json(CollateralForecast, { method: "GET", path: "/v1/collateral/forecast" });
  }

  /** For whoever may read the session. */
  sessionExceptions(name: string): Promise<SessionExceptions> {
    return this.#json(SessionExceptions, { method: "GET", path: `/v1/sessions/${encodeName(name)}?view=exceptions` });
  }

  /** Lets the CAS verify Evidence and sign the result for `audience`, where its owner has switched that on. `service` is `SESSION/SERVICE`. */
  verifyEvidence(request: {
    readonly evidence: EvidenceJson;
    readonly audience: string;
    readonly userData?: Uint8Array;
    readonly service?: string;
  }): Promise<VerifiedEvidence> {
    const { userData, ...rest } = request;
    const body = JSON.stringify({ ...rest, ...(userData === undefined ? {} : { userData: userData.toBase64() }) });
    return this.#json(VerifiedEvidence, { method: "POST", path: "/v1/verify-evidence", body, contentType: "application/json" });
  }

  /** Owner only. */
  healthReport(): Promise<z.infer<typeof HealthReport>> {
    return this.#json(HealthReport, { method: "GET", path: "/v1/health/report" });
  }

  /** Makes the holder of the client certificate the owner (C-12). `config` is TOML. */
  provision(token: string, config: string): Promise<Provisioned> {
    const body = JSON.stringify({ token, config });
    return this.#json(Provisioned, { method: "POST", path: "/v1/provision", body, contentType: "application/json" });
  }

  /** Owner only. `config` is TOML. */
  async updateConfig(config: string): Promise<void> {
    await this.#call({ method: "PUT", path: "/v1/config", body: config, contentType: "application/toml" });
  }

  /** Owner only: trusts Evidence of kind `node` signed by this key (DER SubjectPublicKeyInfo). */
  async enrolNodeKey(spki: Uint8Array): Promise<void> {
    const body = JSON.stringify({ key: spki.toBase64() });
    await this.#call({ method: "POST", path: "/v1/node-keys", body, contentType: "application/json" });
  }

  /** Owner only: from now on this cluster may vouch for its node agents, with these keys. */
  async putNodeIssuer(issuer: ClusterIssuer): Promise<void> {
    await this.#call({ method: "PUT", path: "/v1/node-issuers", body: JSON.stringify(issuer), contentType: "application/json" });
  }

  /** Owner only: that cluster may not any more. Harmless when it never might. */
  async removeNodeIssuer(issuer: string): Promise<void> {
    await this.#call({ method: "DELETE", path: `/v1/node-issuers?${new URLSearchParams({ issuer })}` });
  }

  /** Enrols a node agent's key (DER SubjectPublicKeyInfo) on the word of its cluster: `statement` is a token whose audience is the key's hash. */
  enrolNode(spki: Uint8Array, statement: string): Promise<NodeEnrolled> {
    const body = JSON.stringify({ key: spki.toBase64(), statement });
    return this.#json(NodeEnrolled, { method: "POST", path: "/v1/node-enrolments", body, contentType: "application/json" });
  }

  /** Owner only: from now on the named account of this cluster may register nodes as backups, and nothing else (C-75). */
  async putBackupIssuer(issuer: ClusterIssuer): Promise<void> {
    await this.#call({ method: "PUT", path: "/v1/backup-issuers", body: JSON.stringify(issuer), contentType: "application/json" });
  }

  /** Owner only: it may not any more. What it registered stays registered. Harmless when it never might. */
  async removeBackupIssuer(issuer: string): Promise<void> {
    await this.#call({ method: "DELETE", path: `/v1/backup-issuers?${new URLSearchParams({ issuer })}` });
  }

  /** Registers a backup on the word of its cluster: `statement` is a token whose only audience is {@link backupAudience} of the request. */
  enrolBackup(request: RegisterInstance, statement: string): Promise<RegisteredInstance> {
    const body = JSON.stringify({ ...request, statement });
    return this.#json(RegisteredInstance, { method: "POST", path: "/v1/backup-enrolments", body, contentType: "application/json" });
  }

  /** Owner only: confirms that the database lost its newest changes (C-5). Returns old and new position. */
  async acceptRollback(): Promise<string> {
    return (await this.#call({ method: "POST", path: "/v1/accept-rollback", body: "{}", contentType: "application/json" })).text;
  }

  /** Owner only: attests another instance and lets it open the database, as a backup (C-74) or as a new version of the software (C-78). */
  registerInstance(purpose: RegisteredInstance["purpose"], request: RegisterInstance): Promise<RegisteredInstance> {
    const body = JSON.stringify(request);
    return this.#json(RegisteredInstance, { method: "POST", path: instancePath(purpose), body, contentType: "application/json" });
  }

  /** Owner only. */
  async registeredInstances(): Promise<readonly RegisteredInstance[]> {
    return (await this.#json(RegisteredInstances, { method: "GET", path: "/v1/backups" })).instances;
  }

  /** Owner only: that instance can no longer open what is written to the key store from now on; copies made before stay open to it. */
  async removeInstance(purpose: RegisteredInstance["purpose"], name: string): Promise<void> {
    await this.#call({ method: "DELETE", path: `${instancePath(purpose)}?${new URLSearchParams({ name })}` });
  }

  /** Owner only: gives the database a new key, which the former software does not get (C-78). A large database takes longer than one request may. */
  startUpgrade(): Promise<UpgradeStarted> {
    return this.#json(UpgradeStarted, { method: "POST", path: "/v1/upgrades/start", body: "{}", contentType: "application/json" });
  }

  /** Of a CAS in state `recovery` (C-80). */
  recovery(): Promise<RecoveryRequest> {
    return this.#json(RecoveryRequest, { method: "GET", path: "/v1/recovery" });
  }

  /** Hands a holder's share in. With the last one that was missing the CAS goes on with its start, and the connection ends. */
  submitShare(share: SignedShare): Promise<ShareAccepted> {
    return this.#json(ShareAccepted, {
      method: "POST",
      path: "/v1/recovery/shares",
      body: JSON.stringify(share),
      contentType: "application/json",
    });
  }

  auditCheckpoints(from: number, to: number): Promise<AuditCheckpoints> {
    return this.#json(AuditCheckpoints, { method: "GET", path: `/v1/audit/checkpoints?from=${from}&to=${to}` });
  }

  /** Closes idle connections; harmless when called twice. */
  close(): void {
    this.#agent.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** An update that is not in force must not look like one. */
  async #upload(call: Call): Promise<SessionUploaded> {
    const uploaded = await this.#json(SessionUploaded, call);
    if (uploaded.proposal !== undefined) throw new UpdatePendingError(uploaded.name, { hash: uploaded.hash, ...uploaded.proposal });
    return uploaded;
  }

  async #json<T>(schema: z.ZodType<T>, call: Call): Promise<T> {
    const { text } = await this.#call(call);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new ProtocolError("PROTOCOL_VIOLATION", `the CAS answered ${call.path} with something that is not JSON`, { cause });
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new ProtocolError("PROTOCOL_VIOLATION", `unexpected answer to ${call.path}`, { cause: parsed.error });
  }

  async #call(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    let value: unknown;
    try {
      value = JSON.parse(answer.text);
    } catch {
      // no problem document: reported below by its status
    }
    const problem = Problem.safeParse(value);
    if (problem.success) throw new CasProblemError(problem.data);
    throw new ProtocolError("PROTOCOL_VIOLATION", `the CAS answered ${call.path} with status ${answer.status}`);
  }

  #exchange(call: Call): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const address = formatCasAddress(this.#options);
    const lost = (cause: Error) => {
      if (cause instanceof ProtocolError) return reject(cause);
      reject(new ProtocolError("CONNECTION_LOST", `no answer from the CAS at ${address}: ${cause.message}`, { cause }));
    };
    const deadline = AbortSignal.timeout(this.#options.timeoutMs ?? TIMEOUT_MS);
    const outgoing = request({
      agent: this.#agent,
      method: call.method,
      path: call.path,
      host: this.#options.host,
      port: this.#options.port,
      signal: call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline]),
      headers: call.body === undefined ? {} : { "content-type": call.contentType, "content-length": Buffer.byteLength(call.body) },
    });
    outgoing.on("error", lost);
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("error", lost);
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_MAX_BYTES) response.destroy(new Error(`answer is larger than ${ANSWER_MAX_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
      });
    });
    outgoing.end(call.body);
    return promise;
  }
}

/** Hands out sockets only after the peer has been verified. */
class VerifyingAgent extends Agent {
  readonly #client: CasClientOptions;
  identity: CasIdentity | undefined;

  constructor(client: CasClientOptions) {
    super({ keepAlive: true, maxSockets: 8, maxCachedSessions: 0 });
    this.#client = client;
  }

  override createConnection(_options: object, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    const { host, port, pin, clientIdentity, timeoutMs, lookup } = this.#client;
    connectToCas({ host, port, pin, clientIdentity, lookup, alpn: CLIENT_ALPN, timeoutMs: timeoutMs ?? TIMEOUT_MS }).then(
      ({ socket, identity }) => {
        this.identity = identity;
        callback?.(null, socket);
      },
      // Node's own contract: with an error the stream argument is not looked at, though its type demands one
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
    return undefined;
  }
}

const instancePath = (purpose: RegisteredInstance["purpose"]): string => `/v1/${purpose}s`;

const secretPath = (session: string, secret: string): string =>
  `/v1/secrets/session=${encodeName(session)},secret=${encodeURIComponent(secret)}`;

/** Session names keep their slashes in paths; their characters need no escape (SL-37), anything else is refused by the CAS. */
function encodeName(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}
