/** What an update means, in words: what it allows that was not allowed before, and what it takes away. */

import { explainVariant } from "./explain-attestation.ts";
import { extensionFacts } from "./extension-facts.ts";
import { accessEntryForm, normaliseSession, variantForm } from "./normal-form.ts";
import { isPlaceholder } from "./normal-parts.ts";
import { scanPlaceholders } from "./placeholder-syntax.ts";
import { placeholderMeaning } from "./render-placeholders.ts";
import { accessRule } from "./resolve-sections.ts";
import { type AccessEntry, OPERATIONS, type Secret, type Session } from "./session.ts";
import { sessionChanges } from "./session-changes.ts";
import { type Difference, structuralDifference } from "./structural-difference.ts";

export interface SessionDifference {
  readonly allows: readonly string[];
  readonly takesAway: readonly string[];
  /** What happens to what both versions have: other arguments, fresh values, new keys. */
  readonly changes: readonly string[];
  /** Every difference of the normal forms, secrets masked. */
  readonly details: readonly Difference[];
}

/** A fact about who may do or get what; the key decides whether two versions share it. */
type Facts = ReadonlyMap<string, string>;

/** Compares two versions. Pure: no secret value appears in the result. */
export function diffSessions(before: Session, after: Session): SessionDifference {
  const old = facts(before);
  const now = facts(after);
  return {
    allows: [...now].filter(([key]) => !old.has(key)).map(([, text]) => text),
    takesAway: [...old].filter(([key]) => !now.has(key)).map(([, text]) => text),
    changes: sessionChanges(before, after),
    details: structuralDifference(
      normaliseSession(before, { unknownCreator: "omit" }),
      normaliseSession(after, { unknownCreator: "omit" }),
    ),
  };
}

function facts(session: Session): Facts {
  const found = new Map<string, string>();
  const add = (text: string, key: string = text) => found.set(key, text);
  accessFacts(session, add);
  platformFacts(session, add);
  for (const service of session.services) {
    for (const variant of service.attestation) {
      const key = isPlaceholder(variant) ? variant.text : JSON.stringify(variantForm(variant));
      add(`service ${service.name} may start with ${explainVariant(variant)}`, `start ${service.name} ${key}`);
    }
    if (service.attestation.length === 0) add(`service ${service.name} may start with any program`);
    for (const secret of secretsOf(service, session)) add(`service ${service.name} receives secret ${secret}`);
  }
  for (const secret of session.secrets) sharingFacts(secret, add);
  if (session.secretStore.kind === "akv") add(`values and volume keys are kept, encrypted, in vault ${session.secretStore.vault}`);
  for (const volume of session.volumes) {
    for (const { to, updatePolicy } of volume.exports) add(`volume ${volume.name} goes to session ${to.target} (${updatePolicy})`);
  }
  extensionFacts(session, describeEntry, add);
  for (const { name, members, may } of session.roles) {
    for (const member of members) {
      for (const { action, names } of may)
        add(
          `role ${name}: ${describeEntry(member)} may ${action} ${names.join(", ")}`,
          `role ${name} ${JSON.stringify(accessEntryForm(member))} ${action} ${names.join()}`,
        );
    }
  }
  return found;
}

type Add = (text: string, key?: string) => void;

const WORDS = {
  read: "read the session",
  update: "update the session",
  create_sessions: "create sessions below it",
  list_sessions: "list the sessions below it",
} as const;

function accessFacts(session: Session, add: Add): void {
  for (const operation of OPERATIONS) {
    for (const entry of accessRule(session, operation, () => undefined)) {
      if (entry.kind === "none") continue;
      add(`${describeEntry(entry)} may ${WORDS[operation]}`, `${operation} ${JSON.stringify(accessEntryForm(entry))}`);
    }
  }
}

