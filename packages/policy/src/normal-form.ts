/** The normal form of a session (SL-50): a JSON value with the language's own keys, without defaults, synonyms and spellings. */
import { minimumSvnWord, tcbWord } from "./hardware-words.ts";
import { DEFAULT_PERMISSION } from "./language/images.ts";
import { DEFAULT_MIN_RSA_BITS } from "./language/security.ts";
import { type Form, form, listForm, placeholderOr, referenceForm } from "./normal-parts.ts";
import { secretForm } from "./normal-secrets.ts";
import { PolicyError } from "./policy-error.ts";
import {
  type AccessEntry,
  type AccessPolicy,
  type AttestationVariant,
  type Creator,
  DEFAULT_EVIDENCE_KINDS,
  type HardwareFacts,
  type Image,
  type JsonValue,
  type Placeholder,
  type PlatformException,
  type PlatformRules,
  type Security,
  type Service,
  type Session,
  type SignerFactor,
  type Volume,
} from "./session.ts";

export interface CreatorOption {
  /** Who uploads or signs, for documents that do not name their creator (SL-53). */
  readonly creator?: Creator | undefined;
}

/**
 * Normal form of a session; `unknownCreator: "omit"` is for display only, never for hashing. Throws `PolicyError` CREATOR_NEEDED when an access rule refers to the creator and neither the document nor the option names it.
 */
export function normaliseSession(
  session: Session,
  { creator, unknownCreator }: CreatorOption & { readonly unknownCreator?: "omit" } = {},
): { readonly [key: string]: JsonValue } {
  const known = session.creator ?? creator;
  const refersToCreator = refersToSessionCreator(session, known);
  if (refersToCreator && known === undefined && unknownCreator === undefined) {
    throw new PolicyError(
      "CREATOR_NEEDED",
      `the access policy of session ${session.name} refers to CREATOR, and the document does not say who that is`,
      {
        rule: "SL-53",
        remedy: "Give --with-self-as-creator tls or signer, or name keys instead of CREATOR.",
      },
    );
  }
  return form({
    version: session.version,
    name: session.name,
    namespace_hash: session.namespaceHash,
    predecessor: session.predecessor,
    salt: session.salt,
    creator: refersToCreator && known !== undefined ? creatorForm(known) : undefined,
    services: listForm(session.services, serviceForm),
    secrets: listForm(session.secrets, (secret) => secretForm(secret, accessEntryForm)),
    secret_config: storeForm(session),
    volumes: listForm(session.volumes, volumeForm),
    images: listForm(session.images, imageForm),
    access_policy: placeholderOr(session.accessPolicy, accessPolicyForm),
    security: placeholderOr(session.security, (section) => securityForm(section)),
    update_proposals: session.updateProposals && {
      enabled: session.updateProposals.enabled,
      expires: session.updateProposals.expiresSeconds,
    },
    roles: listForm(session.roles, ({ name, members, may }) => ({
      name,
      members: members.map(accessEntryForm),
      may: may.map(({ action, names }) => ({ [action]: names })),
    })),
  });
}

function creatorForm(creator: Creator): JsonValue {
  return creator.kind === "signer" ? { signer: creator.publicKey } : creator.keyHash;
}

/** The tags of `store_in` have no JSON form: the store is named by the key instead. */
function storeForm({ secretStore }: Session): JsonValue | undefined {
  if (secretStore.kind === "cas") return undefined;
  return { store_in: form({ akv: form({ vault: secretStore.vault, token: secretStore.token?.text }) }) };
}

// --- access -------------------------------------------------------------------------------------------------------------------------

export function accessEntryForm(entry: AccessEntry): JsonValue {
  switch (entry.kind) {
    case "creator":
      return "CREATOR";
    case "any":
      return "ANY";
    case "none":
      return "NONE";
    case "key":
      return entry.keyHash;
    case "certificate":
      return entry.pem;
    case "signer":
      return { signer: entry.publicKey };
    case "placeholder":
      return entry.text;
    case "all":
      return { "require-all": entry.entries.map(accessEntryForm) };
    case "at-least":
      return { [`require-at-least-${entry.count}`]: entry.entries.map(accessEntryForm) };
    default:
      return entry satisfies never;
  }
}

