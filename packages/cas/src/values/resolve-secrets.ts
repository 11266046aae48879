import { type ImportedSecret, isWithin, type Secret } from "@vouchsafe/policy";
import { completeCertificates, type StoredSecret, systemRandomness } from "@vouchsafe/secrets";
import { secretMap } from "../sessions/make-values.ts";
import { currentKey, type SessionValues, type SessionVersion, valuesKey } from "../sessions/session-records.ts";
import type { RowKey } from "../store/row-store.ts";

/** Reads committed or pending values. */
export interface Reader {
  get<T>(key: RowKey): Promise<T | undefined>;
}

/** What the secrets of one version are worth at this moment. A name is in one of the two. */
export interface ResolvedSecrets {
  readonly values: ReadonlyMap<string, StoredSecret>;
  /** Why there is no value; fatal for the services that use it, and for those only (SL-145). */
  readonly problems: ReadonlyMap<string, string>;
}

/** Own values, and imports as their exporters have them now (SL-149). Certificates whose issuer or key is imported are issued here. */
export async function resolveSecrets(reader: Reader, version: SessionVersion, now: Date): Promise<ResolvedSecrets> {
  const stored = await reader.get<SessionValues>(valuesKey(version.name));
  const own = stored === undefined ? new Map<string, StoredSecret>() : secretMap(stored);
  const imports = new Map<string, StoredSecret>();
  const problems = new Map<string, string>();
  for (const secret of version.session.secrets) {
    if (secret.origin === "imported") {
      const found = await importSecret(reader, version, secret);
      if (typeof found === "string") problems.set(secret.name, found);
      else imports.set(secret.name, found);
    } else if (secret.origin === "supplied" && !own.has(secret.name)) {
      problems.set(secret.name, "its value has not been supplied yet");
    }
  }
  const needsImports =
    imports.size > 0 && version.session.secrets.some((secret) => isGeneratedCertificate(secret) && !own.has(secret.name));
  const completed = needsImports ? completeCertificates(version.session, own, { now, random: systemRandomness, imports }).values : own;
  for (const secret of version.session.secrets) {
    if (!isGeneratedCertificate(secret) || completed.has(secret.name)) continue;
    problems.set(secret.name, "its issuer or its private key is an import that cannot be read");
  }
  return { values: new Map([...completed, ...imports]), problems };
}

const isGeneratedCertificate = (secret: Secret): boolean =>
  secret.origin === "generated" && (secret.kind === "x509" || secret.kind === "x509-ca");

/** Value of an import, or why there is none (SL-145 to SL-148). Both sides must name each other; pinned hashes hold on both sides. */
async function importSecret(reader: Reader, importer: SessionVersion, secret: ImportedSecret): Promise<StoredSecret | string> {
  const { session: sourceName, secret: exportedName, sessionHash, cas } = secret.import;
  if (cas !== undefined) return "it is imported from another CAS, which this CAS does not do";
  const source = await reader.get<SessionVersion>(currentKey(sourceName));
  if (source === undefined) return `session ${sourceName} does not exist`;
  if (sessionHash !== undefined && sessionHash !== source.hash) return `session ${sourceName} does not have the hash ${sessionHash}`;
  const exported = source.session.secrets.find(({ name }) => name === exportedName);
  if (exported === undefined) return `session ${sourceName} has no secret ${exportedName}`;
  if (exported.origin === "imported")
    return `secret ${exportedName} of session ${sourceName} is itself an import and cannot be exported again`;
  if (!isExportedTo(exported, importer)) return `session ${sourceName} does not export ${exportedName} to ${importer.name}`;
  if (secret.kind !== undefined && exported.kind !== secret.kind) {
    return `secret ${exportedName} of session ${sourceName} is of kind ${exported.kind ?? "unknown"}, expected ${secret.kind}`;
  }
  const stored = await reader.get<SessionValues>(valuesKey(sourceName));
  const value = stored?.secrets[exportedName];
  if (value === undefined) return `secret ${exportedName} of session ${sourceName} has no value yet`;
  if (value.kind !== "x509" && value.kind !== "x509-ca") return value;
  return hasKeyFor(exported, source, importer) ? value : { ...value, privateKey: undefined };
}

function isExportedTo(secret: Secret, importer: SessionVersion): boolean {
  if (!("exports" in secret)) return false;
  return secret.exports.some(({ scope, target, sessionHash, cas }) => {
    if (cas !== undefined) return false;
    if (sessionHash !== undefined && sessionHash !== importer.hash) return false;
    return scope === "session" ? target === importer.name : isWithin(importer.name, target);
  });
}

/** SL-147: the key comes along only if it is exported to the same importer. */
function hasKeyFor(certificate: Secret, source: SessionVersion, importer: SessionVersion): boolean {
  if (!("privateKey" in certificate) || certificate.privateKey === undefined) return false;
  const key = source.session.secrets.find(({ name }) => name === certificate.privateKey);
  return key !== undefined && isExportedTo(key, importer);
}
