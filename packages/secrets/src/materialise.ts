/** From a session's definitions to stored values: generate, migrate, take over, issue (§12, §15). Atomicity is the caller's (SL-158). */
import { X509Certificate } from "node:crypto";
import {
  type ExplicitSecret,
  encodePem,
  type GeneratedSecret,
  type JsonValue,
  keepsValue,
  type Secret,
  type Session,
  type SuppliedValue,
} from "@vouchsafe/policy";
import { CertificateMaker } from "./certificate-maker.ts";
import { generatePgpKey } from "./pgp-key.ts";
import { printableText, type Randomness } from "./randomness.ts";
import type { StoredSecret, StoredSecrets } from "./stored-secret.ts";

export interface MaterialiseOptions {
  readonly now: Date;
  readonly random: Randomness;
  /** The version that is replaced and its values; absent at creation. */
  readonly previous?: { readonly session: Session; readonly values: StoredSecrets } | undefined;
  /** Imported secrets that can be had already, by their own names; certificates that need missing ones stay pending. */
  readonly imports?: StoredSecrets | undefined;
}

export interface Materialised {
  readonly values: StoredSecrets;
  /** Certificates whose key or issuer is an import that is not there yet: issue them with `completeCertificates` at delivery. */
  readonly pending: readonly string[];
  /** For instance a validity that was shortened (SL-133). */
  readonly warnings: readonly string[];
}

/**
 * Values of a new version. Kept from `previous` as §15 says; everything else is fresh, and certificates are always issued anew (SL-135).
 * Throws `SecretError` KEY_MISMATCH or ISSUER_MISMATCH for explicit certificates that do not fit.
 */
export function materialise(session: Session, options: MaterialiseOptions): Materialised {
  const values = new Map<string, StoredSecret>();
  const previous = options.previous;
  const before = new Map(previous?.session.secrets.map((secret) => [secret.name, secret]));
  for (const secret of session.secrets) {
    const earlier = before.get(secret.name);
    const stored = previous?.values.get(secret.name);
    const value =
      earlier !== undefined && stored !== undefined && keepsValue(earlier, secret)
        ? keptValue(secret, stored)
        : freshValue(secret, options);
    if (value !== undefined) values.set(secret.name, value);
  }
  return finish(session, values, options);
}

/** Issues what was pending, now that more imports are known. The values given are not changed. */
export function completeCertificates(session: Session, values: StoredSecrets, options: Omit<MaterialiseOptions, "previous">): Materialised {
  return finish(session, new Map(values), options);
}

/** What is to be made anew now: secrets whose rotation is due, certificates past two thirds of their validity, and all that depends on one of them (SL-134). */
export function certificatesToRenew(session: Session, values: StoredSecrets, now: Date): readonly string[] {
  const due = new Set<string>();
  for (const { name } of session.secrets) {
    const value = values.get(name);
    const renewAfter = value !== undefined && "renewAfter" in value ? value.renewAfter : undefined;
    if (renewAfter !== undefined && new Date(renewAfter) <= now) due.add(name);
  }
  return [...withDependents(session, due)];
}

/** These secrets, and every certificate and public key below one of them. */
function withDependents(session: Session, names: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set(names);
  for (let grown = found.size > 0; grown; ) {
    grown = false;
    for (const secret of session.secrets) {
      if (found.has(secret.name) || !dependsOn(secret, found)) continue;
      found.add(secret.name);
      grown = true;
    }
  }
  return found;
}

/** Is a certificate or public key below one of these keys and CAs? */
function dependsOn(secret: Secret, due: ReadonlySet<string>): boolean {
  if (secret.origin !== "generated") return false;
  if (secret.kind === "public-key") return due.has(secret.privateKey);
  if (secret.kind !== "x509" && secret.kind !== "x509-ca") return false;
  return due.has(secret.privateKey) || (secret.issuer !== undefined && due.has(secret.issuer));
}

