import { randomBytes } from "node:crypto";
import type { Session } from "@vouchsafe/policy";
import { materialise, SecretError, type StoredSecret, systemRandomness } from "@vouchsafe/secrets";
import { ApiError } from "../cas-error.ts";
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
  const before = previous && { session: previous.session, values: secretMap(previous.values) };
  try {
    const { values, warnings } = materialise(session, { now, random: systemRandomness, previous: before });
    const kept = Object.entries(previous?.values.supplied ?? {}).filter(([name]) => values.has(name) && isSupplied(session, name));
    const supplied = kept.length === 0 ? {} : { supplied: Object.fromEntries(kept) };
    return { values: { secrets: Object.fromEntries(values), volumeKeys: volumeKeys(session, previous), ...supplied }, warnings };
  } catch (error) {
    if (error instanceof SecretError) throw new ApiError("invalid_session", error.message);
    throw error;
  }
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
