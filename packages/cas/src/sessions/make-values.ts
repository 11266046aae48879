import { randomBytes } from "node:crypto";
import { type Session, secretsOfScope, usesIdentity } from "@vouchsafe/policy";
import { materialise, SecretError, type StoredSecret, type StoredSecrets, systemRandomness } from "@vouchsafe/secrets";
import { ApiError } from "../cas-error.ts";
import { identityAuthority } from "../values/instance-identity.ts";
import type { SessionValues } from "./session-records.ts";

const VOLUME_KEY_BYTES = 32;

export interface PreviousValues {
  readonly session: Session;
  readonly values: SessionValues;
}

export interface MadeValues {
  readonly values: SessionValues;
  readonly warnings: readonly string[];
}

/** Secrets, certificates and volume keys of a new version; kept from the previous one as §15 says (SL-155). */
export function makeValues(session: Session, previous: PreviousValues | undefined, now: Date): MadeValues {
  try {
    const { values, warnings } = materialise(secretsOfScope(session, "session"), {
      now,
      random: systemRandomness,
      previous: previous && { session: secretsOfScope(previous.session, "session"), values: secretMap(previous.values) },
    });
    return {
      values: {
        secrets: Object.fromEntries(values),
        volumeKeys: volumeKeys(session, previous),
        ...serviceValues(session, previous, values, now),
        ...identityCa(session, previous, now),
        ...suppliedRecords(session, previous, values),
      },
      warnings,
    };
  } catch (error) {
    if (error instanceof SecretError) throw new ApiError("invalid_session", error.message);
    throw error;
  }
}

/** Extension `scope: service`: the same rules, for each service by itself. Certificates below an import stay pending until delivery. */
function serviceValues(
  session: Session,
  previous: PreviousValues | undefined,
  shared: StoredSecrets,
  now: Date,
): Pick<SessionValues, "services"> {
  const own = secretsOfScope(session, "service");
  if (own.secrets.length === 0) return {};
  const before = previous && secretsOfScope(previous.session, "service");
  const made = session.services.map(({ name }) => {
    const stored = previous?.values.services?.[name];
    const options = {
      now,
      random: systemRandomness,
      imports: shared,
      previous: before && stored && { session: before, values: new Map(Object.entries(stored)) },
    };
    return [name, Object.fromEntries(materialise(own, options).values)] as const;
  });
  return { services: Object.fromEntries(made) };
}

/** The CA appears when a service first uses its predefined identity, and stays: whoever pinned it goes on trusting. */
function identityCa(session: Session, previous: PreviousValues | undefined, now: Date): Pick<SessionValues, "identityCa"> {
  const kept = previous?.values.identityCa;
  if (kept !== undefined) return { identityCa: kept };
  if (!usesIdentity(session)) return {};
  const ca = materialise(identityAuthority(session), { now, random: systemRandomness }).values.get("self::ca");
  if (ca?.kind !== "x509-ca") throw new TypeError("the CA of the identities was not made");
  return { identityCa: ca };
}

function suppliedRecords(session: Session, previous: PreviousValues | undefined, values: StoredSecrets): Pick<SessionValues, "supplied"> {
  const kept = Object.entries(previous?.values.supplied ?? {}).filter(([name]) => values.has(name) && isSupplied(session, name));
  return kept.length === 0 ? {} : { supplied: Object.fromEntries(kept) };
}

const isSupplied = (session: Session, name: string): boolean =>
  session.secrets.some((secret) => secret.name === name && secret.origin === "supplied");

export function secretMap({ secrets }: SessionValues): ReadonlyMap<string, StoredSecret> {
  return new Map(Object.entries(secrets));
}

function volumeKeys(session: Session, previous: PreviousValues | undefined): Record<string, string> {
  const keys: Record<string, string> = {};
  for (const { name, source } of session.volumes) {
    if (source.kind !== "auto") continue;
    const earlier = previous?.session.volumes.find((volume) => volume.name === name)?.source;
    const kept = earlier?.kind === "auto" && earlier.files === source.files ? previous?.values.volumeKeys[name] : undefined;
    keys[name] = kept ?? randomBytes(VOLUME_KEY_BYTES).toString("hex");
  }
  return keys;
}