/**
 * Issues due certificates again: same subjects and names, new serials, and the same keys unless a key's own rotation is due (SL-134). Rotated secrets keep
 * their earlier values as the definition says. Undefined when nothing is due.
 */
export function renewCertificates(
  session: Session,
  values: StoredSecrets,
  options: Omit<MaterialiseOptions, "previous">,
): Materialised | undefined {
  const due = certificatesToRenew(session, values, options.now);
  if (due.length === 0) return undefined;
  const kept = new Map(values);
  const definitions = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const name of due) {
    const rotated = rotatedValue(definitions.get(name), values.get(name), options);
    if (rotated === undefined) kept.delete(name);
    else kept.set(name, rotated);
  }
  return finish(session, kept, options);
}

/**
 * Values of one service or one instance (extension `scope`), brought up to date: what is due is made anew, as are certificates whose key or issuer outside
 * of the scope is another one now. `session` holds the secrets of that scope alone, `imports` what they may refer to. Returns `values` itself when
 * nothing changed.
 */
export function refreshScope(session: Session, values: StoredSecrets, options: Omit<MaterialiseOptions, "previous">): StoredSecrets {
  const { imports = new Map() } = options;
  const stale = session.secrets.filter((secret) => isStale(secret, values, imports)).map(({ name }) => name);
  const kept = new Map(values);
  for (const name of withDependents(session, new Set(stale))) kept.delete(name);
  const renewed = renewCertificates(session, kept, options)?.values;
  if (renewed !== undefined) return renewed;
  const isMissing = session.secrets.some((secret) => isDerived(secret) && !kept.has(secret.name));
  return isMissing ? completeCertificates(session, kept, options).values : values;
}

const isDerived = (secret: Secret): boolean =>
  secret.origin === "generated" && (secret.kind === "x509" || secret.kind === "x509-ca" || secret.kind === "public-key");

function isStale(secret: Secret, values: StoredSecrets, imports: StoredSecrets): boolean {
  const value = values.get(secret.name);
  if (secret.origin !== "generated" || secret.kind !== "x509" || value?.kind !== "x509") return false;
  const issuer = secret.issuer === undefined ? undefined : imports.get(secret.issuer);
  const key = imports.get(secret.privateKey);
  return (
    (issuer?.kind === "x509-ca" && issuer.certificate !== value.chain[0]) || (key?.kind === "private-key" && key.pem !== value.privateKey)
  );
}

/**
 * Values with one that somebody supplied (extension `supplied_by`): what depends on it is issued anew, a supplied certificate gets its key as soon as
 * the two fit. The values given are not changed.
 */
export function supplyValue(
  session: Session,
  values: StoredSecrets,
  supplied: { readonly name: string; readonly value: SuppliedValue },
  options: Omit<MaterialiseOptions, "previous">,
): Materialised {
  const { name, value } = supplied;
  const kept = new Map(values);
  for (const dependent of withDependents(session, new Set([name]))) kept.delete(dependent);
  kept.set(name, suppliedSecret(value));
  return finish(session, kept, options);
}

function suppliedSecret(value: SuppliedValue): StoredSecret {
  switch (value.kind) {
    case "ascii":
      return { kind: "ascii", text: value.text };
    case "binary":
      return { kind: "binary", hex: value.text };
    case "private-key":
      return { kind: "private-key", keyType: undefined, pem: value.pem };
    case "x509":
    case "x509-ca": {
      const [certificate = "", ...chain] = value.certificates;
      const notAfter = new Date(new X509Certificate(certificate).validTo).toISOString();
      return { kind: value.kind, certificate, chain, privateKey: undefined, renewAfter: undefined, notAfter };
    }
    default:
      return value satisfies never;
  }
}

