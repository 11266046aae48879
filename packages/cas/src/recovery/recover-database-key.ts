import { existsSync } from "node:fs";
import { sessionEncryptionKeyText } from "@vouchsafe/policy";
import { SignedShare } from "@vouchsafe/protocol";
import { ApiError, CasError } from "../cas-error.ts";
import type { ListenAddress } from "../config/availability-config.ts";
import { attestRoutes } from "../http/attest-routes.ts";
import { createClientServer, listenClientServer } from "../http/client-server.ts";
import { jsonBody } from "../http/json-body.ts";
import { bodyText } from "../http/session-routes.ts";
import { statusRoutes } from "../http/status-routes.ts";
import { temporaryIdentity, tlsIdentity } from "../identity/cas-identity.ts";
import { casStatement } from "../identity/cas-statement.ts";
import { OwnEvidence } from "../identity/own-evidence.ts";
import type { OwnPlatform } from "../identity/own-platform.ts";
import type { Log } from "../log-line.ts";
import { type KeyStore, keyStorePath, readKeyStore, type SealedKeys, writeKeyStore } from "../sealing/key-store.ts";
import { instanceKeyText, openPlatformKeyFile, type SealingProvider } from "../sealing/platform-key.ts";
import { isSealedFor, sealForPlatform } from "../sealing/sealed-key.ts";
import { openRowStore, type StoreOptions } from "../store/open-row-store.ts";
import { RowSeal } from "../store/row-seal.ts";
import { STATE_KEY } from "../store/row-store.ts";
import type { Software } from "../version.ts";
import { Recovery } from "./recovery.ts";

export interface RecoveryOptions extends StoreOptions {
  readonly platformKeyPath: string;
  readonly clientListen: ListenAddress;
  readonly altNames?: readonly string[] | undefined;
  readonly software: Software;
  readonly ownPlatform?: OwnPlatform | undefined;
  readonly now: () => Date;
  readonly log: Log;
  /** Ends the wait; the database stays as it is. */
  readonly signal?: AbortSignal | undefined;
}

/** Whose database was recovered, and by whom. */
export interface Recovered {
  readonly cas: string;
  readonly holders: readonly string[];
}

/**
 * State `recovery` (C-80): where this machine cannot open the key store, but holders of recovery keys can, serves them until enough shares are there,
 * and seals the database key for this platform. Undefined at once where there is nothing to recover. Throws CasError, and the reason of an abort.
 */
export async function recoverDatabaseKey(options: RecoveryOptions): Promise<Recovered | undefined> {
  const path = keyStorePath(options.databasePath);
  if (!existsSync(path)) return undefined;
  const provider = openPlatformKeyFile(options.platformKeyPath, options.software.securityVersion);
  try {
    const { next, ...present } = readKeyStore(path);
    const sets: readonly SealedKeys[] = next === undefined ? [present] : [next, present];
    if (!needsRecovery(sets, provider)) return undefined;
    return await serveHolders(options, { path, sets, provider });
  } finally {
    provider.forget();
  }
}

/** Software of a lower security version is not helped: it never gets the key (C-79). */
function needsRecovery(sets: readonly SealedKeys[], provider: SealingProvider): boolean {
  const keys = sets.flatMap((set) => set.keys);
  const isForUs = keys.some((key) => isSealedFor(key, provider) || (key.recipient === "platform" && key.platform === provider.platformId));
  return !isForUs && sets.every(({ recovery }) => recovery !== undefined);
}

interface RecoveryParts {
  readonly path: string;
  readonly sets: readonly SealedKeys[];
  readonly provider: SealingProvider;
}

