import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import { type CreatorOption, normaliseSession } from "./normal-form.ts";
import type { Session } from "./session.ts";

const DOMAIN = "vouchsafe/session/1\0";

/** The session hash, 64 lower-case hex digits (SL-51). Throws like `normaliseSession`. */
export function sessionHash(session: Session, options: CreatorOption = {}): string {
  return createHash("sha256")
    .update(DOMAIN)
    .update(canonicalJson(normaliseSession(session, options)))
    .digest("hex");
}

/** Does this version alone make the hash public (SL-49)? The same holds once any predecessor had a salt, which the caller knows. */
export function hashIsPublic(session: Session): boolean {
  return session.salt !== undefined;
}
