import { hashIsPublic, type Session } from "@vouchsafe/policy";
import { type CasContext, pendingValues } from "../cas-context.ts";
import type { Transaction } from "../database/transaction.ts";
import { makeValues } from "./make-values.ts";
import {
  allValues,
  currentKey,
  nextRenewal,
  type SessionValues,
  type SessionVersion,
  type Uploader,
  valuesKey,
  versionKey,
} from "./session-records.ts";

/** Puts an accepted update in the place of the current version: values migrated, made, destroyed (C-30); permission and predecessor are settled. */
export async function replaceVersion(
  context: CasContext,
  tx: Transaction,
  current: SessionVersion,
  { session, hash, uploader }: { readonly session: Session; readonly hash: string; readonly uploader: Uploader },
  more: object = {},
): Promise<void> {
  const { audit, now, vaults } = context;
  const { name } = current;
  const isHashPublic = current.isHashPublic || hashIsPublic(session);
  // Who may update may also bring a new credential, where that of the current version is no longer good.
  const before = await pendingValues(context, tx, [session]).rows.get<SessionValues>(valuesKey(name));
  const { values } = makeValues(session, before && { session: current.session, values: before }, now());
  dropChangedTags(tx, current.session, session);
  storeVersion(tx, { name, hash, session, uploader, uploadedAt: now().toISOString(), isHashPublic });
  await vaults.kept.put(tx, valuesKey(name), { session, hash }, values, nextRenewal(allValues(values)));
  audit.append(tx, "session_updated", { ...auditData(name, hash, isHashPublic, uploader), ...more });
}

export function storeVersion(tx: Transaction, version: SessionVersion): void {
  tx.put(currentKey(version.name), version);
  tx.put(versionKey(version.name, version.hash), version);
}

/** Table of §15: the tracked tag stays as long as key and initial tag do, and with an auto-initialised volume of the same mode. */
function dropChangedTags(tx: Transaction, before: Session, after: Session): void {
  for (const volume of before.volumes) {
    const next = after.volumes.find(({ name }) => name === volume.name);
    if (JSON.stringify(next?.source) !== JSON.stringify(volume.source))
      tx.delete({ kind: "volume-tag", id: `${before.name}\n${volume.name}` });
  }
  for (const service of before.services) {
    const next = after.services.find(({ name }) => name === service.name);
    const isSame =
      next?.fileSystem?.tag === service.fileSystem?.tag &&
      JSON.stringify(next?.fileSystem?.key) === JSON.stringify(service.fileSystem?.key);
    if (!isSame) tx.delete({ kind: "file-system-tag", id: `${before.name}\n${service.name}` });
  }
}

/** Who brought which version, as far as the log may know. */
export function auditData(session: string, hash: string, isHashPublic: boolean, uploader: Uploader): object {
  const by = uploader.kind === "certificate" ? { client: uploader.keyHash } : { signers: uploader.keyHashes };
  return { session, ...(isHashPublic ? { session_hash: hash } : {}), ...by };
}
