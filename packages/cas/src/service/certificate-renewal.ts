import { type Session, secretsOfScope } from "@vouchsafe/policy";
import type { Configuration } from "@vouchsafe/protocol";
import { refreshScope, renewCertificates, type StoredSecret, type StoredSecrets, systemRandomness } from "@vouchsafe/secrets";
import { type CasContext, committedValues, pendingValues } from "../cas-context.ts";
import { stopOnBrokenRandomness } from "../operation/stop-on-broken-randomness.ts";
import { secretMap } from "../sessions/make-values.ts";
import {
  allValues,
  currentKey,
  issuedKey,
  nextRenewal,
  type SessionValues,
  type SessionVersion,
  valuesKey,
} from "../sessions/session-records.ts";
import { hasCertificatesBelowImports, importsAnything, resolveSecrets } from "../values/resolve-secrets.ts";
import { type ElsewhereRow, isElsewhere } from "../vaults/kept-values.ts";
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

  /** Asks other CAS and vaults for what connected instances get from them; `push` follows where something changed. */
  async refreshImports(): Promise<void> {
    const { database, remote, vaults } = this.#context;
    for (const name of new Set([...this.#instances].map(({ facts }) => facts.session))) {
      const version = await database.get<SessionVersion>(currentKey(name));
      if (version === undefined) continue;
      await remote.refresh(version);
      for (const source of [version, ...(await this.#exporters(version))]) await vaults.imports.refresh(source);
      if (await vaults.imports.hasOtherTokens(version))
        await this.push(name).catch((error: unknown) => this.#failed(`tokens of session ${name}`, error));
      await this.#renewBelowImports(name).catch((error: unknown) => this.#failed(`certificates below imports of session ${name}`, error));
    }
  }

  /** Sessions of this CAS that a version imports from. */
  async #exporters({ session }: SessionVersion): Promise<readonly SessionVersion[]> {
    const names = session.secrets.flatMap((secret) =>
      secret.origin === "imported" && secret.import.cas === undefined ? [secret.import.session] : [],
    );
    const found: SessionVersion[] = [];
    for (const name of new Set(names)) {
      const version = await this.#context.database.get<SessionVersion>(currentKey(name));
      if (version !== undefined) found.push(version);
    }
    return found;
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
    const { database, now, vaults } = this.#context;
    const known = this.#dueAt.get(name) ?? (await this.#dueElsewhere(name));
    if (known !== undefined && known > now().getTime()) return;
    const hasRenewed = await database.transact(async (tx) => {
      const version = await tx.get<SessionVersion>(currentKey(name));
      const values = await pendingValues(this.#context, tx).rows.get<SessionValues>(valuesKey(name));
      if (version === undefined || values === undefined) return false;
      const next = renewedValues(version.session, values, now());
      const dueAt = nextRenewal(allValues(next));
      if (next !== values) await vaults.kept.put(tx, valuesKey(name), version, next, dueAt);
      this.#dueAt.set(name, dueAt);
      if (next === values) return false;
      const rotated = rotatedSecrets(values, next);
      if (rotated.length > 0) this.#context.audit.append(tx, "secrets_rotated", { session: name, secrets: rotated });
      else this.#context.audit.append(tx, "certificates_renewed", { session: name });
      return true;
    });
    if (hasRenewed) await this.push(name);
  }

  /** Values in a vault are not fetched to see when they are due: that is on record here. */
  async #dueElsewhere(name: string): Promise<number | undefined> {
    const row = await this.#context.database.get<SessionValues | ElsewhereRow>(valuesKey(name));
    return isElsewhere(row) ? (row.renewAt ?? Number.POSITIVE_INFINITY) : undefined;
  }

  /** Issues, or issues again, what is below imports, once for all who ask. */
  async #renewBelowImports(name: string): Promise<void> {
    const { database, now, remote, audit, vaults } = this.#context;
    const version = await database.get<SessionVersion>(currentKey(name));
    if (version === undefined || !importsAnything(version)) return;
    const values = await committedValues(this.#context).rows.get<SessionValues>(valuesKey(name));
    if (!hasCertificatesBelowImports(version, values)) return;
    await remote.refresh(version);
    const { toKeep } = await resolveSecrets(committedValues(this.#context), version, now());
    if (toKeep === undefined) return;
    const isNew = await database.transact(async (tx) => {
      // Of several that found the same missing, the first one's certificates count.
      const { toKeep: stillToKeep } = await resolveSecrets(pendingValues(this.#context, tx), version, now());
      if (stillToKeep === undefined) return false;
      await vaults.kept.put(tx, issuedKey(name), version, stillToKeep, Number.POSITIVE_INFINITY);
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

function differenceOf(before: Configuration, after: Configuration) {
  const old = new Map(before.files.map(({ path, content }) => [path, content]));
  const files = after.files.flatMap(({ path, content }) => (content === null || old.get(path) === content ? [] : [{ path, content }]));
  const templateValues = Object.fromEntries(
    Object.entries(after.templateValues).filter(([name, value]) => before.templateValues[name] !== value),
  );
  return { files, templateValues };
}