/** A new value that remembers the old ones; undefined for what is derived or issued. */
function rotatedValue(
  secret: Secret | undefined,
  stored: StoredSecret | undefined,
  { now, random }: Omit<MaterialiseOptions, "previous">,
): StoredSecret | undefined {
  if (secret?.origin !== "generated" || stored === undefined) return undefined;
  const fresh = generateValue(secret, now, random);
  const keep = "rotate" in secret ? (secret.rotate?.keep ?? 0) : 0;
  const history = (value: string, previous: readonly string[] | undefined) => [value, ...(previous ?? [])].slice(0, keep);
  if (fresh?.kind === "ascii" && stored.kind === "ascii") return { ...fresh, previous: history(stored.text, stored.previous) };
  if (fresh?.kind === "binary" && stored.kind === "binary") return { ...fresh, previous: history(stored.hex, stored.previous) };
  if (fresh?.kind === "private-key" && stored.kind === "private-key") return { ...fresh, previous: history(stored.pem, stored.previous) };
  return undefined;
}

/** When a rotating value made at `madeAt` is due. */
function rotationEnd(secret: GeneratedSecret, madeAt: Date): { readonly renewAfter?: string } {
  const rotate = "rotate" in secret ? secret.rotate : undefined;
  return rotate === undefined ? {} : { renewAfter: new Date(madeAt.getTime() + rotate.everySeconds * 1000).toISOString() };
}

/** A value kept over an update follows the rotation of the new definition. */
function keptValue(secret: Secret, stored: StoredSecret): StoredSecret {
  if (secret.origin !== "generated" || !("madeAt" in stored) || stored.madeAt === undefined) return stored;
  const { renewAfter: _, ...rest } = stored;
  return { ...rest, ...rotationEnd(secret, new Date(stored.madeAt)) };
}

function finish(
  session: Session,
  values: Map<string, StoredSecret>,
  { now, random, imports }: Omit<MaterialiseOptions, "previous">,
): Materialised {
  const maker = new CertificateMaker(session, values, imports ?? new Map(), { now, random });
  for (const secret of session.secrets) if (secret.origin === "supplied") maker.attachKey(secret);
  for (const secret of session.secrets) {
    if (secret.origin === "generated" && secret.kind === "public-key") maker.derivePublicKey(secret);
    if ((secret.origin === "generated" || secret.origin === "explicit") && (secret.kind === "x509" || secret.kind === "x509-ca"))
      maker.make(secret.name);
  }
  return { values, pending: maker.pending, warnings: maker.warnings };
}

/** Undefined for what is not stored, or derived afterwards. */
function freshValue(secret: Secret, { now, random }: MaterialiseOptions): StoredSecret | undefined {
  if (secret.origin === "explicit") return explicitValue(secret);
  return secret.origin === "generated" ? generateValue(secret, now, random) : undefined;
}

function explicitValue(secret: ExplicitSecret): StoredSecret | undefined {
  switch (secret.kind) {
    case "ascii":
      return { kind: "ascii", text: secret.value };
    case "binary":
      return { kind: "binary", hex: secret.value };
    case "private-key":
      return { kind: "private-key", keyType: undefined, pem: secret.value };
    case "public-key":
      return { kind: "public-key", pem: secret.value };
    case "config-fragment":
      return { kind: "config-fragment", value: secret.value satisfies JsonValue };
    default:
      return undefined;
  }
}

/** A fresh value of a generated secret; instance- and service-scoped ones are made with this at delivery. */
export function generateValue(secret: GeneratedSecret, now: Date, random: Randomness): StoredSecret | undefined {
  const generation = { madeAt: now.toISOString(), ...rotationEnd(secret, now) };
  switch (secret.kind) {
    case "ascii":
      return { kind: "ascii", text: printableText(secret.size, random), ...generation };
    case "binary":
      return { kind: "binary", hex: random.bytes(secret.size).toHex(), ...generation };
    case "private-key": {
      const der = random.privateKey(secret.keyType).export({ type: "pkcs8", format: "der" });
      return { kind: "private-key", keyType: secret.keyType, pem: encodePem("PRIVATE KEY", der), ...generation };
    }
    case "pgp-key":
      return { kind: "pgp-key", ...generatePgpKey(now, random) };
    default:
      return undefined;
  }
}
