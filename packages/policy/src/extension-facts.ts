/** What the extensions of the language allow, in words (`session diff`). */

import { isPlaceholder } from "./normal-parts.ts";
import { scanPlaceholders } from "./placeholder-syntax.ts";
import { IDENTITY_KINDS, scopeOf } from "./secret-scope.ts";
import type { AccessEntry, Secret, Service, Session } from "./session.ts";

type Add = (text: string, key?: string) => void;

const days = (seconds: number): string => (seconds % 86_400 === 0 ? `${seconds / 86_400} days` : `${seconds} seconds`);

/** Facts of one version; `describe` names the people of an access entry. */
export function extensionFacts(session: Session, describe: (entry: AccessEntry) => string, add: Add): void {
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const secret of session.secrets) secretFacts(secret, secrets, describe, add);
  for (const service of session.services) serviceFacts(service, add);
  for (const { name } of session.services.filter((service) => usesOwnIdentity(service, session)))
    add(`each instance of service ${name} has a certificate of its own below the session's CA`);
  const proposals = session.updateProposals;
  if (proposals?.enabled === true) add(`updates may wait ${days(proposals.expiresSeconds)} for missing approvals`);
}

function secretFacts(secret: Secret, secrets: ReadonlyMap<string, Secret>, describe: (entry: AccessEntry) => string, add: Add): void {
  const { name } = secret;
  if (secret.origin === "supplied") {
    for (const entry of secret.suppliedBy) if (entry.kind !== "none") add(`${describe(entry)} may set secret ${name}`);
    if (!secret.required) add(`services start while secret ${name} has no value`);
  }
  if (secret.origin !== "generated") return;
  const scope = scopeOf(secret, secrets);
  if (scope !== "session") add(`secret ${name} has another value for each ${scope}`);
  if ("rotate" in secret && secret.rotate !== undefined) {
    const { everySeconds, keep } = secret.rotate;
    add(`secret ${name} changes every ${days(everySeconds)}; ${keep} earlier ${keep === 1 ? "value stays" : "values stay"} readable`);
  }
  if (secret.kind !== "x509" && secret.kind !== "x509-ca") return;
  if (secret.epochOnUpdate) add(`certificate ${name} gets a new key with each update`);
  const { x509 } = secret;
  if (x509 === undefined) return;
  const subject = x509.subject.map(({ attribute, value }) => `${attribute}=${value}`).join(", ");
  const parts = [
    ...(subject === "" ? [] : [`subject ${subject}`]),
    ...(x509.keyUsage === undefined ? [] : [`usage ${x509.keyUsage.join(", ")}`]),
    ...(x509.extKeyUsage === undefined ? [] : [`purpose ${x509.extKeyUsage.join(", ")}`]),
    ...(x509.permittedDns.length === 0 ? [] : [`names below ${x509.permittedDns.join(", ")} only`]),
    ...(x509.uris.length === 0 ? [] : [`for ${x509.uris.join(", ")}`]),
    ...(x509.notAfter === undefined ? [] : [`until ${x509.notAfter}`]),
    ...(x509.maxPathLength === undefined ? [] : [`at most ${x509.maxPathLength} CAs below it`]),
  ];
  for (const part of parts) add(`certificate ${name}: ${part}`);
}

function serviceFacts({ name, maxActivations, maxRunning, security }: Service, add: Add): void {
  if (maxActivations !== undefined) add(`service ${name} may be started ${maxActivations} times and no more`);
  if (maxRunning !== undefined) add(`service ${name} may run ${maxRunning} times at once and no more`);
  if (security === undefined) return;
  if (isPlaceholder(security)) add(`service ${name} has platform rules of its own: ${security.text}`);
  else {
    if (security.singletonEnclaves === true) add(`each instance of service ${name} is attested once only`);
    if (security.serviceAccessToken !== undefined) add(`service ${name} needs an access token of its own`);
    const rules = security.attestation;
    if (isPlaceholder(rules)) add(`service ${name} has platform rules of its own: ${rules.text}`);
    else {
      const shown = (items: readonly unknown[]) => items.map((item) => (isPlaceholder(item) ? item.text : String(item))).join(", ");
      if (rules.evidence.length > 0) add(`service ${name} accepts evidence of kind ${shown(rules.evidence)} at most`);
      add(`service ${name} tolerates ${rules.tolerate.length === 0 ? "no weakness of the platform" : `${shown(rules.tolerate)} at most`}`);
    }
  }
}

function usesOwnIdentity({ command, environment, imageName }: Service, { images }: Session): boolean {
  const image = images.find(({ name }) => name === imageName);
  const texts = [
    ...command,
    ...environment.map(({ value }) => value),
    ...(image?.injectionFiles.map(({ source }) => (source.kind === "template" ? source.text : "")) ?? []),
  ];
  const names = texts.flatMap(scanPlaceholders).flatMap((found) => (found.kind === "placeholder" ? [found.name] : []));
  return [...names, ...(image?.provideSecrets ?? [])].some((name) => name !== "self::instance_id" && IDENTITY_KINDS.has(name));
}
