/** SL-77: what stands in a fragment of this very document is checked where it is used. */

import { isPlaceholder } from "../normal-parts.ts";
import { scanPlaceholders } from "../placeholder-syntax.ts";
import { type Context, child, type Place } from "../reader.ts";
import { placeholderMeaning } from "../render-placeholders.ts";
import { type Resolved, resolveAttestation, resolvePlatforms, resolveSecurity, type SectionLookup } from "../resolve-sections.ts";
import type { Session } from "../session.ts";

/** Values that stand in the document: fragments and explicit texts. */
export function explicitLookup(session: Session): SectionLookup {
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  return (_name, text) => {
    const [placeholder] = scanPlaceholders(text);
    if (placeholder?.kind !== "placeholder") return undefined;
    const meaning = placeholderMeaning(placeholder, (name) => secrets.has(name));
    const secret = meaning && secrets.get(meaning.secret);
    if (secret?.origin !== "explicit") return undefined;
    if (secret.kind === "config-fragment" || secret.kind === "ascii") return secret.value;
    return secret.kind === "binary" && (meaning?.format === "hex" || meaning?.format === ".hex") ? secret.value : undefined;
  };
}

export function checkFragments(session: Session, context: Context): void {
  if (!context.sites.some(({ target }) => target === "section")) return;
  const lookup = explicitLookup(session);
  for (const service of session.services) {
    const place = context.placeOf(service);
    for (const resolved of resolveAttestation(service, lookup)) report(resolved, child(place, "attestation"), context);
    if (service.platforms.some(isPlaceholder)) report(resolvePlatforms(service, lookup), child(place, "platforms"), context);
    if (service.security !== undefined) report(resolveSecurity(session, service, lookup), child(place, "security"), context);
  }
  if (isPlaceholder(session.security)) {
    const [service] = session.services;
    if (service !== undefined)
      report(resolveSecurity(session, { ...service, security: undefined }, lookup), child(context.placeOf(session), "security"), context);
  }
}

function report(resolved: Resolved<unknown>, place: Place, context: Context): void {
  if (resolved.kind === "ok" || resolved.missing) return;
  context.error(place, { rule: "SL-77", message: `with the fragment in place: ${resolved.reason}`, expected: "a fragment that fits here" });
}