function describeEntry(entry: AccessEntry): string {
  switch (entry.kind) {
    case "creator":
      return "the creator";
    case "any":
      return "everybody";
    case "none":
      return "nobody";
    case "key":
    case "certificate":
      return `the holder of key ${entry.keyHash}`;
    case "signer":
      return `the holder of signing key ${entry.keyHash}`;
    case "placeholder":
      return `whoever ${entry.text} names`;
    case "all":
      return `together ${entry.entries.map(describeEntry).join(" and ")}`;
    case "at-least":
      return `at least ${entry.count} of ${entry.entries.map(describeEntry).join(", ")}`;
    default:
      return entry satisfies never;
  }
}

function platformFacts({ security }: Session, add: Add): void {
  const rules = isPlaceholder(security) ? security : security.attestation;
  if (isPlaceholder(rules)) {
    add(`platforms are judged by ${rules.text}`);
    return;
  }
  const { mode, tolerate, ignoreAdvisories, exceptions, evidence } = rules;
  const shown = (item: unknown) => (isPlaceholder(item) ? item.text : String(item));
  if (mode !== "hardware") add(`programs are attested with mode ${shown(mode)}`);
  for (const item of tolerate) add(`platforms with ${shown(item)} are tolerated`);
  for (const kind of evidence) add(`evidence of kind ${shown(kind)} is accepted`);
  for (const { tolerate: weaknesses, ignoreAdvisories: advisories, until, because } of exceptions) {
    add(`${[...weaknesses, ...advisories].join(", ")} is accepted until ${until}: ${because}`);
  }
  if (ignoreAdvisories === "*") add("all advisories are ignored, also future ones");
  else if (isPlaceholder(ignoreAdvisories)) add(`advisories named by ${ignoreAdvisories.text} are ignored`);
  else for (const advisory of ignoreAdvisories) add(`advisory ${shown(advisory)} is ignored`);
}

/** Secrets that reach a service through arguments, variables and files. */
function secretsOf(service: Session["services"][number], session: Session): Set<string> {
  const names = new Set(session.secrets.map(({ name }) => name));
  const image = session.images.find(({ name }) => name === service.imageName);
  const texts = [
    ...service.command,
    ...service.environment.map(({ value }) => value),
    ...(image?.injectionFiles.map(({ source }) => (source.kind === "template" ? source.text : "")) ?? []),
  ];
  const found = new Set(image?.provideSecrets);
  for (const placeholder of texts.flatMap(scanPlaceholders)) {
    const meaning = placeholder.kind === "placeholder" ? placeholderMeaning(placeholder, (name) => names.has(name)) : undefined;
    if (meaning !== undefined) found.add(meaning.secret);
  }
  return found;
}

function sharingFacts(secret: Secret, add: Add): void {
  if (secret.origin === "imported") {
    add(`secret ${secret.name} comes from session ${secret.import.session}`);
    return;
  }
  if (secret.kind === "jwt" || secret.kind === "aad-token") return;
  if (secret.origin === "vault") add(`secret ${secret.name} comes from vault ${secret.vault}, as ${secret.secretName}`);
  for (const { scope, target, sessionHash, cas } of secret.exports) {
    const pinned = sessionHash === undefined ? "" : ` while its hash is ${sessionHash.slice(0, 8)}…`;
    const where = scope === "session" ? `session ${target}` : `everything in namespace ${target}`;
    add(`secret ${secret.name} goes to ${where}${cas === undefined ? "" : ` on CAS ${cas.address}`}${pinned}`);
  }
  if (secret.exportPublic) add(`secret ${secret.name} can be read by everybody`);
  if (secret.origin === "generated" && (secret.kind === "x509" || secret.kind === "x509-ca")) {
    const names = secret.san.map(({ kind, value }) => `${kind}:${value}`).join(", ");
    const issuer = secret.issuer === undefined ? "itself" : secret.issuer;
    add(`certificate ${secret.name} is issued by ${issuer}${names === "" ? "" : ` for ${names}`}`);
  }
}

/** The difference as text for people. */
export function renderSessionDifference({ allows, takesAway, changes }: SessionDifference): string {
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? "" : `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`;
  const text = section("The change allows:", allows) + section("The change takes away:", takesAway) + section("Besides:", changes);
  return text === "" ? "The change neither allows nor takes away anything.\n" : text;
}