function accessPolicyForm(policy: AccessPolicy): Form | undefined {
  const read = rule(policy.read);
  const update = rule(policy.update);
  const createSessions = rule(policy.createSessions);
  const listSessions = rule(policy.listSessions);
  return nonEmpty(
    form({
      read: sameOr(read, ["CREATOR"]),
      update: sameOr(update, ["CREATOR"]),
      create_sessions: sameOr(createSessions, update ?? ["CREATOR"]),
      list_sessions: sameOr(listSessions, read ?? ["CREATOR"]),
    }),
  );
}

const rule = (entries: readonly AccessEntry[] | undefined): JsonValue[] | undefined => entries?.map(accessEntryForm);
const sameOr = (value: JsonValue[] | undefined, standard: JsonValue[]) =>
  JSON.stringify(value) === JSON.stringify(standard) ? undefined : value;

function mentionsCreator(entries: readonly AccessEntry[]): boolean {
  return entries.some(
    (entry) => entry.kind === "creator" || ((entry.kind === "all" || entry.kind === "at-least") && mentionsCreator(entry.entries)),
  );
}

/** Does an access rule, written or by default, depend on who the creator is? A signer can never read (SL-187). */
function refersToSessionCreator({ accessPolicy, roles, secrets }: Session, creator: Creator | undefined): boolean {
  if (roles.some(({ members }) => mentionsCreator(members))) return true;
  if (secrets.some((secret) => secret.origin === "supplied" && mentionsCreator(secret.suppliedBy))) return true;
  if ("kind" in accessPolicy) return false;
  const { read, update, createSessions, listSessions } = accessPolicy;
  if (read === undefined && creator?.kind !== "signer") return true;
  return (
    update === undefined ||
    [read, update, createSessions, listSessions].some((entries) => entries !== undefined && mentionsCreator(entries))
  );
}

// --- services -----------------------------------------------------------------------------------------------------------------------

function serviceForm(service: Service): Form {
  const { fileSystem } = service;
  return form({
    name: service.name,
    command: service.command,
    environment:
      service.environment.length === 0
        ? undefined
        : Object.fromEntries(service.environment.map(({ name, value, fromHost }) => [fromHost ? `@@${name}` : name, value])),
    pwd: service.pwd,
    image_name: service.imageName,
    attestation: listForm(service.attestation, (variant) => placeholderOr(variant, variantForm)),
    platforms: listForm(service.platforms, text),
    fspf_path: fileSystem?.path,
    fspf_key: fileSystem && text(fileSystem.key),
    fspf_tag: fileSystem?.tag,
    fspf_update_policy: fileSystem?.updatePolicy === "no_rollback_protection" ? fileSystem.updatePolicy : undefined,
    one_time_password_shared_secret: service.oneTimePasswordSecret && text(service.oneTimePasswordSecret),
    security: service.security && (placeholderOr(service.security, serviceSecurityForm) ?? {}),
    max_activations: service.maxActivations,
    max_running: service.maxRunning,
  });
}

const text = (value: string | Placeholder): string => (typeof value === "string" ? value : value.text);

function scalar(value: string | number | boolean | Placeholder): JsonValue {
  return typeof value === "object" ? value.text : value;
}

/** JSON of one attestation variant, also used when its placeholders are replaced at delivery. */
export function variantForm(variant: AttestationVariant): Form {
  return form({
    mrenclave: variant.mrenclave?.map(text),
    signer: variant.signer && placeholderOr(variant.signer, signerForm),
    image: variant.image?.map(text),
    ...(variant.hardware === undefined ? {} : { [variant.hardware.kind]: hardwareForm(variant.hardware) }),
  });
}

function hardwareForm({ kind, values, platform, guestPolicy, minimumTcb, minimumSvn }: HardwareFacts): Form {
  const spell = (name: string) => (value: string | Placeholder) => (name === "vmpl" ? scalar(Number(value)) : text(value));
  const facts = Object.entries(values).map(([name, accepted]) => [name, accepted.map(spell(name))] as const);
  const registers = facts.flatMap(([name, accepted]) => (name.startsWith("pcr") ? [[name.slice(3), accepted] as const] : []));
  return form({
    ...Object.fromEntries(facts.filter(([name]) => !name.startsWith("pcr"))),
    pcrs: nonEmpty(form(Object.fromEntries(registers))),
    platform: platform?.map(text),
    guest_policy: guestPolicy?.map(text),
    minimum_tcb: nonEmpty(form(Object.fromEntries(Object.entries(minimumTcb).map(([part, least]) => [tcbWord(part), least])))),
    ...(minimumSvn === undefined ? {} : { [minimumSvnWord(kind)]: minimumSvn }),
  });
}

