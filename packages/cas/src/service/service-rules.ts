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

/** Rules that depend on no secret, by the service they belong to: versions are immutable, so they hold as long as it does. */
const literalRules = new WeakMap<Service, ServiceRules>();

/** Replaces placeholders and reads the result by the rules of the language (SL-77). Throws ValueError, but not for a variant (SL-78). */
export function readServiceRules(session: Session, service: Service, source: SecretSource): ServiceRules {
  const known = literalRules.get(service);
  if (known !== undefined) return known;
  const lookup = sectionLookup(source);
  const security = orThrow("security", resolveSecurity(session, service, lookup));
  const rules = {
    variants: resolveAttestation(service, lookup),
    platforms: orThrow("platforms", resolvePlatforms(service, lookup)),
    security,
    oneTimePasswordSecret: orThrow("one-time password secret", resolveOtpSecret(service, security, lookup)),
  };
  if (!hasPlaceholders(session, service)) literalRules.set(service, rules);
  return rules;
}

function hasPlaceholders(session: Session, service: Service): boolean {
  const { attestation, platforms, security, oneTimePasswordSecret } = service;
  return JSON.stringify([attestation, platforms, security, oneTimePasswordSecret, session.security]).includes('"placeholder"');
}

function orThrow<T>(what: string, resolved: Resolved<T>): T {
  if (resolved.kind === "ok") return resolved.value;
  throw new ValueError(`${what}: ${resolved.reason}`);
}
