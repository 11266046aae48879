import { hash } from "node:crypto";
import { type ImportedSecret, type Secret, type SecretKind, type Session, secretsOfScope, type VaultSecret } from "@vouchsafe/policy";
import {
  certificatesToRenew,
  completeCertificates,
  type Exporter,
  exportedSecret,
  type StoredSecret,
  systemRandomness,
} from "@vouchsafe/secrets";
import { importProblem } from "../imports/import-problem.ts";
import type { RemoteImports } from "../imports/remote-imports.ts";
import { secretMap } from "../sessions/make-values.ts";
import {
  currentKey,
  type IssuedBelowImports,
  issuedKey,
  type SessionValues,
  type SessionVersion,
  valuesKey,
} from "../sessions/session-records.ts";
import type { Reader, RowKey } from "../store/row-store.ts";
import { KeptValuesError } from "../vaults/kept-values.ts";

/** Where values come from: rows of this CAS, what other CAS were last heard to export, and what vaults hold. */
export interface ValueSource {
  /** Throws KeptValuesError for values that a session keeps elsewhere and that cannot be had. */
  readonly rows: Reader;
  readonly remote: Pick<RemoteImports, "find">;
  readonly vaults: VaultSource;
}

export interface VaultSource {
  /** The value of a secret in a vault, or why there is none. `keys` are values that may decrypt it. */
  find(version: SessionVersion, secret: VaultSecret, keys: ReadonlyMap<string, StoredSecret>): Promise<StoredSecret | string>;
}

/** What the secrets of one version are worth at this moment. A name is in one of the two. */
export interface ResolvedSecrets {
  readonly values: ReadonlyMap<string, StoredSecret>;
  /** Secrets that may stay without a value, and have none: their placeholders give nothing (`required: false`). */
  readonly empty?: ReadonlyMap<string, SecretKind> | undefined;
  /** Why there is no value; fatal for the services that use it, and for those only (SL-145). */
  readonly problems: ReadonlyMap<string, string>;
  /** Certificates below imports that were issued just now: to be kept, so that the next one to ask gets the same (SL-104). */
  readonly toKeep?: IssuedBelowImports | undefined;
}

/** Values that all services share: own ones, and imports as their exporters have them now (SL-149). Certificates whose issuer or key is imported are issued here. */
export async function resolveSecrets(source: ValueSource, version: SessionVersion, now: Date): Promise<ResolvedSecrets> {
  const from = { ...source, rows: readOnce(source.rows) };
  const stored = await from.rows.get<SessionValues>(valuesKey(version.name));
  const own = stored === undefined ? new Map<string, StoredSecret>() : secretMap(stored);
  const session = secretsOfScope(version.session, "session");
  const imports = new Map<string, StoredSecret>();
  const problems = new Map<string, string>();
  const empty = new Map<string, SecretKind>();
  for (const secret of session.secrets) {
    if (secret.origin === "imported") {
      const found = await importSecret(from, version, secret);
      if (typeof found === "string") problems.set(secret.name, found);
      else imports.set(secret.name, found);
    } else if (secret.origin === "supplied" && !own.has(secret.name)) {
      if (secret.required)
        problems.set(secret.name, `its value has not been supplied yet: session secret set ${version.name} ${secret.name}`);
      else empty.set(secret.name, secret.kind);
    }
  }
  for (const secret of session.secrets) {
    if (secret.origin !== "vault") continue;
    const found = await from.vaults.find(version, secret, new Map([...own, ...imports]));
    if (typeof found === "string") problems.set(secret.name, found);
    else imports.set(secret.name, found);
  }
  const needsImports = imports.size > 0 && session.secrets.some((secret) => isGeneratedCertificate(secret) && !own.has(secret.name));
  const issued = needsImports ? await issueBelowImports(from, version, { session, own, imports, now }) : undefined;
  const completed = issued?.values ?? own;
  for (const secret of session.secrets) {
    if (!isGeneratedCertificate(secret) || completed.has(secret.name)) continue;
    problems.set(
      secret.name,
      "its issuer or its private key has no value yet: an import that cannot be read, or one that is to be supplied",
    );
  }
  return { values: new Map([...completed, ...imports]), empty, problems, toKeep: issued?.toKeep };
}

