import type { CasIdentity, ExportAnswer, ExportRefusal, ExportRequest, ImportQuery } from "@vouchsafe/protocol";
import { exportedSecret, type Importer, type ImportRefusal } from "@vouchsafe/secrets";
import { type CasContext, committedValues } from "../cas-context.ts";
import { currentKey, type SessionVersion } from "../sessions/session-records.ts";
import { exporterOf } from "../values/resolve-secrets.ts";
import { toSharedValue } from "./shared-value.ts";

const REFUSALS: Readonly<Record<ImportRefusal, ExportRefusal>> = {
  "secret missing": "secret_missing",
  "not exported": "not_exported",
  "hash differs": "hash_differs",
  "kind differs": "kind_differs",
  "no value": "no_value",
};

type Answer = ExportAnswer["answers"][number];

/**
 * What sessions of this CAS export to a session of `peer`, another CAS whose chain was verified (C-33). Only own values: what a session imports
 * itself it cannot pass on, so two CAS that import from each other never wait for each other. Each answer with a value is audited.
 */
export async function exportToCas(context: CasContext, peer: CasIdentity, { importer, imports }: ExportRequest): Promise<ExportAnswer> {
  const asking: Importer = {
    name: importer.session,
    sessionHash: importer.sessionHash,
    cas: { keyHash: peer.casKeyHash, softwareKeyHash: peer.softwareKeyHash },
  };
  const answers: Answer[] = [];
  for (const query of imports) answers.push(await answerQuery(context, query, asking));
  const granted = imports.filter((_, at) => answers[at]?.status === "ok").map(({ session, secret }) => `${session}/${secret}`);
  if (granted.length > 0) {
    await context.audit.record("secrets_exported", { secrets: granted, importer: importer.session, cas_key: peer.casKeyHash });
  }
  return { answers };
}

async function answerQuery(context: CasContext, query: ImportQuery, importer: Importer): Promise<Answer> {
  const source = await context.database.get<SessionVersion>(currentKey(query.session));
  if (source === undefined || !namesCas(source, importer)) return { status: "refused", reason: "not_visible" };
  const exporter = await exporterOf(committedValues(context), source, query.secret);
  if (exporter === undefined) return { status: "refused", reason: "no_value" };
  const request = { secret: query.secret, sessionHash: query.sessionHash ?? undefined, kind: query.kind ?? undefined };
  const found = exportedSecret(exporter, request, importer);
  return found.kind === "ok" ? { status: "ok", value: toSharedValue(found.value) } : { status: "refused", reason: REFUSALS[found.reason] };
}

/** Whoever no export of the session names must not learn that the session exists (hazard C10). */
function namesCas({ session }: SessionVersion, { cas }: Importer): boolean {
  const keys = [cas?.keyHash, cas?.softwareKeyHash];
  return session.secrets.some((secret) => "exports" in secret && secret.exports.some((to) => keys.includes(to.cas?.key.keyHash)));
}
