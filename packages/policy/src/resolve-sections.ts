import { isDeepStrictEqual } from "node:util";
/** Sections whose placeholders are replaced at delivery or when access is decided (SL-77, SL-114, SL-182). */
import { accessPolicy, accessRuleReader, readEntryText } from "./language/access.ts";
import { attestation, platforms } from "./language/attestation.ts";
import { otpSecret, security, serviceSecurity } from "./language/security.ts";
import { accessEntryForm, securityForm, serviceSecurityForm, variantForm } from "./normal-form.ts";
import { isPlaceholder } from "./normal-parts.ts";
import { Context, type Reader } from "./reader.ts";
import { Reporter } from "./reporter.ts";
import type {
  AccessEntry,
  AccessPolicy,
  AttestationVariant,
  JsonValue,
  Operation,
  Placeholder,
  PlatformRules,
  Security,
  Service,
  Session,
} from "./session.ts";
import { SourceText } from "./source-text.ts";
import { jsonToYaml } from "./yaml-json.ts";

/** Value of a secret for a section: text, or any JSON for a fragment. `text` is the placeholder as written, with its format. Undefined: not available. */
export type SectionLookup = (secret: string, text: string) => JsonValue | undefined;

export type Resolved<T> = { readonly kind: "ok"; readonly value: T } | Unresolved;

export interface Unresolved {
  readonly kind: "unresolved";
  readonly reason: string;
  /** A secret is not there; otherwise its value does not fit. */
  readonly missing: boolean;
}

const unresolved = (reason: string, missing = false): Unresolved => ({ kind: "unresolved", reason, missing });

/** Reads a JSON value with a reader of the language; the reason names what is wrong, never the value of a secret. */
function readJson<T>(reader: Reader<T>, value: JsonValue, secretValues: boolean): Resolved<T> {
  const reporter = new Reporter(new SourceText("", "<value>"));
  const read = reader.read({ node: jsonToYaml(value, { start: 0, end: 0 }), parent: undefined, key: undefined }, new Context(reporter));
  if (read !== undefined && reporter.errorCount === 0) return { kind: "ok", value: read };
  const [first] = reporter.diagnostics(true).filter(({ severity }) => severity === "error");
  const what = secretValues ? `a value that is not ${first?.expected ?? "valid"}` : (first?.message ?? "invalid");
  return unresolved(`${first?.path === undefined || first.path === "" ? "" : `${first.path}: `}${what}`);
}

class MissingSecret extends Error {
  readonly secret: string;
  constructor(secret: string) {
    super(secret);
    this.secret = secret;
  }
}

/** Replaces texts that are one placeholder; a list-valued fragment in a list is spliced in (SL-77). */
function replaceIn(value: JsonValue, lookup: SectionLookup): JsonValue {
  if (typeof value === "string") {
    const name = /^\$\$SCONE::([A-Za-z0-9_.~-]+)[^$]*\$\$$/.exec(value)?.[1];
    if (name === undefined) return value;
    const found = lookup(name, value);
    if (found === undefined) throw new MissingSecret(name);
    return found;
  }
  if (typeof value !== "object" || value === null) return value;
  // No section has a list in a list, so a list can only come from a secret.
  if (Array.isArray(value)) return value.flatMap((item: JsonValue): JsonValue | readonly JsonValue[] => replaceIn(item, lookup));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceIn(item, lookup)]));
}

function resolveJson<T>(value: JsonValue, reader: Reader<T>, lookup: SectionLookup): Resolved<T> {
  let replaced: JsonValue;
  try {
    replaced = replaceIn(value, lookup);
  } catch (error) {
    if (!(error instanceof MissingSecret)) throw error;
    return unresolved(`secret ${error.secret} is not available`, true);
  }
  if (JSON.stringify(replaced).includes("$$SCONE:")) return unresolved("a placeholder inside the value of a secret is not replaced");
  return readJson(reader, replaced, true);
}

/**
 * The variants of a service, each resolved or with the reason why it counts as not satisfied (SL-78). A placeholder may stand for several variants.
 */
export function resolveAttestation(service: Service, lookup: SectionLookup): readonly Resolved<AttestationVariant<never>>[] {
  return service.attestation.flatMap((item): Resolved<AttestationVariant<never>>[] => {
    const resolved = resolveJson(isPlaceholder(item) ? item.text : variantForm(item), attestation, lookup);
    if (resolved.kind === "unresolved") return [resolved];
    // No placeholder is left: resolveJson refuses values that hold one.
    return resolved.value.map((value) => ({ kind: "ok", value: value as AttestationVariant<never> }));
  });
}

/** Platforms a service may run on; an empty list admits any. */
export function resolvePlatforms(service: Service, lookup: SectionLookup): Resolved<readonly string[]> {
  if (service.platforms.length === 0) return { kind: "ok", value: [] };
  const resolved = resolveJson(
    service.platforms.map((item) => (isPlaceholder(item) ? item.text : item)),
    platforms,
    lookup,
  );
  // No placeholder is left: resolveJson refuses values that hold one.
  return resolved.kind === "ok" ? { kind: "ok", value: resolved.value as readonly string[] } : resolved;
}

function resolveSection(
  section: Security | Placeholder,
  lookup: SectionLookup,
  { form, reader }: { readonly form: (section: Security) => JsonValue | undefined; readonly reader: Reader<Security> },
): Resolved<Security<never>> {
  const json = isPlaceholder(section) ? section.text : (form(section) ?? {});
  const resolved = resolveJson(json, reader, lookup);
  // No placeholder is left: resolveJson refuses values that hold one.
  return resolved.kind === "ok" ? { kind: "ok", value: resolved.value as Security<never> } : resolved;
}

