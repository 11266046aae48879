import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { Claims } from "@vouchsafe/attestation";
import { decodeBase32, exceptionState, type Service, verifyTotp } from "@vouchsafe/policy";
import {
  type AttestRequest,
  accessTokenProof,
  type Configuration,
  evidenceUserData,
  isEqualProof,
  parseServiceId,
  serviceName,
  verifyInstanceProof,
} from "@vouchsafe/protocol";
import type { StoredSecrets } from "@vouchsafe/secrets";
import { type CasContext, committedValues } from "../cas-context.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import type { RowKey } from "../store/row-store.ts";
import { type DeliveryClaims, makeDeliveryValues } from "../values/delivery-values.ts";
import { resolveSecrets } from "../values/resolve-secrets.ts";
import { type SecretSource, ValueError } from "../values/secret-source.ts";
import { instanceIdOf, resolveInstanceSecrets } from "../values/service-values.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";
import type { Activations } from "./activations.ts";
import { appraisePlatformId, appraiseVariants } from "./appraise.ts";
import { appraisePlatform, type PlatformAppraisal } from "./appraise-platform.ts";
import { AttestedInstance, type Delivery } from "./attested-instance.ts";
import { buildConfiguration } from "./build-configuration.ts";
import { type EvidenceTrust, verifyServiceEvidence } from "./evidence-verifier.ts";
import { messagesOf } from "./policy-refusal.ts";
import { recordDelivery, recordOrRefuse } from "./record-delivery.ts";
import { Refused } from "./refusal.ts";
import { readServiceRules, type ServiceRules } from "./service-rules.ts";

/** A service that passed every check, and what it gets. */
export interface Granted {
  readonly instance: AttestedInstance;
  readonly configuration: Configuration;
  /** The CAS's proof of the access token, where the session has one. */
  readonly tokenProof: Uint8Array | undefined;
}

interface Target {
  readonly version: SessionVersion;
  readonly service: Service;
  readonly name: string;
}

/**
 * Judges one request in the order of C-37 and makes the configuration. Throws Refused with the first step that failed; the refusal has been
 * audited then. `exporter` is that of the connection the request came on.
 */
export async function attestService(
  context: CasContext,
  trust: EvidenceTrust,
  activations: Activations,
  request: AttestRequest,
  exporter: Uint8Array,
): Promise<Granted> {
  try {
    return await judge(context, trust, activations, request, exporter);
  } catch (error) {
    if (error instanceof Refused) {
      const kind = request.evidence?.kind ?? null;
      const service = request.service.replace(/@[^@]*$/, ""); // the password is never logged (C-38)
      const insecure = kind === "simulated" ? { warning: "insecure evidence kind" } : {}; // hazard A21
      await recordOrRefuse(context, "attestation_refused", {
        service,
        evidence: kind,
        code: error.code,
        step: error.step ?? null,
        ...insecure,
      });
    }
    throw error;
  }
}