async function serveHolders(options: RecoveryOptions, { path, sets, provider }: RecoveryParts): Promise<Recovered> {
  const { software, log, now, clientListen } = options;
  const recovery = new Recovery(sets.flatMap((set) => set.recovery ?? []));
  const identity = temporaryIdentity(software, now());
  const tls = tlsIdentity(identity, "cas", [...new Set(["cas", "localhost", "127.0.0.1", ...(options.altNames ?? [])])], now());
  const [encryptionKey] = identity.sessionEncryptionKeys;
  if (encryptionKey === undefined) throw new TypeError("an identity has a session-encryption key");
  const facts = {
    ...{
      tls,
      software,
      state: "recovery" as const,
      developmentRoot: false,
      provisioning: undefined,
      newestSnapshot: undefined,
      backups: [],
      recoveryKey: recovery.key,
    },
    sessionEncryptionKey: sessionEncryptionKeyText(encryptionKey),
    instanceKey: instanceKeyText(provider),
    recovery: {
      threshold: recovery.threshold,
      holders: [...new Set(recovery.request.shares.map(({ holder }) => holder))].map((keyHash) => ({ keyHash })),
    },
  };
  const { promise: recovered, resolve, reject } = Promise.withResolvers<Recovered>();
  recovered.catch(() => {}); // awaited below, once it serves
  const onAbort = () => reject(options.signal?.reason);
  options.signal?.throwIfAborted();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const app = createClientServer(tls, log);
  statusRoutes(app, () => ({ version: software.version, state: "recovery", problem: undefined, developmentRoot: false }));
  attestRoutes(app, new OwnEvidence(options.ownPlatform, log, now), async (nonce) => casStatement({ ...facts, nonce }), now);
  app.get("/v1/recovery", async () => recovery.request);
  let turn: Promise<unknown> = Promise.resolve();
  app.post("/v1/recovery/shares", async (request, reply) => {
    const share = jsonBody(SignedShare, bodyText(request));
    const answer = turn.then(async () => {
      const accepted = recovery.accept(share);
      log.info(`recovery: the share of ${share.holder} is here, ${accepted.missing} more needed`);
      if (accepted.missing > 0) return accepted;
      const { cas } = recovery.request;
      const holders = recovery.holders;
      await sealRecovered(options, recovery, { path, sets, provider });
      reply.raw.once("close", () => resolve({ cas, holders }));
      return accepted;
    });
    turn = answer.catch(() => {}); // told to whoever handed it in
    return answer;
  });
  app.addHook("onRequest", async ({ is404 }) => {
    if (is404) throw new ApiError("unavailable", "the CAS waits for the holders of its recovery keys");
  });
  const { host, port } = await listenClientServer(app, clientListen);
  log.error(`this machine cannot open the database: ${recovery.threshold} holders of recovery keys can, who hand in their shares here`);
  log.info(`CAS recovery key hash: ${identity.casKeyHash}`);
  log.info(`serving recovery on ${host}:${port}`);
  try {
    return await recovered;
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    recovery.forget();
    await app.close();
  }
}

/** Finds the key that opens the database, and seals it for this platform. Throws `invalid_value`: then the shares are collected anew. */
async function sealRecovered(options: RecoveryOptions, recovery: Recovery, { path, sets, provider }: RecoveryParts): Promise<void> {
  const keys = recovery.combine();
  recovery.forget();
  try {
    const inForce = await findOpening(options, keys);
    const [set, key] = [sets[inForce ?? -1], keys[inForce ?? -1]];
    if (set === undefined || key === undefined) {
      throw new ApiError("invalid_value", "the shares do not open this database: key store and database do not belong together");
    }
    const content: KeyStore = { ...set, keys: [...set.keys, sealForPlatform(key, provider)] };
    writeKeyStore(path, content);
  } finally {
    for (const key of keys) key.fill(0);
  }
}

async function findOpening(options: StoreOptions, keys: readonly Uint8Array[]): Promise<number | undefined> {
  await using store = await openRowStore(options).catch((error: unknown) => {
    throw error instanceof CasError ? new ApiError("unavailable", error.message) : error;
  });
  const state = await store.find(STATE_KEY);
  const found = keys.findIndex((key) => state !== undefined && new RowSeal(key).opens(state));
  return found < 0 ? undefined : found;
}
