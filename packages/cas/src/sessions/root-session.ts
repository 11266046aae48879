import { parseSession, type Session, sessionHash } from "@vouchsafe/policy";
import type { Transaction } from "../database/transaction.ts";
import type { RowKey } from "../store/row-store.ts";
import { currentKey, type SessionVersion } from "./session-records.ts";

/**
 * The root namespace as long as nobody has claimed it (SL-41): everybody may create top-level sessions. It can be claimed by an update
 * before any other session exists; creating another one first seals it for ever.
 */
const DEFAULT_TEXT = 'version: "0.3"\nname: /\naccess_policy: {read: ANY, update: ANY, create_sessions: ANY, list_sessions: NONE}\n';

export const ROOT_NAME = "/";
const SEAL_KEY: RowKey = { kind: "root", id: "sealed" };

export const DEFAULT_ROOT: SessionVersion = defaultRoot();

/** Current version of the root session. */
export async function readRoot(tx: Pick<Transaction, "get">): Promise<SessionVersion> {
  return (await tx.get<SessionVersion>(currentKey(ROOT_NAME))) ?? DEFAULT_ROOT;
}

export async function isRootSealed(tx: Pick<Transaction, "get">): Promise<boolean> {
  return (await tx.get(SEAL_KEY)) !== undefined;
}

/** Called in the transaction that creates the first session (C-29). A claimed root needs no seal. */
export async function sealRoot(tx: Transaction): Promise<void> {
  if ((await tx.get(currentKey(ROOT_NAME))) !== undefined || (await isRootSealed(tx))) return;
  tx.put(SEAL_KEY, { sealed: true });
}

function defaultRoot(): SessionVersion {
  const { session } = parseSession(DEFAULT_TEXT, { file: "root" });
  if (session === undefined) throw new TypeError("the default root session is not valid");
  return version(session);
}

function version(session: Session): SessionVersion {
  return {
    name: ROOT_NAME,
    hash: sessionHash(session),
    session,
    uploader: { kind: "signers", keyHashes: [], publicKeys: [] },
    uploadedAt: "1970-01-01T00:00:00.000Z",
    isHashPublic: true,
  };
}