function signerForm(signer: SignerFactor): Form {
  const optional = (value: number | Placeholder | undefined) => (value === undefined ? undefined : scalar(value));
  return form({
    mrsigner: text(signer.mrsigner),
    isvprodid: scalar(signer.isvprodid),
    isvsvn: optional(signer.isvsvn),
    isvsvn_min: optional(signer.isvsvnMin),
    isvsvn_max: optional(signer.isvsvnMax),
  });
}

export const serviceSecurityForm = (security: Security): Form | undefined => securityForm(security, []);

/** `defaultEvidence`: the kinds that need not be written. */
export function securityForm(security: Security, defaultEvidence: PlatformRules["evidence"] = DEFAULT_EVIDENCE_KINDS): Form | undefined {
  const attestation = placeholderOr(security.attestation, (rules) => platformRulesForm(rules, defaultEvidence));
  return nonEmpty(
    form({
      singleton_enclaves: security.singletonEnclaves === false ? undefined : scalar(security.singletonEnclaves),
      service_access_token: security.serviceAccessToken && text(security.serviceAccessToken),
      attestation,
    }),
  );
}

const exceptionForm = ({ tolerate, ignoreAdvisories, until, because }: PlatformException): Form =>
  form({ tolerate: listForm(tolerate, text), ignore_advisories: listForm(ignoreAdvisories, text), until, because });

function platformRulesForm(rules: PlatformRules, defaultEvidence: PlatformRules["evidence"]): Form | undefined {
  const evidenceIsDefault = JSON.stringify(rules.evidence) === JSON.stringify(defaultEvidence);
  const { ignoreAdvisories } = rules;
  const advisories =
    typeof ignoreAdvisories === "string"
      ? ignoreAdvisories
      : "kind" in ignoreAdvisories
        ? ignoreAdvisories.text
        : listForm(ignoreAdvisories, text);
  return nonEmpty(
    form({
      mode: rules.mode === "hardware" ? undefined : text(rules.mode),
      tolerate: listForm(rules.tolerate, text),
      ignore_advisories: advisories,
      exceptions: listForm(rules.exceptions, exceptionForm),
      must_be_sgx_local: rules.mustBeSgxLocal === false ? undefined : scalar(rules.mustBeSgxLocal),
      one_time_password_shared_secret: rules.oneTimePasswordSecret && text(rules.oneTimePasswordSecret),
      url: rules.url && text(rules.url),
      certificates: listForm(rules.certificates, text),
      min_rsa_signing_key_size: rules.minRsaSigningKeySize === DEFAULT_MIN_RSA_BITS ? undefined : scalar(rules.minRsaSigningKeySize),
      trusted_scone_qe_pubkeys: listForm(rules.trustedQeKeys, text),
      evidence: evidenceIsDefault ? undefined : rules.evidence.map(text),
      services_may_relax: rules.servicesMayRelax === false ? undefined : scalar(rules.servicesMayRelax),
    }),
  );
}

function nonEmpty(value: Form): Form | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

// --- volumes, images ----------------------------------------------------------------------------------------------------------------

function volumeForm({ name, source, exports }: Volume): Form {
  const exported = listForm(exports, ({ to, updatePolicy, alias }) =>
    form({ to: referenceForm(to), update_policy: updatePolicy === "rollback_protected" ? undefined : updatePolicy, volume_alias: alias }),
  );
  if (source.kind === "import") {
    const volume = source.volume === name ? undefined : source.volume;
    return form({ name, import: form({ session: source.session, volume, session_hash: source.sessionHash }) });
  }
  if (source.kind === "explicit") return form({ name, fspf_key: text(source.key), fspf_tag: source.tag, export: exported });
  return form({ name, files: source.files === "encrypted" ? undefined : source.files, export: exported });
}

function imageForm({ name, volumes, injectionFiles, provideSecrets }: Image): Form {
  return form({
    name,
    volumes: listForm(volumes, ({ name: volume, path, updatePolicy }) =>
      form({ name: volume, path, update_policy: updatePolicy === "rollback_protected" ? undefined : updatePolicy }),
    ),
    injection_files: listForm(injectionFiles, ({ path, source, permission }) =>
      form({
        path,
        content: source.kind === "template" ? source.text : undefined,
        content_base64: source.kind === "raw" ? source.base64 : undefined,
        permission: permission === DEFAULT_PERMISSION ? undefined : permission,
      }),
    ),
    provide_secrets: provideSecrets,
  });
}