async function judge(
  context: CasContext,
  trust: EvidenceTrust,
  activations: Activations,
  request: AttestRequest,
  exporter: Uint8Array,
): Promise<Granted> {
  const id = parseServiceId(request.service);
  if (id === undefined) throw new Refused("service_unknown", "service", "the service id is not SESSION/SERVICE[@PASSWORD]");
  const target = await findService(context, id.session, id.service);
  const source = await secretSource(context, target);
  const rules = readRules(target, source);
  await checkPassword(context, rules, target.name, id.oneTimePassword);

  // The bytes as sent: the client hashed the same, and another encoding of a key is another key.
  const spki = Buffer.from(request.instanceKey, "base64");
  const instanceKey = readInstanceKey(spki);
  const userData = evidenceUserData({ exporter, casKey: context.identity.casKey, instanceKey: spki, service: serviceName(id) });
  const claims = rules.security.attestation.mode === "none" ? undefined : await checkEvidence(request, rules, trust);
  checkBinding(request, claims, userData, instanceKey, target.name);
  if (claims?.platform !== undefined) trust.onPlatform(claims.platform, target.name);
  const platform = claims === undefined ? undefined : checkPolicy(claims, rules, trust.now());
  if (rules.security.singletonEnclaves) await checkSingleton(context, target.name, claims, request.reconnect === true, keyId(spki));
  if (claims?.kind === "simulated")
    context.log.warn(
      `DEVELOPMENT ONLY: ${target.name} is admitted on simulated evidence (${claims.details["imitates"]}), which proves nothing`,
    );
  const tokenProof = checkAccessToken(rules.security.serviceAccessToken, request, userData);

  const instanceKeyId = keyId(spki);
  const platformWarnings = exceptionWarnings(platform, context.now());
  const delivery = await deliver(context, target, source, claims, { instanceKeyId, kept: new Map(), platformWarnings });
  const facts = {
    session: target.version.name,
    service: target.service.name,
    sessionHash: target.version.hash,
    instanceId: claims?.instanceId,
    instanceKeyId,
    claims,
  };
  const instance = { instanceKeyId, isReconnection: request.reconnect === true };
  await recordDelivery(context, activations, target, instance, {
    service: target.name,
    ...(target.version.isHashPublic ? { session_hash: target.version.hash } : {}),
    attested: claims !== undefined,
    ...(claims === undefined ? {} : { evidence: claims.kind, measurement: claims.codeIdentity, platform: claims.platformId }),
    ...(claims?.signer === undefined ? {} : { signer: claims.signer.mrSigner }),
    ...(platform === undefined || platform.hiddenAdvisories.length === 0 ? {} : { hidden_advisories: platform.hiddenAdvisories }),
    ...(platform === undefined || platform.exceptions.length === 0 ? {} : { exceptions: platform.exceptions }),
  });
  return { instance: new AttestedInstance(facts, delivery), configuration: delivery.configuration, tokenProof };
}

async function findService({ database }: CasContext, session: string, service: string): Promise<Target> {
  return targetIn(
    database.peek<SessionVersion>(currentKey(session)) ?? (await database.get<SessionVersion>(currentKey(session))),
    session,
    service,
  );
}

function targetIn(version: SessionVersion | undefined, session: string, service: string): Target {
  const found = version?.session.services.find(({ name }) => name === service);
  if (version === undefined || found === undefined)
    throw new Refused("service_unknown", "service", `there is no service ${session}/${service}`);
  return { version, service: found, name: `${session}/${service}` };
}

async function secretSource(context: CasContext, { version }: Target): Promise<SecretSource> {
  await context.remote.refresh(version);
  try {
    const resolved = await resolveSecrets(committedValues(context), version, context.now());
    const tokens = await context.vaults.imports.tokens(version);
    return { ...resolved, problems: new Map([...resolved.problems, ...tokens.problems]), made: tokens.values };
  } catch (error) {
    throw asRefusal(error);
  }
}

function readRules({ version: { session }, service }: Target, source: SecretSource): ServiceRules {
  try {
    return readServiceRules(session, service, source);
  } catch (error) {
    throw asRefusal(error);
  }
}

/** C-38: a correct password is used up even if a later check fails; each step of 30 s counts once for each secret (SL-97). */
async function checkPassword(context: CasContext, rules: ServiceRules, name: string, password: string | undefined): Promise<void> {
  const { oneTimePasswordSecret } = rules;
  if (oneTimePasswordSecret === undefined) return;
  const step = "one-time-password";
  if (password === undefined) {
    throw new Refused("password_missing", step, `service ${name} needs a one-time password: start it with SCONE_CONFIG_ID=${name}@123456`);
  }
  const secret = decodeBase32(oneTimePasswordSecret);
  if (secret === undefined) throw new Refused("values_unresolved", step, `the one-time password secret of service ${name} is not base32`);
  const key: RowKey = { kind: "one-time-password", id: createHash("sha256").update("vouchsafe/otp/1\0").update(secret).digest("hex") };
  const verdict = await context.database.transact(async (tx) => {
    const used = await tx.get<{ readonly step: number }>(key);
    const found = verifyTotp(password, secret, { now: context.now(), lastUsedStep: used?.step });
    if (found.kind === "ok") tx.put(key, { step: found.step });
    return found.kind;
  });
  if (verdict === "used") throw new Refused("password_used", step, "this one-time password was used already; wait for the next one");
  if (verdict === "wrong") throw new Refused("password_wrong", step, "the one-time password is wrong");
}

