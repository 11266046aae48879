import {
  type AttestationVariant,
  type Resolved,
  resolveAttestation,
  resolveOtpSecret,
  resolvePlatforms,
  resolveSecurity,
  type Security,
  type Service,
  type Session,
} from "@vouchsafe/policy";
import { type SecretSource, sectionLookup, ValueError } from "../values/secret-source.ts";

/** What one service must prove, with every placeholder replaced. */
export interface ServiceRules {
  readonly variants: readonly Resolved<AttestationVariant<never>>[];
  readonly platforms: readonly string[];
  /** The session's section, made stricter by the service's own. */
  readonly security: Security<never>;
  /** Base32. */
  readonly oneTimePasswordSecret: string | undefined;
}

/** Replaces placeholders and reads the result by the rules of the language (SL-77). Throws ValueError, but not for a variant (SL-78). */
export function readServiceRules(session: Session, service: Service, source: SecretSource): ServiceRules {
  const lookup = sectionLookup(source);
  const security = orThrow("security", resolveSecurity(session, service, lookup));
  return {
    variants: resolveAttestation(service, lookup),
    platforms: orThrow("platforms", resolvePlatforms(service, lookup)),
    security,
    oneTimePasswordSecret: orThrow("one-time password secret", resolveOtpSecret(service, security, lookup)),
  };
}

function orThrow<T>(what: string, resolved: Resolved<T>): T {
  if (resolved.kind === "ok") return resolved.value;
  throw new ValueError(`${what}: ${resolved.reason}`);
}
