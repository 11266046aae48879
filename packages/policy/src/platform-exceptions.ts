import { isPlaceholder } from "./normal-parts.ts";
import type { Placeholder, PlatformException, Security, Session } from "./session.ts";

/** `ending`: within {@link EXCEPTION_WARNING_DAYS}. */
export type ExceptionState = "active" | "ending" | "ended";

export const EXCEPTION_WARNING_DAYS = 14;
const DAY_MS = 86_400_000;

/** How an exception stands at `now`. `daysLeft` counts whole days and is 0 on the last one and after the end. */
export function exceptionState({ until }: PlatformException, now: Date): { readonly state: ExceptionState; readonly daysLeft: number } {
  const left = Date.parse(until) - now.getTime();
  if (left < 0) return { state: "ended", daysLeft: 0 };
  const daysLeft = Math.floor(left / DAY_MS);
  return { state: daysLeft < EXCEPTION_WARNING_DAYS ? "ending" : "active", daysLeft };
}

export interface ListedException extends PlatformException {
  /** The service whose own section makes the exception; undefined for the session's. */
  readonly service: string | undefined;
}

/** Every exception that a session makes, as written; sections that come from secrets are not looked into. */
export function listExceptions(session: Session): readonly ListedException[] {
  const within = (section: Security | Placeholder | undefined, service: string | undefined) =>
    section === undefined || isPlaceholder(section) || isPlaceholder(section.attestation)
      ? []
      : section.attestation.exceptions.map((exception) => ({ ...exception, service }));
  return [...within(session.security, undefined), ...session.services.flatMap(({ name, security }) => within(security, name))];
}
