import {
  type AttestationKeyAuthority,
  type AttestRequest,
  type InstanceMessage,
  parseServiceId,
  type RefusalCode,
} from "@vouchsafe/protocol";
import { type CasContext, committedValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { RateLimiter } from "../http/rate-limit.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import { makeDeliveryValues } from "../values/delivery-values.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { instanceIdOf, resolveInstanceSecrets } from "../values/service-values.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";
import type { Activations } from "./activations.ts";
import { attestService } from "./attest-service.ts";
import type { AttestedInstance } from "./attested-instance.ts";
import { formatsOf } from "./build-configuration.ts";
import type { CertificateRenewal } from "./certificate-renewal.ts";
import { type EvidenceTrust, orRefused } from "./evidence-verifier.ts";
import { Refused } from "./refusal.ts";
import { reportTag } from "./report-tag.ts";
import type { ServiceHandlers } from "./service-server.ts";

export interface HandlerParts {
  readonly trust: EvidenceTrust;
  readonly attestationKeys: AttestationKeyAuthority;
  /** Connected instances. */
  readonly instances: Set<AttestedInstance>;
  readonly renewal: CertificateRenewal;
  readonly activations: Activations;
  /** The CAS itself closes the connections: its instances may come back. */
  readonly isStopping: () => boolean;
  /** Told how each request ended: `granted` or the code of the refusal. */
  readonly onAnswered: (outcome: string) => void;
  /** Why services are not served now; undefined while they are. */
  readonly closedBecause: () => string | undefined;
}

/** C-25: six digits can be guessed by who may try often enough; for one service, from one address. */
const GUESSES = { perMinute: 6, burst: 20 };
const GUESSED: ReadonlySet<RefusalCode> = new Set(["password_wrong", "token_wrong"]);

/** What the service interface does with what arrives; keeps the register of connected instances. */
export function instanceHandlers(context: CasContext, parts: HandlerParts): ServiceHandlers {
  const { instances, onAnswered } = parts;
  const guesses = new RateLimiter("wrong passwords or tokens", GUESSES);
  return {
    certify: (request) => {
      refuseWhileClosed(parts);
      const { credential, finish } = orRefused(() => parts.attestationKeys.begin(request));
      return { credential, finish: (secret) => orRefused(() => finish(secret)) };
    },
    attest: async (request, exporter, peer) => {
      const guesser = `${peer} ${request.service.replace(/@[^@]*$/, "")}`;
      try {
        refuseGuessing(() => guesses.assertLeft(guesser, context.now().getTime()));
        const { instance, configuration, tokenProof } = await admit(context, parts, request, exporter);
        instances.add(instance);
        onAnswered("granted");
        const proof = tokenProof === undefined ? {} : { tokenProof: tokenProof.toBase64() };
        return { instance, answer: { type: "configuration", configuration, ...proof } };
      } catch (error) {
        if (error instanceof Refused && GUESSED.has(error.code)) guesses.count(guesser, context.now().getTime());
        onAnswered(error instanceof Refused ? error.code : "failed");
        throw error;
      }
    },
    handle: (instance, message) => handle(context, parts, instance, message),
    closed: (instance, how) => {
      instances.delete(instance);
      const isLast = parts.activations.disconnected(instance.facts);
      if (instance.hasExited || parts.isStopping()) return;
      const { session, service } = instance.facts;
      context.database
        .transact(async (tx) => {
          if (isLast) await parts.activations.lost(tx, instance.facts, how);
          context.audit.append(tx, "service_exited", { service: `${session}/${service}`, exit: "unknown" });
        })
        .catch((error: Error) => context.log.warn(`audit log: ${error.message}`));
    },
  };
}

function refuseGuessing(assertLeft: () => void): void {
  try {
    assertLeft();
  } catch (error) {
    if (error instanceof ApiError) throw new Refused("unavailable", undefined, error.message);
    throw error;
  }
}

function refuseWhileClosed({ closedBecause }: HandlerParts): void {
  const reason = closedBecause();
  if (reason !== undefined) throw new Refused("unavailable", undefined, `the CAS does not serve services: ${reason}`);
}

/** Judges a request; certificates that are due are issued first (SL-134). */
async function admit(context: CasContext, parts: HandlerParts, request: AttestRequest, exporter: Uint8Array) {
  refuseWhileClosed(parts);
  const { trust, renewal } = parts;
  const id = parseServiceId(request.service);
  if (id !== undefined && context.database.ids("session-values").has(id.session)) await renewal.renew(id.session).catch(toldLater);
  return attestService(context, trust, parts.activations, request, exporter);
}

/** Values that a vault does not give are a reason to refuse, once it is known whom and at which step. */
function toldLater(error: unknown): void {
  if (!(error instanceof KeptValuesError)) throw error;
}

async function handle(
  context: CasContext,
  { activations }: HandlerParts,
  instance: AttestedInstance,
  message: InstanceMessage,
): Promise<object> {
  const { id } = message;
  switch (message.type) {
    case "ping":
      return { type: "pong", id };
    case "tag":
      return { type: "tag-result", id, ...(await reportTag(context, instance, message)) };
    case "exit": {
      const { session, service } = instance.facts;
      await context.database.transact(async (tx) => {
        await activations.exited(tx, instance.facts);
        context.audit.append(tx, "service_exited", { service: `${session}/${service}`, code: message.code, signal: message.signal });
      });
      instance.hasExited = true;
      return { type: "exit-recorded", id };
    }
    case "secret":
      return { type: "secret-value", id, values: await secretValues(context, instance, message.name) };
    default:
      return message satisfies never;
  }
}

/** SL-170: exactly the listed secrets, as they are now. */
async function secretValues(context: CasContext, instance: AttestedInstance, name: string): Promise<object | null> {
  const { facts, configuration } = instance;
  if (!configuration.secretApi.includes(name)) return null;
  const { database, now, vaults } = context;
  const from = committedValues(context);
  const version = await database.get<SessionVersion>(currentKey(facts.session));
  const service = version?.session.services.find((candidate) => candidate.name === facts.service);
  if (version === undefined || service === undefined || version.hash !== facts.sessionHash) return null;
  await context.remote.refresh(version);
  const instanceId = instanceIdOf(facts.session, facts.service, facts.instanceKeyId);
  const shared = await resolveSecrets(from, version, now());
  const target = { service: facts.service, instanceId, kept: instance.ownValues };
  const secrets = await resolveInstanceSecrets(from.rows, version, now(), target, shared);
  instance.ownValues = secrets.own;
  const source = { ...secrets, made: (await vaults.imports.tokens(version)).values };
  const made = makeDeliveryValues({ version, service, instanceId, claims: facts.claims, source, now: now() });
  return Object.fromEntries(formatsOf(name, { ...secrets, made }));
}
