import { exceptionState, listExceptions, type Session } from "@vouchsafe/policy";
import type { SessionUploaded } from "@vouchsafe/protocol";

/** Warnings that need a clock: exceptions that have ended, or end soon (SL-89). */
export function exceptionWarnings(session: Session, now: Date): SessionUploaded["warnings"] {
  return listExceptions(session).flatMap((exception) => {
    const { state, daysLeft } = exceptionState(exception, now);
    if (state === "active") return [];
    const when = state === "ended" ? "has ended" : `ends in ${daysLeft} days`;
    const section = exception.service === undefined ? "security" : `services.${exception.service}.security`;
    const message = `the exception until ${exception.until} ${when}: ${exception.because}`;
    return [{ rule: "SL-89", path: `${section}.attestation.exceptions`, line: 0, column: 0, message }];
  });
}