function readInstanceKey(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch {
    throw new Refused("protocol", "channel-binding", "the instance key is no public key"); // what OpenSSL says about it helps nobody
  }
}

/** The policy chooses which kinds count, before anything is verified; the Evidence chooses nothing (SL-86). */
async function checkEvidence({ evidence }: AttestRequest, { security }: ServiceRules, trust: EvidenceTrust): Promise<Claims> {
  if (evidence === undefined)
    throw new Refused("evidence_missing", "evidence", "the session asks for attestation, the service sent no evidence");
  const accepted = security.attestation.evidence;
  if (!accepted.includes(evidence.kind)) {
    throw new Refused("policy_unmet", "evidence", `evidence of kind ${evidence.kind} is not accepted`, [
      `the session accepts ${accepted.join(", ")}; security.attestation.evidence would have to name ${evidence.kind}`,
    ]);
  }
  return verifyServiceEvidence(evidence, trust);
}

function checkBinding(
  { instanceProof }: AttestRequest,
  claims: Claims | undefined,
  userData: Uint8Array,
  instanceKey: KeyObject,
  name: string,
): void {
  const refused = (message: string) => new Refused("channel_binding", "channel-binding", message);
  if (claims !== undefined && !isEqualProof(claims.userData, userData)) {
    throw refused("the evidence was made for another connection, CAS, instance key or service");
  }
  // An agent that gives each service a socket of its own also says which one was asked.
  const vouchedFor: readonly unknown[] = ["", name];
  if (claims?.kind === "node" && !vouchedFor.includes(claims.details["service"])) {
    throw refused(`the node agent vouches for service ${claims.details["service"]}, not for ${name}`);
  }
  if (!verifyInstanceProof(userData, instanceKey, Buffer.from(instanceProof, "base64"))) {
    throw refused("the instance does not hold the key it names");
  }
}

/** Platform state, variants, platforms. Returns what the platform was forgiven: it is audited and shown. */
function checkPolicy(claims: Claims, rules: ServiceRules, now: Date): PlatformAppraisal {
  const appraisal = appraisePlatform(claims, rules.security.attestation, now);
  const { problems } = appraisal;
  if (problems.length > 0) {
    const reminder = "this message is not authenticated: check the platform before you tolerate anything";
    throw new Refused("policy_unmet", "platform-state", "the platform's state is not tolerated", [...messagesOf(problems), reminder]);
  }
  const reasons = appraiseVariants(claims, rules.variants);
  if (reasons !== undefined)
    throw new Refused("policy_unmet", "variants", "no attestation variant admits the program", messagesOf(reasons));
  const problem = appraisePlatformId(claims, rules.platforms);
  if (problem !== undefined) throw new Refused("policy_unmet", "platforms", problem.message);
  return appraisal;
}

/** An exception never passes unnoticed, and says in time that it ends. */
function exceptionWarnings(platform: PlatformAppraisal | undefined, now: Date): readonly string[] {
  return (platform?.exceptions ?? []).map((exception) => {
    const { state, daysLeft } = exceptionState(exception, now);
    const end = state === "ending" ? `, which is in ${daysLeft} days` : "";
    return `the platform is accepted by an exception until ${exception.until}${end}: ${exception.because}`;
  });
}

