import { isPlaceholder } from "../normal-parts.ts";
import { type Context, child } from "../reader.ts";
import { IDENTITY_KINDS } from "../secret-scope.ts";
import type { Image, Secret, Security, Service, Session } from "../session.ts";
import { didYouMean } from "../spelling.ts";
import { undefinedSecret } from "./check-placeholders.ts";
import { checkShieldVariables } from "./check-shield-variables.ts";

export function checkServices(session: Session, context: Context): void {
  const images = new Set(session.images.map(({ name }) => name));
  const volumes = new Set(session.volumes.map(({ name }) => name));
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const service of session.services) {
    const place = context.placeOf(service);
    if (service.imageName !== undefined && !images.has(service.imageName)) {
      const expected = `one of \`images\` (${listed(images)})`;
      const hint = didYouMean(service.imageName, [...images]);
      context.error(child(place, "image_name"), {
        rule: "SL-61",
        message: `image \`${service.imageName}\` is not defined`,
        expected,
        hint,
      });
    }
    checkAttestationMode(service, session, context);
    checkShieldVariables(service, secrets, context);
  }
  for (const image of session.images) checkImage(image, volumes, secrets, context);
}

const listed = (names: ReadonlySet<string>) => (names.size === 0 ? "none defined" : [...names].slice(0, 12).join(", "));

const rulesOf = (security: Session["security"]) =>
  isPlaceholder(security) || isPlaceholder(security.attestation) ? undefined : security.attestation;

/** SL-62, SL-80, SL-84. With a placeholder in the way the CAS decides. */
function checkAttestationMode(service: Service, session: Session, context: Context): void {
  const place = context.placeOf(service);
  const rules = rulesOf(session.security);
  const mode = rules?.mode;
  const mayBeNone = rules === undefined || isPlaceholder(mode) || mode === "none";
  if (service.attestation.length === 0 && !mayBeNone) {
    const message = `service \`${service.name}\` has no attestation variant`;
    context.errorMissing(place, { rule: "SL-62", message, expected: "`attestation`, or `security.attestation.mode: none`" });
  }
  if (mode === "none" && service.attestation.length > 0) {
    const key = place.node.kind === "map" && place.node.entries.has("mrenclaves") ? "mrenclaves" : "attestation";
    context.errorAtKey(place, key, {
      severity: "warning",
      rule: "SL-80",
      message: "`attestation` has no effect with mode `none`",
      expected: "mode `hardware`",
    });
  }
  const ignoresPlatforms = mode === "none" || mode === "maa" || rules?.mustBeSgxLocal === true;
  if (service.platforms.length > 0 && ignoresPlatforms) {
    const reason = rules?.mustBeSgxLocal === true ? "`must_be_sgx_local`" : `mode \`${String(mode)}\``;
    context.errorAtKey(place, "platforms", {
      severity: "warning",
      rule: "SL-84",
      message: `\`platforms\` has no effect with ${reason}`,
      expected: "it left out",
    });
  }
  if (service.security !== undefined && !isPlaceholder(service.security)) checkStricter(service.security, service, session, context);
}

/** Extension: a service may only ask for more than its session, unless the session says otherwise. */
function checkStricter(own: Security, service: Service, session: Session, context: Context): void {
  const general = rulesOf(session.security);
  const rules = isPlaceholder(own.attestation) ? undefined : own.attestation;
  if (general === undefined || rules === undefined || general.servicesMayRelax !== false) return;
  const beyond = (kept: readonly unknown[], own: readonly unknown[]) =>
    own.find((item) => typeof item === "string" && !kept.some((other) => other === item || isPlaceholder(other)));
  const refuse = (key: "tolerate" | "evidence" | "mode" | "ignore_advisories", rule: string, message: string) =>
    context.error(child(child(child(context.placeOf(service), "security"), "attestation"), key), {
      rule,
      message: `service \`${service.name}\` ${message}`,
      expected: "a stricter section, or `services_may_relax: true` in the session",
    });
  const weakness = beyond(general.tolerate, rules.tolerate);
  if (weakness !== undefined) refuse("tolerate", "SL-91", `tolerates \`${String(weakness)}\`, its session does not`);
  const kind = beyond(general.evidence, rules.evidence);
  if (kind !== undefined) refuse("evidence", "SL-86", `accepts evidence of kind \`${String(kind)}\`, its session does not`);
  if (general.mode === "hardware" && typeof rules.mode === "string" && rules.mode !== "hardware")
    refuse("mode", "SL-88", `is attested with mode \`${rules.mode}\`, its session with \`hardware\``);
  const [listed, given] = [general.ignoreAdvisories, rules.ignoreAdvisories];
  const ignored = given === "*" ? "*" : Array.isArray(given) && Array.isArray(listed) ? beyond(listed, given) : undefined;
  if (listed !== "*" && Array.isArray(listed) && ignored !== undefined)
    refuse("ignore_advisories", "SL-89", `ignores \`${String(ignored)}\`, its session does not`);
}

/** SL-166, SL-170. */
function checkImage(image: Image, volumes: ReadonlySet<string>, secrets: ReadonlyMap<string, Secret>, context: Context): void {
  const place = context.placeOf(image);
  for (const [index, { name }] of image.volumes.entries()) {
    if (volumes.has(name)) continue;
    const expected = `one of \`volumes\` (${listed(volumes)})`;
    const at = child(child(child(place, "volumes"), index), "name");
    context.error(at, { rule: "SL-166", message: `volume \`${name}\` is not defined`, expected, hint: didYouMean(name, [...volumes]) });
  }
  for (const [index, name] of (image.provideSecrets ?? []).entries()) {
    if (!secrets.has(name) && !IDENTITY_KINDS.has(name))
      context.error(child(child(place, "provide_secrets"), index), undefinedSecret(name, secrets, "SL-170"));
  }
}