/** Each row as it was when it was first asked for: two imports from one session are of the same version of it, whatever is uploaded meanwhile. */
function readOnce(rows: Reader): Reader {
  const asked = new Map<string, Promise<unknown>>();
  return {
    get: <T>(key: RowKey): Promise<T | undefined> => {
      const name = `${key.kind} ${key.id}`;
      const known = asked.get(name) ?? rows.get(key);
      asked.set(name, known);
      return known as Promise<T | undefined>; // a kind's values are written by the one module that reads them
    },
  };
}

interface ImportedInputs {
  readonly session: Session;
  readonly own: ReadonlyMap<string, StoredSecret>;
  readonly imports: ReadonlyMap<string, StoredSecret>;
  readonly now: Date;
}

/** Certificates as they were kept, as long as what they are below is the same and they are not due (SL-134); the others are issued. */
async function issueBelowImports({ rows }: ValueSource, { name, hash: sessionHash }: SessionVersion, inputs: ImportedInputs) {
  const { session, own, imports, now } = inputs;
  const digest = hash("sha256", JSON.stringify([...imports].toSorted(([a], [b]) => (a < b ? -1 : 1))));
  const row = await rows.get<IssuedBelowImports>(issuedKey(name));
  const isSame = row?.sessionHash === sessionHash && row.imports === digest;
  const kept = new Map([...own, ...Object.entries(isSame ? row.secrets : {})]);
  for (const due of certificatesToRenew(session, kept, now)) if (!own.has(due)) kept.delete(due);
  const { values } = completeCertificates(session, kept, { now, random: systemRandomness, imports });
  if (values.size === kept.size) return { values, toKeep: undefined };
  const secrets = Object.fromEntries([...values].filter(([secret]) => !own.has(secret)));
  return { values, toKeep: { sessionHash, imports: digest, secrets } };
}

/** Can anything of this version be below a value of somebody else? */
export const importsAnything = ({ session }: SessionVersion): boolean =>
  session.secrets.some(({ origin }) => origin === "imported" || origin === "vault");

/** Has a version that imports something certificates that no update makes, because they are below imports? */
export function hasCertificatesBelowImports({ session }: SessionVersion, values: SessionValues | undefined): boolean {
  const { secrets } = secretsOfScope(session, "session");
  return secrets.some((secret) => isGeneratedCertificate(secret) && values?.secrets[secret.name] === undefined);
}

const isGeneratedCertificate = (secret: Secret): boolean =>
  secret.origin === "generated" && (secret.kind === "x509" || secret.kind === "x509-ca");

/** Value of an import, or why there is none (SL-145 to SL-148). Both sides must name each other; pinned hashes hold on both sides. */
async function importSecret(from: ValueSource, importer: SessionVersion, secret: ImportedSecret): Promise<StoredSecret | string> {
  const { session, secret: wanted, sessionHash, cas } = secret.import;
  if (cas !== undefined) return from.remote.find(importer, secret);
  const source = await from.rows.get<SessionVersion>(currentKey(session));
  if (source === undefined) return `session ${session} does not exist`;
  const exporter = await exporterOf(from, source, wanted);
  if (exporter === undefined) return `the values of session ${session} cannot be read from the vault where it keeps them`;
  const request = { secret: wanted, sessionHash, kind: secret.kind };
  const found = exportedSecret(exporter, request, { name: importer.name, sessionHash: importer.hash });
  return found.kind === "ok" ? found.value : importProblem(found.reason, { session, secret: wanted, importer: importer.name });
}

/** A session with its values, for one secret that somebody wants of it. Undefined when they cannot be had at this moment. */
export async function exporterOf(from: ValueSource, source: SessionVersion, wanted: string): Promise<Exporter | undefined> {
  const { session } = source;
  const stored = await from.rows.get<SessionValues>(valuesKey(source.name)).catch((error: unknown) => {
    if (error instanceof KeptValuesError) return null;
    throw error;
  });
  if (stored === null) return undefined;
  const values = new Map(stored === undefined ? [] : secretMap(stored));
  const definition = session.secrets.find(({ name }) => name === wanted);
  if (definition?.origin === "vault" && definition.exports.length > 0) {
    const found = await from.vaults.find(source, definition, values);
    if (typeof found !== "string") values.set(wanted, found);
  }
  return { session, sessionHash: source.hash, values };
}