/** SL-94: consumed in one transaction, so that of two presentations of the same instance exactly one succeeds. */
async function checkSingleton(
  context: CasContext,
  name: string,
  claims: Claims | undefined,
  isReconnect: boolean,
  instanceKeyId: string,
): Promise<void> {
  if (claims?.instanceId === undefined) {
    throw new Refused("policy_unmet", "singleton", "the evidence cannot prove that this instance is new");
  }
  const key: RowKey = { kind: "singleton", id: `${claims.kind}\n${claims.instanceId}` };
  const isNew = await context.database.transact(async (tx) => {
    const seen = await tx.get<{ readonly service: string; readonly instanceKeyId: string }>(key);
    if (seen !== undefined) return isReconnect && seen.instanceKeyId === instanceKeyId && seen.service === name;
    tx.put(key, { service: name, instanceKeyId, at: context.now().toISOString() });
    return true;
  });
  if (!isNew) throw new Refused("singleton_seen", "singleton", "this instance has been attested before");
}

function checkAccessToken(token: string | undefined, { tokenProof }: AttestRequest, userData: Uint8Array): Uint8Array | undefined {
  if (token === undefined) return undefined;
  if (tokenProof === undefined) {
    throw new Refused("token_missing", "access-token", "the service was started without SCONE_SERVICE_ACCESS_TOKEN");
  }
  if (!isEqualProof(Buffer.from(tokenProof, "base64"), accessTokenProof(token, "service", userData))) {
    throw new Refused("token_wrong", "access-token", "the service was started with another access token");
  }
  return accessTokenProof(token, "cas", userData);
}

interface DeliveryOptions {
  readonly instanceKeyId: string;
  readonly kept: StoredSecrets;
  /** What the platform was forgiven. */
  readonly platformWarnings: readonly string[];
}

/** Makes the configuration of an admitted service. */
async function deliver(
  context: CasContext,
  target: Target,
  source: SecretSource,
  claims: DeliveryClaims | undefined,
  { instanceKeyId, kept, platformWarnings }: DeliveryOptions,
): Promise<Delivery> {
  const { version, service } = target;
  const warnings = claims === undefined ? ["this session is configured without attestation: whoever reaches the CAS gets its secrets"] : [];
  warnings.push(...platformWarnings);
  if (claims?.kind === "node") warnings.push("attested by a node agent: this proves nothing about hardware");
  if (claims?.kind === "simulated") warnings.push("DEVELOPMENT ONLY: attested by simulated evidence: this proves nothing");
  try {
    const instanceId = instanceIdOf(version.name, service.name, instanceKeyId);
    const instance = { service: service.name, instanceId, kept };
    const { rows } = committedValues(context);
    const secrets = await resolveInstanceSecrets(rows, version, context.now(), instance, source);
    const made = makeDeliveryValues({
      version,
      service,
      instanceId,
      claims,
      source: { ...secrets, made: source.made },
      now: context.now(),
    });
    const configuration = await buildConfiguration(rows, {
      version,
      service,
      source: { ...secrets, made },
      isAttested: claims !== undefined,
      warnings,
    });
    return { configuration, own: secrets.own };
  } catch (error) {
    throw asRefusal(error);
  }
}

/** What an instance would get now: to see what a renewal changed. Undefined when it would get nothing any more. */
export async function redeliver(
  context: CasContext,
  version: SessionVersion,
  { facts, ownValues }: AttestedInstance,
): Promise<Delivery | undefined> {
  try {
    const target = targetIn(version, facts.session, facts.service);
    const instance = { instanceKeyId: facts.instanceKeyId, kept: ownValues, platformWarnings: [] }; // said at the start
    return await deliver(context, target, await secretSource(context, target), facts.claims, instance);
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

function asRefusal(error: unknown): unknown {
  const isKnown = error instanceof ValueError || error instanceof KeptValuesError;
  return isKnown ? new Refused("values_unresolved", "values", error.message) : error;
}

const keyId = (spki: Uint8Array): string => createHash("sha256").update(spki).digest("hex");
