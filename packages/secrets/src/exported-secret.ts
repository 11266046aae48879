/** What one session gives to another (§13.2): both sides must agree, and pinned hashes must be the current ones. */
import { isWithin, type SecretKind, type Session, type SessionReference } from "@vouchsafe/policy";
import type { StoredSecret, StoredSecrets } from "./stored-secret.ts";

/** The session that asks, as the CAS knows it. */
export interface Importer {
  readonly name: string;
  /** Current hash of the importing session. */
  readonly sessionHash: string;
  /** Present when the importer lives on another CAS, whose keys were verified on the connection. */
  readonly cas?: { readonly keyHash: string; readonly softwareKeyHash: string | undefined } | undefined;
}

export interface Exporter {
  readonly session: Session;
  readonly sessionHash: string;
  readonly values: StoredSecrets;
}

export interface ImportRequest {
  readonly secret: string;
  /** The exporter must have this hash (SL-144). */
  readonly sessionHash: string | undefined;
  /** What the importing document says it is, if anything. */
  readonly kind: SecretKind | undefined;
}

export type ImportRefusal = "secret missing" | "not exported" | "hash differs" | "kind differs" | "no value";
export type ExportedSecret =
  | { readonly kind: "ok"; readonly value: StoredSecret }
  | { readonly kind: "refused"; readonly reason: ImportRefusal };

const refused = (reason: ImportRefusal): ExportedSecret => ({ kind: "refused", reason });

/** The value an importer gets, or why it gets none (SL-145). A certificate comes without its key unless that key is exported to the importer too (SL-147). */
export function exportedSecret(exporter: Exporter, request: ImportRequest, importer: Importer): ExportedSecret {
  const definition = exporter.session.secrets.find(({ name }) => name === request.secret);
  if (definition === undefined) return refused("secret missing");
  const admission = admissionOf(exporter.session, request.secret, importer);
  if (admission !== "ok") return refused(admission);
  if (request.sessionHash !== undefined && request.sessionHash !== exporter.sessionHash) return refused("hash differs");
  const value = exporter.values.get(request.secret);
  if (value === undefined) return refused("no value");
  if (request.kind !== undefined && request.kind !== value.kind) return refused("kind differs");
  if (value.kind !== "x509" && value.kind !== "x509-ca") return { kind: "ok", value };
  const keyName = privateKeyName(definition);
  const keyComes = keyName !== undefined && admissionOf(exporter.session, keyName, importer) === "ok";
  return { kind: "ok", value: keyComes ? value : { ...value, privateKey: undefined } };
}

function privateKeyName(definition: Session["secrets"][number]): string | undefined {
  return "privateKey" in definition ? definition.privateKey : undefined;
}

function admissionOf(session: Session, secret: string, importer: Importer): "ok" | "not exported" | "hash differs" {
  const definition = session.secrets.find(({ name }) => name === secret);
  if (definition === undefined || !("exports" in definition)) return "not exported";
  let admission: "not exported" | "hash differs" = "not exported";
  for (const reference of definition.exports) {
    if (!namesImporter(reference, importer)) continue;
    if (reference.sessionHash === undefined || reference.sessionHash === importer.sessionHash) return "ok";
    admission = "hash differs";
  }
  return admission;
}

function namesImporter({ scope, target, cas }: SessionReference, importer: Importer): boolean {
  if (scope === "session" ? target !== importer.name : !isWithin(importer.name, target)) return false;
  if (cas === undefined || importer.cas === undefined) return cas === undefined && importer.cas === undefined;
  return cas.key.keyHash === (cas.key.kind === "cas" ? importer.cas.keyHash : importer.cas.softwareKeyHash);
}