/** The security section that holds for a service: the session's, made stricter by the service's own (or replaced, if the session lets services relax it). */
export function resolveSecurity(session: Session, service: Service, lookup: SectionLookup): Resolved<Security<never>> {
  const general = resolveSection(session.security, lookup, { form: (section) => securityForm(section), reader: security });
  if (general.kind === "unresolved" || service.security === undefined) return general;
  const own = resolveSection(service.security, lookup, { form: serviceSecurityForm, reader: serviceSecurity });
  if (own.kind === "unresolved") return own;
  return {
    kind: "ok",
    value: general.value.attestation.servicesMayRelax ? relaxed(general.value, own.value) : stricter(general.value, own.value),
  };
}

/** What the service says, with the evidence kinds of the session where it names none. */
function relaxed(general: Security<never>, own: Security<never>): Security<never> {
  return own.attestation.evidence.length > 0
    ? own
    : { ...own, attestation: { ...own.attestation, evidence: general.attestation.evidence } };
}

function stricter(general: Security<never>, own: Security<never>): Security<never> {
  return {
    singletonEnclaves: general.singletonEnclaves || own.singletonEnclaves,
    serviceAccessToken: own.serviceAccessToken ?? general.serviceAccessToken,
    attestation: stricterRules(general.attestation, own.attestation),
  };
}

function stricterRules(general: PlatformRules<never>, own: PlatformRules<never>): PlatformRules<never> {
  const both = <T>(a: readonly T[], b: readonly T[]) => a.filter((item) => b.includes(item));
  const [left, right] = [general.ignoreAdvisories, own.ignoreAdvisories];
  return {
    ...general,
    mode: general.mode === "none" ? own.mode : general.mode,
    tolerate: both(general.tolerate, own.tolerate),
    ignoreAdvisories: left === "*" ? right : right === "*" ? left : both(left, right),
    exceptions: general.exceptions.filter((exception) => own.exceptions.some((other) => isDeepStrictEqual(exception, other))),
    mustBeSgxLocal: general.mustBeSgxLocal || own.mustBeSgxLocal,
    oneTimePasswordSecret: own.oneTimePasswordSecret ?? general.oneTimePasswordSecret,
    evidence: own.evidence.length === 0 ? general.evidence : both(general.evidence, own.evidence),
  };
}

/** The shared secret of one-time passwords for a service, base32; undefined when none is asked for (SL-96). */
export function resolveOtpSecret(service: Service, effective: Security<never>, lookup: SectionLookup): Resolved<string | undefined> {
  const own = service.oneTimePasswordSecret;
  if (own === undefined) return { kind: "ok", value: effective.attestation.oneTimePasswordSecret };
  const resolved = resolveJson(isPlaceholder(own) ? own.text : own, otpSecret, lookup);
  if (resolved.kind === "unresolved") return resolved;
  return typeof resolved.value === "string"
    ? { kind: "ok", value: resolved.value }
    : unresolved("a placeholder inside the value of a secret");
}

/** The rule that governs an operation: defaults applied, placeholders replaced where possible; those left admit nobody (SL-171, SL-182). */
export function accessRule(
  session: Session,
  operation: Operation,
  lookup: SectionLookup,
  { creatorSigned = session.creator?.kind === "signer" } = {},
): readonly AccessEntry[] {
  const policy = resolvePolicy(session.accessPolicy, lookup);
  if (isPlaceholder(policy)) return [policy]; // admits nobody
  const creator: readonly AccessEntry[] = [{ kind: "creator" }];
  // A signer cannot be the creator who reads: reading is authorised per connection (SL-187).
  const read = policy.read ?? (creatorSigned ? [{ kind: "none" }] : creator);
  const update = policy.update ?? creator;
  const rules = { read, update, create_sessions: policy.createSessions ?? update, list_sessions: policy.listSessions ?? read };
  const readOnly = operation === "read" || operation === "list_sessions";
  return rules[operation].map((entry) => resolveEntry(entry, readOnly, lookup));
}

/** The placeholder as it is where its secret is missing or no access policy. */
function resolvePolicy(policy: AccessPolicy | Placeholder, lookup: SectionLookup): AccessPolicy | Placeholder {
  if (!isPlaceholder(policy)) return policy;
  const value = lookup(policy.secret, policy.text);
  if (value === undefined) return policy;
  const read = readJson(accessPolicy, value, true);
  return read.kind === "ok" && !isPlaceholder(read.value) ? read.value : policy;
}

/** An entry with its placeholders replaced, as far as their secrets are there. */
export function resolveEntry(entry: AccessEntry, readOnly: boolean, lookup: SectionLookup): AccessEntry {
  if (entry.kind === "all" || entry.kind === "at-least")
    return { ...entry, entries: entry.entries.map((one) => resolveEntry(one, readOnly, lookup)) };
  if (entry.kind !== "placeholder") return entry;
  const value = lookup(entry.secret, entry.text);
  if (value === undefined) return entry;
  if (typeof value === "string") {
    const read = readEntryText(value);
    return "problem" in read ? entry : read;
  }
  const entries = readJson(accessRuleReader(readOnly), value, true);
  return entries.kind === "ok" ? { kind: "at-least", count: 1, entries: entries.value } : entry;
}

/** JSON of a rule, for display. */
export function accessRuleForm(rule: readonly AccessEntry[]): JsonValue {
  return rule.map(accessEntryForm);
}
