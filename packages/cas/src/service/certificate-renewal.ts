import { type Session, secretsOfScope } from "@vouchsafe/policy";
import type { Configuration } from "@vouchsafe/protocol";
import { refreshScope, renewCertificates, type StoredSecret, type StoredSecrets, systemRandomness } from "@vouchsafe/secrets";
import { type CasContext, committedValues } from "../cas-context.ts";
import { stopOnBrokenRandomness } from "../operation/stop-on-broken-randomness.ts";
import { secretMap } from "../sessions/make-values.ts";
import { currentKey, issuedKey, type SessionValues, type SessionVersion, valuesKey } from "../sessions/session-records.ts";
import { hasCertificatesBelowImports, resolveSecrets } from "../values/resolve-secrets.ts";
import { redeliver } from "./attest-service.ts";
import type { AttestedInstance } from "./attested-instance.ts";

const INTERVAL_MS = 30_000;

/**
 * Issues certificates again before they expire (SL-134): in the background, and at the latest when a service is about to get one. Connected
 * instances are sent the files that changed; neither is a new version of the session.
 */
export class CertificateRenewal {
  readonly #context: CasContext;
  readonly #instances: ReadonlySet<AttestedInstance>;
  /** When each session's next certificate is due, in ms since the epoch; absent until looked at. */
  readonly #dueAt = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(context: CasContext, instances: ReadonlySet<AttestedInstance>) {
    this.#context = context;
    this.#instances = instances;
  }

  start(): Disposable {
    this.#timer = setInterval(() => {
      this.renewAll().catch((error: unknown) => this.#failed("renewal of certificates", error));
    }, INTERVAL_MS).unref();
    return { [Symbol.dispose]: () => clearInterval(this.#timer) };
  }

  /** One round over all sessions; those that are not due cost a look at a number. What other CAS export is asked for again. */
  async renewAll(): Promise<void> {
    for (const name of this.#context.database.ids("session-values")) {
      await this.#renewStored(name).catch((error: unknown) => this.#failed(`renewal of certificates of session ${name}`, error));
    }
    for (const instance of this.#instances) {
      await this.#renewOwn(instance).catch((error: unknown) => this.#failed("renewal of an instance's own certificates", error));
    }
    await this.refreshImports();
  }

  #failed(what: string, error: unknown): void {
    const { log } = this.#context;
    stopOnBrokenRandomness(error, log);
    log.error(`${what}: ${error instanceof Error ? error.message : "failed"}`);
  }

  /** Asks other CAS for what connected instances import from them; `push` follows where something changed. */
  async refreshImports(): Promise<void> {
    const { database, remote } = this.#context;
    for (const name of new Set([...this.#instances].map(({ facts }) => facts.session))) {
      const version = await database.get<SessionVersion>(currentKey(name));
      if (version === undefined) continue;
      await remote.refresh(version);
      await this.#renewBelowImports(name).catch((error: unknown) => this.#failed(`certificates below imports of session ${name}`, error));
    }
  }

  /** The values of this session were replaced: look again. */
  forget(name: string): void {
    this.#dueAt.delete(name);
  }

  /** A value of this session was supplied, or another CAS exports another one: instances that use it are told. */
  valuesChanged(name: string): void {
    this.forget(name);
    this.push(name).catch((error: unknown) => this.#failed(`session ${name}: instances were not told of a new value`, error));
  }

  /** Issues what is due in this session, and tells the instances that use it. */
  async renew(name: string): Promise<void> {
    await this.#renewStored(name);
    await this.#renewBelowImports(name);
  }

  async #renewStored(name: string): Promise<void> {
    const { database, now } = this.#context;
    const known = this.#dueAt.get(name);
    if (known !== undefined && known > now().getTime()) return;
    const hasRenewed = await database.transact(async (tx) => {
      const version = await tx.get<SessionVersion>(currentKey(name));
      const values = await tx.get<SessionValues>(valuesKey(name));
      if (version === undefined || values === undefined) return false;
      const next = renewedValues(version.session, values, now());
      this.#dueAt.set(name, nextRenewal(allValues(next)));
      if (next === values) return false;
      tx.put(valuesKey(name), next);
      const rotated = rotatedSecrets(values, next);
      if (rotated.length > 0) this.#context.audit.append(tx, "secrets_rotated", { session: name, secrets: rotated });
      else this.#context.audit.append(tx, "certificates_renewed", { session: name });
      return true;
    });
    if (hasRenewed) await this.push(name);
  }

  /** Issues, or issues again, what is below imports, once for all who ask. */
  async #renewBelowImports(name: string): Promise<void> {
    const { database, now, remote, audit } = this.#context;
    const version = await database.get<SessionVersion>(currentKey(name));
    const values = await database.get<SessionValues>(valuesKey(name));
    if (version === undefined || !hasCertificatesBelowImports(version, values)) return;
    await remote.refresh(version);
    const { toKeep } = await resolveSecrets(committedValues(this.#context), version, now());
    if (toKeep === undefined) return;
    const isNew = await database.transact(async (tx) => {
      // Of several that found the same missing, the first one's certificates count.
      const { toKeep: stillToKeep } = await resolveSecrets({ rows: tx, remote }, version, now());
      if (stillToKeep === undefined) return false;
      tx.put(issuedKey(name), stillToKeep);
      audit.append(tx, "certificates_renewed", { session: name });
      return true;
    });
    if (isNew) await this.push(name);
  }

  /** Sends the connected instances that use this session's values what changed for them. */
  async push(name: string): Promise<void> {
    for (const instance of this.#instances) {
      const version = await this.#context.database.get<SessionVersion>(currentKey(instance.facts.session));
      if (version !== undefined && isUsing(version, name)) await this.#pushTo(instance, version);
    }
  }

  /** Certificates that one instance has for itself. */
  async #renewOwn(instance: AttestedInstance): Promise<void> {
    const { database, now } = this.#context;
    if (nextRenewal(instance.ownValues.values()) > now().getTime()) return;
    const version = await database.get<SessionVersion>(currentKey(instance.facts.session));
    if (version !== undefined) await this.#pushTo(instance, version);
  }

  async #pushTo(instance: AttestedInstance, version: SessionVersion): Promise<void> {
    if (version.hash !== instance.facts.sessionHash) return;
    const fresh = await redeliver(this.#context, version, instance);
    if (fresh === undefined) return;
    const renewal = differenceOf(instance.configuration, fresh.configuration);
    instance.configuration = fresh.configuration;
    instance.ownValues = fresh.own;
    if (renewal.files.length > 0 || Object.keys(renewal.templateValues).length > 0) instance.renew({ type: "renewal", ...renewal });
  }
}

const allValues = ({ secrets, services = {} }: SessionValues): StoredSecret[] => [
  ...Object.values(secrets),
  ...Object.values(services).flatMap((own) => Object.values(own)),
];

/** What is due is made anew, for the session and for each service by itself; the values given when nothing is. */
function renewedValues(session: Session, values: SessionValues, now: Date): SessionValues {
  const options = { now, random: systemRandomness };
  const shared = renewCertificates(secretsOfScope(session, "session"), secretMap(values), options)?.values;
  const imports = shared ?? secretMap(values);
  const ofService = secretsOfScope(session, "service");
  let hasChanged = shared !== undefined;
  const services = Object.entries(values.services ?? {}).map(([service, stored]) => {
    const before: StoredSecrets = new Map(Object.entries(stored));
    const after = refreshScope(ofService, before, { ...options, imports });
    hasChanged ||= after !== before;
    return [service, Object.fromEntries(after)] as const;
  });
  if (!hasChanged) return values;
  const secrets = shared === undefined ? values.secrets : Object.fromEntries(shared);
  return { ...values, secrets, ...(values.services === undefined ? {} : { services: Object.fromEntries(services) }) };
}

/** Names of the values and keys that have another value now; certificates are told apart. */
function rotatedSecrets(before: SessionValues, after: SessionValues): string[] {
  const changed = (old: Readonly<Record<string, StoredSecret>>, now: Readonly<Record<string, StoredSecret>>) =>
    Object.entries(now).flatMap(([name, value]) => ("previous" in value && value !== old[name] ? [name] : []));
  const services = Object.entries(after.services ?? {}).flatMap(([service, now]) => changed(before.services?.[service] ?? {}, now));
  return [...new Set([...changed(before.secrets, after.secrets), ...services])];
}

function isUsing({ name, session }: SessionVersion, source: string): boolean {
  return (
    name === source ||
    session.secrets.some((secret) => secret.origin === "imported" && secret.import.cas === undefined && secret.import.session === source)
  );
}

function nextRenewal(secrets: Iterable<StoredSecret>): number {
  const times = [...secrets].flatMap((secret) =>
    "renewAfter" in secret && secret.renewAfter !== undefined ? [Date.parse(secret.renewAfter)] : [],
  );
  return Math.min(Number.POSITIVE_INFINITY, ...times);
}

function differenceOf(before: Configuration, after: Configuration) {
  const old = new Map(before.files.map(({ path, content }) => [path, content]));
  const files = after.files.flatMap(({ path, content }) => (content === null || old.get(path) === content ? [] : [{ path, content }]));
  const templateValues = Object.fromEntries(
    Object.entries(after.templateValues).filter(([name, value]) => before.templateValues[name] !== value),
  );
  return { files, templateValues };
}
