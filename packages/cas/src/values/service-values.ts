/** Values that belong to one service or one instance (extensions `scope` and `self::…`). */
import { createHash } from "node:crypto";
import { INSTANCE_ID_CHARACTERS, type Session, secretsOfScope, usesIdentity } from "@vouchsafe/policy";
import { materialise, refreshScope, type StoredSecret, type StoredSecrets, systemRandomness } from "@vouchsafe/secrets";
import { type SessionValues, type SessionVersion, valuesKey } from "../sessions/session-records.ts";
import type { Reader } from "../store/row-store.ts";
import { instanceIdentity } from "./instance-identity.ts";
import type { ResolvedSecrets } from "./resolve-secrets.ts";

/** An attested instance that values are made for. */
export interface InstanceTarget {
  readonly service: string;
  readonly instanceId: string;
  /** What this instance was given before, while its connection is open; empty at its start. Never stored. */
  readonly kept: StoredSecrets;
}

export interface InstanceSecrets extends ResolvedSecrets {
  /** The instance's own values: keep them as long as its connection is open. */
  readonly own: StoredSecrets;
}

/** Identifies an instance by its key, which its evidence covers: the same over a reconnection, another for every start. */
export function instanceIdOf(session: string, service: string, instanceKeyId: string): string {
  const hash = createHash("sha256")
    .update("vouchsafe/instance-id/1\0")
    .update(JSON.stringify([session, service, instanceKeyId]));
  return hash.digest("hex").slice(0, INSTANCE_ID_CHARACTERS);
}

/** Sessions whose values are the same for all: the usual case, asked at every attestation. */
const shareEverything = new WeakMap<Session, boolean>();

function sharesEverything(session: Session): boolean {
  const known = shareEverything.get(session);
  if (known !== undefined) return known;
  const isPlain = secretsOfScope(session, "session") === session && !usesIdentity(session);
  shareEverything.set(session, isPlain);
  return isPlain;
}

/** To what the services of a session share, adds the values of one service and of one instance: the latter are made here, and brought up to date. */
export async function resolveInstanceSecrets(
  rows: Reader,
  version: SessionVersion,
  now: Date,
  { service, instanceId, kept }: InstanceTarget,
  shared: ResolvedSecrets,
): Promise<InstanceSecrets> {
  if (sharesEverything(version.session)) return { ...shared, own: kept };
  const stored = await rows.get<SessionValues>(valuesKey(version.name));
  const values = new Map(shared.values);
  const problems = new Map(shared.problems);
  const add = (session: Session, found: StoredSecrets) => {
    for (const { name } of session.secrets) {
      const value = found.get(name);
      if (value !== undefined) values.set(name, value);
      else problems.set(name, "its issuer or its private key has no value yet");
    }
  };
  const ofService = secretsOfScope(version.session, "service");
  if (ofService.secrets.length > 0) {
    const before = new Map(Object.entries(stored?.services?.[service] ?? {}));
    add(ofService, refreshScope(ofService, before, { now, random: systemRandomness, imports: values }));
  }
  const own = new Map<string, StoredSecret>();
  const make = (session: Session, imports: StoredSecrets) => {
    if (session.secrets.length === 0) return;
    const options = { now, random: systemRandomness, imports };
    const before = new Map([...kept].filter(([name]) => session.secrets.some((secret) => secret.name === name)));
    const made = before.size === 0 ? materialise(session, options).values : refreshScope(session, before, options);
    for (const [name, value] of made) own.set(name, value);
    add(session, made);
  };
  make(secretsOfScope(version.session, "instance", instanceId), values);
  const ca = stored?.identityCa;
  if (ca !== undefined && usesIdentity(version.session)) {
    make(instanceIdentity(version.session, service, instanceId), new Map([["self::ca", ca]]));
    values.set("self::ca", { ...ca, privateKey: undefined });
  }
  return { values, problems, empty: shared.empty, own };
}
